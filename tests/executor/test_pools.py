"""The contract of pools, for every kind of them: the same results, the same records, every error a value."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redun.core.classes import UnavailableError
from redun.core.errors import CannotEncode, UnknownExecutor
from redun.core.objects import Status, TraceRecord
from redun.core.secrets import Secret
from redun.store import Store
from tests.executor.flows import flow_in
from tests.executor.pool_flows import EXECUTORS, Pooled, lines


@pytest.fixture(params=list(EXECUTORS))
def pooled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pooled]:
    """A workflow for each kind of pool, with an empty store."""
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        yield Pooled(flow, request.param)


VALUES = """
import os
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

class Color(Enum):
    RED = 1

class Pair(NamedTuple):
    left: int
    right: object

@dataclass
class Box:
    inside: object

def helper(x):
    return x

@task(executor=EXECUTOR)
def same(*values, **named):
    return [*values, named]

@task(executor=EXECUTOR)
def make(kind):
    return {
        "none": None, "big": 2**100, "negative": -1, "float": 0.5, "text": "ä", "broken": "\\udcff", "bytes": b"\\0",
        "array": bytearray(b"x"), "tuple": (1, (2,)), "set": {1, 2}, "frozen": frozenset("ab"), "dict": {1: [2]},
        "enum": Color.RED, "named": Pair(1, [2]), "box": Box(Box(1)), "class": Box, "function": helper, "task": same,
        "complex": 1j, "range": range(3), "long": list(range(20_000)), "huge": b"x" * 3_000_000,
    }[kind]

@task()
def main():
    kinds = ["none", "big", "negative", "float", "text", "broken", "bytes", "array", "tuple", "set", "frozen", "dict",
             "enum", "named", "box", "class", "function", "task", "complex", "range", "long", "huge"]
    made = [make(kind) for kind in kinds]
    return [same(one, key=one) for one in made]
"""


def test_values_of_every_kind_come_and_go_and_are_recorded_as_threads_record_them(tmp_path: Path):
    calls = {}
    for executor in EXECUTORS:
        with Store.init(tmp_path / executor) as store, flow_in(tmp_path, store) as flow:
            pooled = Pooled(flow, executor)
            pooled.load(VALUES)
            ran = pooled.run()
            assert ran.execution.status is Status.DONE
            for first, named in ran.execution.value:
                assert named == {"key": first}
            assert {row.executor for row in ran.rows} == {"default", *({executor} - {"threads"})}
            calls[executor] = ran.call
            assert list(store.check()) == []
            again = pooled.run()
            assert [row.how.name for row in again.rows] == ["WHOLE"]
    assert len(set(calls.values())) == 1


def test_a_store_in_memory_serves_as_well(tmp_path: Path):
    for executor in EXECUTORS:
        with Store.memory() as store, flow_in(tmp_path, store) as flow:
            pooled = Pooled(flow, executor)
            pooled.load(VALUES)
            assert pooled.run().execution.status is Status.DONE


def test_what_a_body_returns_lazily_is_evaluated_and_may_run_elsewhere(pooled: Pooled):
    pooled.load("""
@task(executor=EXECUTOR)
def leaf(n):
    return n + 1
@task()
def near(n):
    return [leaf(n), leaf(n * 10)]
@task(executor=EXECUTOR)
def main(n=4):
    return {"deep": near(n)[1] * 2, "list": [leaf(i) for i in range(n)]}
""")
    assert pooled.value() == {"deep": 82, "list": [1, 2, 3, 4]}


def test_an_error_is_recorded_alike_wherever_it_was_raised(tmp_path: Path):
    text = """
class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one)
        self.two = two
@task(executor=EXECUTOR)
def fail(n):
    try:
        1 / n
    except ZeroDivisionError as error:
        odd = Odd("bad", [n])
        odd.add_note("a note")
        raise odd from error
@task()
def main():
    return fail(0)
