"""What a later run is answered with, and what makes a body run again. Every test with both ways of replaying."""

from __future__ import annotations

from typing import Any

import pytest

from redun.core.objects import CallRecord, How, JobsRecord, TaskRecord
from redun.store import Store
from tests.executor.flows import Flow

GREETING = """
@task()
def get_planet():
    ran("get_planet")
    return "World"

@task()
def greeter(greet, thing):
    ran("greeter", greet, thing)
    return f"{greet}, {thing}!"

@task()
def main(greet="Hello"):
    ran("main")
    return greeter(greet, get_planet())
"""


def test_a_second_run_runs_nothing(flow: Flow):
    flow.load(GREETING)
    assert flow() == "Hello, World!"
    assert flow.ran == ["get_planet", "greeter Hello World", "main"]
    assert flow() == "Hello, World!"
    assert flow.ran == []


def test_the_same_code_loaded_afresh_is_answered(flow: Flow):
    flow.load(GREETING)
    flow()
    flow.load(GREETING + "\n\nUNUSED = 1\n")
    assert flow() == "Hello, World!"
    assert flow.ran == []


def test_an_argument_makes_what_depends_on_it_run(flow: Flow):
    flow.load(GREETING)
    flow()
    assert flow("main('Hi')") == "Hi, World!"
    assert flow.ran == ["greeter Hi World", "main"]


def test_an_edit_runs_the_task_again_and_stops_where_the_result_is_the_same(flow: Flow):
    flow.load(GREETING)
    flow()
    flow.edit('return "World"', 'return "Wor" + "ld"')
    assert flow() == "Hello, World!"
    assert flow.ran == ["get_planet"]
    flow.edit('return "Wor" + "ld"', 'return "Venus"')
    assert flow() == "Hello, Venus!"
    assert flow.ran == ["get_planet", "greeter Hello Venus"]


def test_comments_layout_and_docstrings_change_nothing(flow: Flow):
    flow.load(GREETING)
    flow()
    flow.edit('    return "World"', '    # where we live\n\n    return  "World"')
    flow.edit("def main(greet=", "def main(greet =")
    flow.edit('    ran("main")', '    """Greets."""\n    ran("main")')
    assert flow() == "Hello, World!"
    assert flow.ran == []


def test_a_reverted_edit_is_answered_at_once(flow: Flow):
    flow.load(GREETING)
    flow()
    flow.edit('"World"', '"Venus"')
    flow()
    flow.edit('"Venus"', '"World"')
    assert flow() == "Hello, World!"
    assert flow.ran == []


def test_the_value_of_a_default_counts(flow: Flow):
    flow.load(GREETING)
    flow()
    flow.edit('greet="Hello"', 'greet="Hi"')
    assert flow() == "Hi, World!"
    assert flow.ran == ["greeter Hi World", "main"]


def test_a_default_and_the_same_argument_are_one_call(flow: Flow):
    flow.load(GREETING)
    flow()
    assert flow("main('Hello')") == flow("main(greet='Hello')") == "Hello, World!"
    assert flow.ran == []


HELPERS = """
FACTOR = 10

def double(x):
    return 2 * x

def helper(x):
    return double(x) * FACTOR

@task()
def uses(x):
    ran("uses", x)
    return helper(x)

@task()
def other(x):
    ran("other", x)
    return x + 1

@task()
def main():
    return [uses(1), uses(2), other(1)]
"""


@pytest.mark.parametrize(
    ("old", "new", "result"),
    [
        ("return 2 * x", "return 3 * x", [30, 60, 2]),
        ("* FACTOR", "+ FACTOR", [12, 14, 2]),
        ("FACTOR = 10", "FACTOR = 20", [40, 80, 2]),
    ],
)
def test_a_helper_or_constant_runs_again_only_what_uses_it(flow: Flow, old: str, new: str, result: Any):
    flow.load(HELPERS)
    assert flow() == [20, 40, 2]
    flow.edit(old, new)
    assert flow() == result
    assert flow.ran == ["uses 1", "uses 2"]


def test_a_version_stands_for_all_code(flow: Flow):
    text = "@task(version='{}')\ndef main():\n    ran('main')\n    return {}\n"
    flow.load(text.format(1, "'a'"))
    assert flow() == "a"
    flow.load(text.format(1, "'b'"))
    assert flow() == "a"
    assert flow.ran == []
    flow.load(text.format(2, "'b'"))
    assert flow() == "b"


def test_a_renamed_task_is_a_new_one(flow: Flow):
    flow.load("@task()\ndef leaf(): ran('leaf'); return 1\n@task()\ndef main(): return leaf() + 1\n")
    assert flow() == 2
    text = "@task()\ndef twig(): ran('twig'); return 5\n@task()\ndef main(): return twig() + 1\n"
    flow.load(text)
    assert flow() == 6
    assert flow.ran == ["twig"]


