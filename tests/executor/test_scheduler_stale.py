"""Ways in which a cache comes to answer with something old, each as a run that does not. Both ways of replaying."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.executor.flows import HEADER, Flow

ROOT = Path(__file__).parents[2]

SHARED = """
@task()
def leaf(x):
    ran("leaf")
    return x + 1

@task()
def mid(x):
    ran("mid")
    return leaf(x)

@task({options})
def outer(x):
    ran("outer")
    return mid(x)

@task()
def main():
    ran("main")
    return [mid(1), outer(1)]
"""


@pytest.mark.parametrize("options", ["", "check_valid='shallow'", "cache=False", "cache_scope='CSE'"])
def test_a_subtree_that_joined_another_depends_on_all_that_the_other_did(flow: Flow, options: str):
    flow.load(SHARED.format(options=options))
    assert flow() == [2, 2]
    flow.edit("return x + 1", "return x + 100")
    assert flow() == [101, 101]
    flow.edit("return x + 100", "return x + 1")
    assert flow() == [2, 2]


def test_a_subtree_answered_whole_depends_on_all_inside_it(flow: Flow):
    flow.load(SHARED.format(options=""))
    assert flow("outer(1)") == 2
    assert flow() == [2, 2]
    flow.edit("return x + 1", "return x + 100")
    assert flow() == [101, 101]


def test_an_edit_below_a_parent_that_ran_meanwhile_is_seen(flow: Flow):
    flow.load(SHARED.format(options=""))
    flow()
    flow.edit("return x + 1", "return x + 100")
    assert flow("mid(1)") == 101
    assert flow("outer(1)") == 101
    assert flow() == [101, 101]


def test_the_function_of_another_task_counts_with_its_code(flow: Flow):
    flow.load("""
@task()
def other(x): return x + 1

@task()
def main(): ran("main"); return other.func(1)
""")
    assert flow() == 2
    flow.edit("x + 1", "x + 5")
    assert flow() == 6


def test_a_file_that_is_edited_after_it_was_loaded_changes_nothing_until_it_is_loaded_again(flow: Flow):
    flow.load("@task()\ndef main(): ran('main'); return 1\n")
    path = flow.folder / "flow.py"
    path.write_text(path.read_text().replace("return 1", "return 2"))
    assert flow() == 1
    flow.reload()
    assert flow() == 2
    assert flow() == 2
    assert flow.ran == []


def test_a_constant_that_is_read_from_a_file_counts_with_its_value(flow: Flow):
    (flow.folder / "k").write_text("1")
    flow.load("""
from pathlib import Path

K = int(Path("k").read_text())

@task()
def main(): ran("main"); return K
""")
    assert flow() == 1
    (flow.folder / "k").write_text("2")
    flow.reload()
    assert flow() == 2


def test_a_module_beside_the_workflow_counts_with_its_code(flow: Flow):
    text = "from {module} import {name}\n\n@task()\ndef main(): ran('main'); return {call}\n"
    for module, imported, call in (("beside", "grow", "grow(1)"), ("beside2", "K", "K + 1")):
        for value in (1, 2):
            (flow.folder / f"{module}.py").write_text(f"K = {value}\ndef grow(x): return x + {value}\n")
            sys.modules.pop(module, None)
            flow.load(text.format(module=module, name=imported, call=call))
            assert flow() == 1 + value
        sys.modules.pop(module, None)


SPOILED = """
import tools

class Tool:
    def size(self): return tools.far()

def helper(): return tools.far()

@task()
def spoil(n):
    import spoiler
    return n

@task()
def use(n): ran("use"); return helper() + n

@task()
def take(tool, n): ran("take"); return tool.size() + n

@task()
def main(): return [spoil(0), use(spoil(1)), take(Tool(), spoil(1))]

@task()
def alone(): return [use(1), take(Tool(), 1)]
"""


def test_what_ran_after_a_module_imported_in_a_body_redefined_a_name_answers_no_later_run(flow: Flow):
    (flow.folder / "tools.py").write_text("def far(): return 1\n")
    (flow.folder / "spoiler.py").write_text("import tools\ndef other(): return 100\ntools.far = other\n")
    try:
        flow.load(SPOILED)
        assert flow("alone()") == [2, 2]
        flow.edit("+ n", "+ n + 0")
        assert flow() == [0, 101, 101]
        for name in ("tools", "spoiler"):
            del sys.modules[name]
        flow.reload()
        assert flow("alone()") == [2, 2]
        assert flow.ran == ["take", "use"]
    finally:
        for name in ("tools", "spoiler"):
            sys.modules.pop(name, None)


def test_tasks_of_one_text_with_other_closures_are_other_tasks(flow: Flow):
    flow.load(
        """