"""
    calls, traces = set(), set()
    for executor in EXECUTORS:
        with Store.init(tmp_path / executor) as store, flow_in(tmp_path, store) as flow:
            pooled = Pooled(flow, executor)
            pooled.load(text)
            ran = pooled.run()
            error: Any = ran.execution.error
            assert (type(error).__name__, error.args, error.two) == ("Odd", ("bad",), [0])
            assert type(error) is pooled.module.Odd
            assert error.__notes__ == ["a note"]
            assert isinstance(error.__cause__, ZeroDivisionError)
            (digest,) = {row.trace for row in ran.rows if row.trace is not None}
            trace = TraceRecord.parse(store.get(digest)[1])
            assert [frame.text for frame in trace.frames] == ["raise odd from error"]
            calls.add(ran.call)
            traces.add(digest)
    assert len(calls) == len(traces) == 1


def test_an_error_that_cannot_be_pickled_is_an_error_of_the_job_like_any_other(pooled: Pooled):
    pooled.load("""
import threading
class Holds(Exception):
    def __init__(self):
        super().__init__("held")
        self.lock = threading.Lock()
@task(executor=EXECUTOR)
def fail():
    raise Holds()
@task(executor=EXECUTOR)
def local():
    class Local(ValueError): pass
    raise Local("here")
""")
    held: Any = pooled.run("fail()").execution.error
    assert type(held) is pooled.module.Holds
    assert "lock" in str(held.lock)
    local = pooled.run("local()")
    assert "Local" in repr(local.execution.trace)
    assert isinstance(local.execution.error, (ValueError, UnavailableError))


@pytest.mark.parametrize("made", ["lambda: 1", "(i for i in [1])", "__import__('threading').Lock()"])
def test_a_result_that_has_no_encoding_fails_the_job_and_says_so(pooled: Pooled, made: str):
    pooled.load(f"@task(executor=EXECUTOR)\ndef main():\n    return [{made}]\n")
    error = pooled.run().execution.error
    assert isinstance(error, CannotEncode)
    assert any("in the value that task main returned" in note for note in error.__notes__)


@pytest.mark.parametrize("left", ["SystemExit(3)", "KeyboardInterrupt()", "GeneratorExit()"])
def test_leaving_by_an_exception_that_is_no_error_fails_the_job_only(pooled: Pooled, left: str):
    pooled.load(f"""
@task(executor=EXECUTOR)
def leave():
    raise {left}
@task(executor=EXECUTOR)
def fine():
    return 1
""")
    assert repr(pooled.run("leave()").execution.error) == left
    assert pooled.value("fine()") == 1


def test_sixty_jobs_of_which_three_fail_are_all_answered_and_recorded(pooled: Pooled):
    pooled.load("""
import threading
class Holds(Exception):
    def __init__(self, n):
        super().__init__(n)
        self.lock = threading.Lock()
@task(executor=EXECUTOR)
def work(n):
    if n % 20 == 7:
        raise Holds(n)
    return n * n
@task()
def recover(error):
    return -error.args[0]
@task()
def main():
    return [catch(work(n), Exception, recover) for n in range(60)]
""")
    ran = pooled.run()
    assert ran.execution.value == [-n if n % 20 == 7 else n * n for n in range(60)]
    assert [row.status for row in ran.rows].count(Status.FAILED) == 3
    again = pooled.run()
    assert again.execution.value == ran.execution.value
    assert [row.how.name for row in again.rows].count("RAN") == 0


def test_files_are_arguments_and_results(pooled: Pooled):
    pooled.load("""
@task(executor=EXECUTOR)
def copy(source, path):
    target = File(path)
    target.write(source.read() * 2)
    return target
@task()
def main():
    return copy(copy(File("in"), "middle"), "out")
""")
    Path("in").write_text("x")
    assert pooled.value().read() == "xxxx"
    Path("middle").write_text("changed")
    ran = pooled.run()
    assert Path("middle").read_text() == "xx"
    assert [row.how.name for row in ran.rows].count("RAN") == 1


def test_secrets_reach_bodies_and_come_back_and_are_nowhere_on_the_disk(pooled: Pooled, tmp_path: Path):
    pooled.load("""
from redun.core.secrets import Secret
@task(executor=EXECUTOR)
def use(token, more):
    return [Secret(token.reveal() + "-and-more"), len(token.reveal()), more[0].reveal() == token.reveal()]
@task(executor=EXECUTOR)
def tell(secret):
    raise ValueError("it is " + secret.reveal())