def test_a_task_that_is_gone_makes_its_callers_run_again(flow: Flow):
    """A remembered expression that names a task which is gone is no answer (and no error)."""
    flow.load(
        "@task()\ndef leaf(): ran('leaf'); return 1\n"
        "def pick(): return leaf\n"
        "@task(version='1')\ndef main(): ran('main'); return pick()() + 1\n"
    )
    assert flow() == 2
    flow.load(
        "@task()\ndef twig(): ran('twig'); return 5\n"
        "def pick(): return twig\n"
        "@task(version='1')\ndef main(): ran('main'); return pick()() + 1\n"
    )
    assert flow() == 6
    assert flow.ran == ["main", "twig"]


def test_the_number_of_outputs_of_a_callee_counts_for_who_unrolls_it(flow: Flow):
    text = (
        "@task(nout={n}, version='1')\ndef pair(): return list(range({n}))\n"
        "@task()\ndef main(): ran('main'); return [x for x in pair()]\n"
    )
    flow.load(text.format(n=2))
    assert flow() == [0, 1]
    flow.load(text.format(n=3))
    assert flow()[:2] == [0, 1]
    assert flow.ran == ["main"]


def test_a_method_of_a_class_counts_for_what_takes_its_instances(flow: Flow):
    text = """
class Shape:
    def __init__(self, size): self.size = size
    def area(self): return self.size * {factor}

@task()
def make(): ran("make"); return Shape(3)

@task()
def measure(shape): ran("measure"); return shape.area()

@task()
def main(): return measure(make())
"""
    flow.load(text.format(factor=2))
    assert flow() == 6
    flow.load(text.format(factor=5))
    assert flow() == 15
    assert "measure" in flow.ran


def test_a_task_that_is_passed_on_and_then_edited_is_the_new_one(flow: Flow):
    text = """
@task()
def add(x): ran("add"); return x + {n}

@task()
def pick(): ran("pick"); return add

@task()
def apply(function, x): ran("apply"); return function(x)

@task()
def main(): return apply(pick(), 1)
"""
    flow.load(text.format(n=1))
    assert flow() == 2
    flow.load(text.format(n=10))
    assert flow() == 11


def test_a_function_as_argument_counts_with_its_code(flow: Flow):
    text = """
def grow(x): return x + {n}

@task()
def apply(function, x): ran("apply"); return function(x)

@task()
def main(): return apply(grow, 1)
"""
    flow.load(text.format(n=1))
    assert flow() == 2
    flow.load(text.format(n=10))
    assert flow() == 11


def test_an_argument_that_a_body_changes_stays_as_it_was_for_others(flow: Flow):
    flow.load("""
@task()
def numbers(): return [3, 1, 2]

@task()
def first_of_sorted(items): ran("sorted"); items.sort(); return items[0]

@task()
def first(items): ran("first"); return items[0]

@task()
def main():
    items = numbers()
    return [first_of_sorted(items), first(items), items]
""")
    for _ in range(2):
        assert flow() == [1, 3, [3, 1, 2]]
    assert flow.ran == []


# -- options ----------------------------------------------------------------------------------------------------------

OPTIONS = """
@task({options})
def leaf(x):
    ran("leaf", x)
    return x + 1

@task()
def main():
    ran("main")
    return [leaf(1), leaf(1), leaf(2)]
"""


def test_a_task_without_cache_runs_once_in_every_run(flow: Flow):
    flow.load(OPTIONS.format(options="cache=False"))
    for runs in (["leaf 1", "leaf 2", "main"], ["leaf 1", "leaf 2"]):
        assert flow() == [2, 2, 3]
        assert flow.ran == runs


def test_a_scope_of_the_run_is_the_same_as_no_cache(flow: Flow):
    flow.load(OPTIONS.format(options="cache_scope='CSE'"))
    for runs in (["leaf 1", "leaf 2", "main"], ["leaf 1", "leaf 2"]):
        assert flow() == [2, 2, 3]
        assert flow.ran == runs


def test_without_any_scope_equal_calls_run_each(flow: Flow):
    flow.load(OPTIONS.format(options="cache_scope='NONE'"))
    for runs in (["leaf 1", "leaf 1", "leaf 2", "main"], ["leaf 1", "leaf 1", "leaf 2"]):
        assert flow() == [2, 2, 3]
        assert flow.ran == runs


def test_the_cache_can_be_switched_off_at_a_call(flow: Flow):
    flow.load(OPTIONS.format(options="").replace("leaf(1), leaf(1)", "leaf.options(cache=False)(1), 2"))
    for runs in (["leaf 1", "leaf 2", "main"], ["leaf 1"]):
        assert flow() == [2, 2, 3]
        assert flow.ran == runs


def test_a_call_without_cache_shares_what_ran_in_this_run_and_nothing_older(flow: Flow):
    text = OPTIONS.format(options="").replace("leaf(1), leaf(1)", "alone(1), alone(1)")
    text = text.replace("@task()\ndef main", "alone = leaf.options(cache=False)\n\n@task()\ndef main")
    flow.load(f"{text}\n@task()\ndef both():\n    return [main(), [leaf(1), alone(2), alone(2)]]\n")
    for runs in (["leaf 1", "leaf 2", "main"], ["leaf 1", "leaf 2"]):
        assert flow("both()") == [[2, 2, 3], [2, 3, 3]]
        assert flow.ran == runs