def make(n):
    @task(name=f"add{n}")
    def add(x):
        ran("add", n)
        return x + n
    return add

one, two = make(1), make({two})

@task()
def main(): return [one(1), two(1)]
""".replace("{two}", "2")
    )
    assert flow() == [2, 3]
    flow.edit("make(2)", "make(5)")
    assert flow() == [2, 6]
    assert flow.ran == ["add 5"]


def test_a_decorator_of_the_user_counts(flow: Flow):
    flow.load("""
import functools

def louder(func):
    @functools.wraps(func)
    def wrapper(*args):
        return func(*args) + "!"
    return wrapper

@task()
@louder
def main(): ran("main"); return "hey"
""")
    assert flow() == "hey!"
    flow.edit('+ "!"', '+ "?"')
    assert flow() == "hey?"


def test_a_class_that_a_body_makes_counts(flow: Flow):
    flow.load("""
class Base:
    def size(self): return 1

class Thing(Base): ...

@task()
def main(): ran("main"); return Thing().size()
""")
    assert flow() == 1
    flow.edit("return 1", "return 2")
    assert flow() == 2


def test_an_enum_whose_values_change_counts_for_who_takes_its_members(flow: Flow):
    flow.load("""
import enum

class Color(enum.Enum):
    RED = 1

@task()
def pick(): return Color.RED

@task()
def value(color): ran("value"); return color.value

@task()
def main(): return value(pick())
""")
    assert flow() == 1
    flow.edit("RED = 1", "RED = 7")
    assert flow() == 7


def test_a_renamed_task_inside_an_operation_is_no_error(flow: Flow):
    flow.load("@task()\ndef leaf(x): return x\n@task()\ndef main(): return leaf(1) + 1\n")
    assert flow() == 2
    flow.load("@task()\ndef twig(x): return x * 10\n@task()\ndef main(): return twig(1) + 1\n")
    assert flow() == 11
    flow.load("@task()\ndef leaf(x): return x\n@task()\ndef main(): return leaf(1) + 1\n")
    assert flow() == 2


def test_a_default_that_calls_an_edited_task_is_seen(flow: Flow):
    flow.load("""
@task()
def base(): ran("base"); return 1

@task()
def mid(x=base(), y=base() * 10): ran("mid", x, y); return [x, y]

@task()
def main(): return [mid(), mid(5)]
""")
    assert flow() == [[1, 10], [5, 10]]
    assert flow() == [[1, 10], [5, 10]]
    assert flow.ran == []
    flow.edit("return 1", "return 2")
    assert flow() == [[2, 20], [5, 20]]
    assert flow.ran == ["base", "mid 2 20", "mid 5 20"]


def test_a_lazy_default_that_comes_to_call_another_task_is_seen(flow: Flow):
    flow.load("""
@task()
def one(): return 1

@task()
def two(): return 2

@task()
def mid(x=one()): return [x]

@task()
def main(): return mid()
""")
    assert flow() == [1]
    flow.edit("x=one()", "x=two()")
    assert flow() == [2]


def test_switching_a_cache_off_inside_a_subtree_is_seen(flow: Flow):
    flow.load(SHARED.format(options=""))
    flow()
    flow.load(SHARED.format(options="").replace("@task()\ndef leaf", "@task(cache=False)\ndef leaf"))
    assert flow() == [2, 2]
    assert flow.ran == ["leaf"]


# -- other processes --------------------------------------------------------------------------------------------------

PROGRAM = (
    HEADER
    + """
import sys

@task()
def letters(): ran("letters"); return {"set": {"a", "b", "c", "d"}, "frozen": frozenset("efgh"), "map": {"x": {1, "y"}}}

@task()
def count(values): ran("count"); return len(values["set"]) + len(values["frozen"])

@task()
def calls(): ran("calls"); return {count(letters()), count(letters()) + 1}

@task()
def main(): ran("main"); return [count(letters()), sorted_(calls())]

@task()
def sorted_(values): ran("sorted_"); return sorted(values)

if __name__ == "__main__":
    from redun.executor.scheduler import Scheduler
    from redun.store import Store

    logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
    path = "store"
    import os
    store = Store.open(path) if os.path.exists(path) else Store.init(path)
    print(Scheduler(store).run(main()))
"""
)


def test_another_process_with_another_hash_seed_runs_nothing(tmp_path: Path):
    program = tmp_path / "flow.py"
    program.write_text(PROGRAM)
    outputs = []
    for seed in ("1", "2", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, str(program)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        outputs.append(done.stdout.splitlines())
    assert sorted(outputs[0]) == ["[8, [8, 9]]", "calls", "count", "letters", "main", "sorted_"]
    assert outputs[1] == outputs[2] == ["[8, [8, 9]]"]
