"""Runs that fail, are stopped, or meet something that cannot be stored: what is told and what is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from redun.core.errors import CannotDecode, CannotEncode, CycleError, RunError, UnknownExecutor
from redun.core.objects import CallRecord, How, JobRow, JobsRecord, Outcome, Status, TaskRecord, TraceRecord
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import HEADER, Flow

ROOT = Path(__file__).parents[2]


def _rows(store: Store) -> dict[str, list[JobRow]]:
    """The rows of the last execution by task."""
    _, execution = next(iter(store.executions()))
    found: dict[str, list[JobRow]] = {}
    for page in execution.pages:
        for row in JobsRecord.parse(bytes(store.get(page)[1])).rows:
            assert row.call is not None
            call = CallRecord.parse(bytes(store.get(row.call)[1]))
            found.setdefault(TaskRecord.parse(bytes(store.get(call.task)[1])).fullname, []).append(row)
    return found


FAILING = """
@task()
def get_planet(who):
    ran("get_planet")
    return 1 / 0

@task()
def fine(x):
    ran("fine", x)
    return x

@task()
def greeter(planet):
    return planet

@task()
def main():
    ran("main")
    return greeter(get_planet("you"))
"""


def test_an_error_ends_the_run_and_is_in_the_answer(flow: Flow):
    flow.load(FAILING)
    execution = flow.execute()
    assert execution.status is Status.FAILED
    assert isinstance(execution.error, ZeroDivisionError)
    assert execution.value is None
    assert execution.digest is not None
    with pytest.raises(ZeroDivisionError):
        flow()


def test_the_traceback_of_jobs_leads_from_the_root_to_what_failed(flow: Flow):
    flow.load(FAILING)
    execution = flow.execute()
    assert [(job.fullname, job.text, job.args) for job in execution.failed] == [
        ("main", "def main():", []),
        ("get_planet", "def get_planet(who):", [("who", "you")]),
    ]
    lines = (HEADER + FAILING).splitlines()
    assert [lines[job.line - 1] for job in execution.failed] == [job.text for job in execution.failed]
    assert {job.file for job in execution.failed} == {str(flow.folder / "flow.py")}
    assert execution.trace is not None
    assert execution.trace.summary == "ZeroDivisionError: division by zero"
    assert [frame.text for frame in execution.trace.frames] == ["return 1 / 0"]


def test_the_failure_is_recorded_with_its_error_and_traceback(flow: Flow):
    flow.load(FAILING)
    flow.execute()
    rows = _rows(flow.store)
    assert {name: [row.status for row in found] for name, found in rows.items()} == {
        "main": [Status.FAILED],
        "get_planet": [Status.FAILED],
    }
    (row,) = rows["get_planet"]
    assert row.call is not None
    assert row.trace is not None
    assert CallRecord.parse(bytes(flow.store.get(row.call)[1])).outcome is Outcome.RAISED
    assert TraceRecord.parse(bytes(flow.store.get(row.trace)[1])).summary == "ZeroDivisionError: division by zero"
    assert row.how is How.RAN


def test_an_error_is_not_remembered(flow: Flow):
    flow.load(FAILING)
    flow.execute()
    flow.execute()
    assert flow.ran == ["get_planet"]
    flow.edit("return 1 / 0", "return 'Venus'")
    assert flow() == "Venus"


def test_an_error_in_a_reduction_is_of_the_job_that_returned_it(flow: Flow):
    flow.load("@task()\ndef two(): return 2\n@task()\ndef main(): return two() + 'a'\n")
    execution = flow.execute()
    assert isinstance(execution.error, TypeError)
    assert [job.fullname for job in execution.failed] == ["main"]
    assert any("operation `add`" in note for note in execution.error.__notes__)


def test_what_ran_beside_a_failure_is_recorded_and_answered_next_time(flow: Flow):
    flow.load("""
import threading
together = threading.Barrier(3)
failed = threading.Event()

@task()
def slow(x):
    ran("slow", x)
    together.wait()
    failed.wait()
    return x

@task()
def boom():
    ran("boom")
    together.wait()
    failed.set()
    raise ValueError("boom")

@task()
def main(broken=True):
    return [slow(1), slow(2), boom() if broken else 3]
""")
    execution = flow.execute()
    assert str(execution.error) == "boom"
    rows = _rows(flow.store)
    assert [row.status for row in rows["slow"]] == [Status.DONE, Status.DONE]
    assert flow("main(False)") == [1, 2, 3]
    assert flow.ran == []


def test_jobs_that_never_began_are_not_recorded_as_run(flow: Flow):
    flow.threads = 1
    flow.load("""