@task()
def look(found):
    return len(found[0].reveal()), found[1], found[2]
""")
    pooled.module.token = Secret("hush-hush")
    assert pooled.value("look(use(token, [token] * 20_000))") == (18, 9, True)
    assert "hush" not in repr(pooled.run("tell(token)").execution.trace)
    for path in (tmp_path / "store").rglob("*"):
        assert path.is_dir() or b"hush-hush" not in path.read_bytes()


def test_a_body_that_runs_expressions_itself_is_run_in_every_run(pooled: Pooled):
    pooled.load("""
from redun import Scheduler
@task()
def inner(): return 3
@task(executor=EXECUTOR)
def outer():
    return Scheduler().run(inner())
""")
    assert pooled.value("outer()") == 3
    assert [row.how.name for row in pooled.run("outer()").rows] == ["RAN"]


def test_two_kinds_of_pools_serve_one_run(pooled: Pooled):
    pooled.load("""
@task(executor=EXECUTOR)
def far(n): return n + 1
@task(executor="threads")
def near(n): return n * 2
@task()
def main(): return [near(far(near(n))) for n in range(20)]
""")
    assert pooled.value() == [(2 * n + 1) * 2 for n in range(20)]


def test_an_executor_that_nobody_made_fails_the_job_that_names_it(pooled: Pooled):
    pooled.load("@task(executor='nowhere')\ndef main(): return 1\n")
    error = pooled.run().execution.error
    assert isinstance(error, UnknownExecutor)
    assert re.search("nowhere.*processes", str(error))


def test_what_bodies_print_is_printed(pooled: Pooled, capfd: pytest.CaptureFixture[str]):
    pooled.load("@task(executor=EXECUTOR)\ndef main():\n    print('from the body')\n    return 1\n")
    pooled.value()
    assert capfd.readouterr().out == "from the body\n"


def test_a_thousand_small_jobs_run_each_once(pooled: Pooled):
    pooled.load("""
import os
@task(executor=EXECUTOR)
def work(n):
    with open("log", "a") as log:
        log.write(f"{n}\\n")
    return n
@task()
def main():
    return [work(n) for n in range(1000)]
""")
    assert pooled.value() == list(range(1000))
    assert sorted(map(int, lines(Path("log")))) == list(range(1000))


def test_modules_that_bodies_import_are_found_where_the_run_finds_them(pooled: Pooled, tmp_path: Path):
    (tmp_path / "belated.py").write_text("class Thing:\n    def __init__(self, n): self.n = n\n")
    pooled.load("""
@task(executor=EXECUTOR)
def make(n):
    from belated import Thing
    return Thing(n)
@task(executor=EXECUTOR)
def read(thing):
    return thing.n
@task()
def main():
    return read(make(5))
""")
    assert pooled.value() == 5
    assert os.getcwd() == str(tmp_path)


def test_what_had_begun_when_another_job_failed_ends_and_is_recorded_and_not_run_again(pooled: Pooled):
    pooled.load("""
import os, time
def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.005)
@task(executor=EXECUTOR)
def slow(n):
    with open("began", "a") as log:
        log.write("x")
    wait_for("failing")
    time.sleep(0.1)
    return n
@task(executor=EXECUTOR)
def fail(n):
    wait_for("began")
    open("failing", "w").close()
    if not os.path.exists("mended"):
        raise ValueError(n)
    return n
@task()
def main():
    return [slow(1), fail(2)]
""")
    first = pooled.run()
    assert isinstance(first.execution.error, ValueError)
    assert sorted(row.status.name for row in first.rows) == ["DONE", "FAILED", "FAILED"]
    Path("mended").touch()
    assert pooled.value() == [1, 2]
    assert Path("began").read_text() == "x"


def test_equal_calls_are_one_job_wherever_they_run(pooled: Pooled):
    pooled.load("""
@task(executor=EXECUTOR)
def one(n): return n
@task()
def main(): return [one(n) for n in range(500)] + [one(n) for n in range(500)]
""")
    ran = pooled.run()
    assert ran.execution.value == [*range(500), *range(500)]
    assert [row.how.name for row in ran.rows].count("JOINED") == 500