def test_the_cache_can_be_switched_on_at_a_call(flow: Flow):
    flow.load(OPTIONS.format(options="cache=False").replace("leaf(1), leaf(1), leaf(2)", "leaf.options(cache=True)(1)"))
    assert flow() == [2]
    assert flow() == [2]
    assert flow.ran == []


def test_a_scope_given_as_an_enum_means_the_same_in_later_runs(flow: Flow):
    flow.load(
        "import enum\nclass CacheScope(enum.Enum):\n    NONE = 'NONE'\n    CSE = 'CSE'\n    BACKEND = 'BACKEND'\n"
        + OPTIONS.format(options="").replace("leaf(2)", "leaf.options(cache_scope=CacheScope.BACKEND)(2)")
    )
    for runs in (["leaf 1", "leaf 2", "main"], []):
        assert flow() == [2, 2, 3]
        assert flow.ran == runs


def test_switching_the_cache_off_for_a_run_runs_all_and_writes_all(flow: Flow):
    flow.load(GREETING)
    flow()
    assert flow(cache=False) == "Hello, World!"
    assert flow.ran == ["get_planet", "greeter Hello World", "main"]
    assert flow() == "Hello, World!"
    assert flow.ran == []


def test_a_first_run_without_reading_the_cache_fills_it(flow: Flow):
    flow.load(GREETING)
    assert flow(cache=False) == "Hello, World!"
    assert flow() == "Hello, World!"
    assert flow.ran == []


def test_a_body_that_gives_something_else_each_time_is_recorded_newest_first(flow: Flow):
    flow.load("""
from pathlib import Path

@task()
def count(): ran("count"); return int(Path("n").read_text())

@task()
def show(n): ran("show", n); return f"<{n}>"

@task()
def main(): return show(count())
""")
    (flow.folder / "n").write_text("1")
    assert flow() == "<1>"
    (flow.folder / "n").write_text("2")
    assert flow() == "<1>"
    assert flow("[count()]", cache=False) == [2]
    # the parent's recorded result stands on a count that another has replaced without cause
    assert flow() == "<2>"


# -- sharing within and between runs ----------------------------------------------------------------------------------

FIB = """
@task()
def add(a, b):
    ran("add")
    return a + b

@task()
def fib(n):
    ran("fib", n)
    return n if n < 2 else add(fib(n - 1), fib(n - 2))
"""


def test_recursion_is_linear_in_first_and_later_runs(flow: Flow):
    flow.load(FIB)
    execution = flow.execute("fib(25)")
    assert execution.value == 75025
    assert sum(count.total for count in execution.counts) < 100
    assert len([name for name in flow.ran if name.startswith("fib")]) == 26
    execution = flow.execute("fib(25)")
    assert execution.value == 75025
    assert flow.ran == []
    assert sum(count.total for count in execution.counts) < 100
    execution = flow.execute("fib(26)")
    assert execution.value == 121393
    assert flow.ran == ["add", "fib 26"]


def test_an_edit_below_a_recursion_runs_only_what_it_changes(flow: Flow):
    flow.load(FIB)
    flow("fib(12)")
    flow.edit("return a + b", "return b + a")
    assert flow("fib(12)") == 144
    assert set(flow.ran) == {"add"}


def test_equal_calls_of_two_parents_are_computed_once(flow: Flow):
    flow.load("""
@task()
def slow(x): ran("slow", x); return x

@task()
def left(): return slow(1)

@task()
def right(): return [slow(1)]

@task()
def main(): return [left(), right(), slow(1)]
""")
    assert flow() == [1, [1], 1]
    assert flow.ran == ["slow 1"]


def test_two_stores_know_nothing_of_each_other(flow: Flow):
    flow.load(GREETING)
    flow()
    flow.store = Store.memory()
    flow()
    assert flow.ran == ["get_planet", "greeter Hello World", "main"]


def test_how_each_job_was_answered_is_recorded(flow: Flow):
    flow.load(GREETING)
    flow()
    first = _rows(flow)
    assert {how for how, _ in first} == {How.RAN}
    flow()
    assert {how for how, _ in _rows(flow)} == ({How.WHOLE} if flow.replay == "whole" else {How.STEP})
    flow("[get_planet(), get_planet()]")
    assert sorted(how.name for how, name in _rows(flow) if name == "get_planet") == ["JOINED", "STEP"]


def _rows(flow: Flow) -> list[tuple[How, str]]:
    _, execution = next(iter(flow.store.executions()))
    rows = [row for page in execution.pages for row in JobsRecord.parse(bytes(flow.store.get(page)[1])).rows]
    found = []
    for row in rows:
        assert row.call is not None
        call = CallRecord.parse(bytes(flow.store.get(row.call)[1]))
        found.append((row.how, TaskRecord.parse(bytes(flow.store.get(call.task)[1])).fullname))
    return found