@task()
def boom(): raise ValueError("boom")

@task()
def after(x): ran("after"); return x

@task()
def main(): return [boom(), after(boom()), [after(i) for i in range(50)]]
""")
    execution = flow.execute()
    assert str(execution.error) == "boom"
    rows = _rows(flow.store)
    assert [row.status for row in rows["main"]] == [Status.FAILED]
    assert all(row.status is Status.DONE for row in rows.get("after", []))
    assert len(rows.get("after", [])) == len(flow.ran)


def test_a_run_after_a_failure_continues_where_it_stopped(flow: Flow):
    flow.load("""
@task()
def step(x): ran("step", x); return x + 1

@task()
def fragile(x):
    ran("fragile")
    if not File("ready").exists():
        raise RuntimeError("not ready")
    return x

@task()
def main(): return step(fragile(step(step(0))))
""")
    assert flow.execute().status is Status.FAILED
    assert flow.ran == ["fragile", "step 0", "step 1"]
    Path("ready").touch()
    assert flow() == 3
    assert flow.ran == ["fragile", "step 2"]


@pytest.mark.parametrize("raised", ["SystemExit(3)", "KeyboardInterrupt()", "GeneratorExit()", "StopIteration(1)"])
def test_whatever_a_body_raises_fails_its_job_and_not_the_program(flow: Flow, raised: str):
    flow.load(f"@task()\ndef main(): raise {raised}\n")
    execution = flow.execute()
    assert execution.status is Status.FAILED
    assert repr(execution.error) == repr(eval(raised))


ODD_ERRORS = """
import threading

class Odd(Exception):
    def __init__(self, a, *, b):
        self.a, self.b = a, b
    def __str__(self): raise RuntimeError("no words")
    __repr__ = __str__

class Holding(Exception):
    def __init__(self):
        super().__init__(threading.Lock())
        self.lock = threading.Lock()

@task()
def main(kind):
    if kind == "odd": raise Odd(1, b=2)
    if kind == "holding": raise Holding()
    if kind == "lazy": raise ValueError(main(1))
    if kind == "ring":
        error = ValueError(1)
        raise error from error
    if kind == "local":
        class Local(Exception): pass
        raise Local("a")
    if kind == "group": raise ExceptionGroup("g", [ValueError(1)])
    if kind == "deep": return main(kind)[0] if False else deeper(0)

def deeper(n): return deeper(n + 1)
"""


@pytest.mark.parametrize("kind", ["odd", "holding", "lazy", "ring", "local", "group", "deep"])
def test_odd_errors_are_told_and_recorded(flow: Flow, kind: str):
    flow.load(ODD_ERRORS)
    execution = flow.execute(f"main({kind!r})")
    assert execution.status is Status.FAILED
    assert execution.error is not None
    assert execution.trace is not None
    (row,) = _rows(flow.store)["main"]
    assert row.status is Status.FAILED
    assert not list(flow.store.live_runs())


def test_a_ring_of_jobs_is_an_error_that_names_it(flow: Flow):
    flow.load("@task()\ndef loop(n): return [loop(n)]\n@task()\ndef main(): return loop(1)\n")
    execution = flow.execute()
    assert isinstance(execution.error, CycleError)
    assert "loop -> loop" in execution.error.message
    assert execution.error.hint


@pytest.mark.parametrize("executor", ["nowhere", 5])
def test_an_executor_that_is_not_there_fails_the_job(flow: Flow, executor: Any):
    flow.load(f"@task(executor={executor!r})\ndef main(): return 1\n")
    execution = flow.execute()
    assert isinstance(execution.error, UnknownExecutor)
    assert repr(executor) in execution.error.message


# -- what cannot be stored --------------------------------------------------------------------------------------------

UNSTORABLE = """
import threading, sys

class Picky:
    def __init__(self): self.x = 1
    def __setstate__(self, state): raise RuntimeError("not like this")

class Silent:
    def __getstate__(self): raise RuntimeError("no state")

@task()
def lock(): return {"a": [threading.Lock()]}

@task()
def silent(): return Silent()

@task()
def picky(): return Picky()

@task()
def folder(): return File(".")

@task()
def use(x): return x

@task()
def bad_default(x=threading.Lock()): return x

@task()
def main(name): return [use(globals()[name]())]

@task()
def beside(): return [use(1), use(threading.Lock())]
"""


@pytest.mark.parametrize("name", ["lock", "silent", "folder", "bad_default"])
def test_what_cannot_be_stored_fails_the_job_that_made_it(flow: Flow, name: str):
    flow.load(UNSTORABLE)
    execution = flow.execute(f"main({name!r})")
    assert isinstance(execution.error, CannotEncode)
    assert [job.fullname for job in execution.failed][:1] == ["main"]
    assert not list(flow.store.live_runs())
    assert flow("use(1)") == 1


def test_an_argument_that_cannot_be_stored_fails_the_job_that_gave_it(flow: Flow):
    flow.load(UNSTORABLE)
    execution = flow.execute("beside()")
    assert isinstance(execution.error, CannotEncode)
    assert [job.fullname for job in execution.failed] == ["beside"]


def test_a_value_that_cannot_be_made_again_fails_the_job_that_wants_it(flow: Flow):
    flow.load(UNSTORABLE)
    execution = flow.execute("[use(picky())]")
    assert isinstance(execution.error, CannotDecode)
    assert not list(flow.store.live_runs())


@pytest.mark.parametrize("text", ["use(threading.Lock())", "bad_default()", "use(lambda: 1)", "[1, threading.Lock()]"])
def test_an_expression_that_cannot_be_stored_leaves_no_run_behind(flow: Flow, text: str):
    flow.load(UNSTORABLE)
    try:
        execution = flow.execute(text)
    except CannotEncode:
        pass
    else:
        assert isinstance(execution.error, CannotEncode)
    assert [run for run in flow.store.live_runs() if run.alive] == []
    assert flow("use(1)") == 1


def test_a_result_that_cannot_be_made_again_leaves_no_run_behind(flow: Flow):
    flow.load(UNSTORABLE)
    try:
        execution = flow.execute("picky()")
    except CannotDecode:
        pass
    else:
        assert execution.status is Status.FAILED or isinstance(execution.error, CannotDecode)
    assert [run for run in flow.store.live_runs() if run.alive] == []


# -- stopping ---------------------------------------------------------------------------------------------------------

STOPPED = """
import os, signal, threading

started = threading.Event()
go_on = threading.Event()

@task()
def quick(x): ran("quick"); return x

@task()
def stops(x):
    os.kill(os.getpid(), signal.SIGINT)
    return x

@task()
def after(x): ran("after"); return x

@task()
def main(): return after(stops(quick(1)))
"""


def test_an_interrupted_run_is_recorded_and_goes_on_next_time(flow: Flow):
    flow.load(STOPPED)
    execution = flow.execute()
    assert execution.status is Status.INTERRUPTED
    assert isinstance(execution.error, KeyboardInterrupt)
    assert flow.ran == ["quick"]
    rows = _rows(flow.store)
    assert [row.status for row in rows["quick"]] == [Status.DONE]
    assert [row.status for row in rows["main"]] == [Status.INTERRUPTED]
    assert all(count.running >= 0 and count.pending >= 0 and count.cached >= 0 for count in execution.counts)
    assert not list(flow.store.live_runs())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    flow.edit("os.kill(os.getpid(), signal.SIGINT)", "pass")
    assert flow() == 1
    assert "quick" not in flow.ran


def test_a_run_that_was_killed_is_found_and_what_it_had_written_is_used(tmp_path: Path):
    program = tmp_path / "flow.py"
    program.write_text(
        HEADER
        + """
import os, signal, sys, threading

@task()
def quick(x): ran("quick"); return x + 1

@task()
def dies(x):
    from redun.store import Store
    # only when all that came before is safely stored
    with Store.open("store", read_only=True) as store:
        while not any(run.tail for run in store.live_runs()):
            threading.Event().wait(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

@task()
def main(): return dies(quick(1))

if __name__ == "__main__":
    from redun.executor.scheduler import Scheduler
    from redun.store import Store
    Scheduler(Store.init("store")).run(main())
"""
    )
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    with Store.open(tmp_path / "store") as store:
        _, execution = next(iter(store.executions()))
        assert execution.status is Status.INTERRUPTED
        assert _rows(store)["quick"][0].status is Status.DONE


def test_a_run_off_the_main_thread_leaves_signals_alone(flow: Flow):
    flow.load("@task()\ndef main(): return 1\n")
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(flow()))
    thread.start()
    thread.join()
    assert found == [1]


def test_a_run_error_is_raised_where_there_is_no_other(flow: Flow):
    assert issubclass(CycleError, RunError)
    flow.load("@task()\ndef loop(n): return loop(n)\n")
    with pytest.raises(RunError):
        Scheduler(flow.store).run(flow.expression("loop(1)"))
