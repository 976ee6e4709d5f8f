"""Pools of others: `concurrent.futures`, loky, Dask. Their workers may die and their schedulers be lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from redun.core.errors import ConfigError, JobTimeout, RunError, WorkerLost
from redun.core.objects import Status
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import flow_in
from tests.executor.pool_flows import INSTALLED, Pooled, await_stored, lines

WAIT = 120.0
#: Those of other libraries are left out where these are not installed.
FOREIGN = ["futures", *INSTALLED]
needs_dask = pytest.mark.skipif("dask" not in INSTALLED, reason="distributed is not installed")


@pytest.fixture(params=FOREIGN)
def pooled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pooled]:
    """A workflow whose tasks run in two workers of a pool of others."""
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        yield Pooled(flow, request.param)


SIXTY = """
import os, signal, threading
class Holds(Exception):
    def __init__(self, n):
        super().__init__(n)
        self.lock = threading.Lock()
@task(executor=EXECUTOR)
def work(n):
    if n == 31 and not os.path.exists("was here"):
        open("was here", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if n % 20 == 7:
        raise Holds(n)
    return n * n
@task(executor=EXECUTOR)
def deadly():
    with open("deaths", "a") as log:
        log.write(f"{os.getpid()}\\n")
    os.kill(os.getpid(), signal.SIGKILL)
@task()
def recover(error):
    return -error.args[0]
@task()
def tell(error):
    return str(error)
@task()
def main():
    return [catch(work(n), Exception, recover) for n in range(60)]
@task()
def both():
    return [catch(deadly(), Exception, tell), *[work(n) for n in range(0, 60, 6)]]
"""


def test_sixty_jobs_of_which_three_fail_and_one_kills_its_worker_are_all_answered(pooled: Pooled):
    pooled.load(SIXTY)
    ran = pooled.run()
    assert ran.execution.value == [-n if n % 20 == 7 else n * n for n in range(60)]
    assert [row.status for row in ran.rows].count(Status.FAILED) == 3
    assert list(pooled.flow.store.check()) == []


def test_a_job_that_kills_every_worker_fails_alone(pooled: Pooled):
    pooled.load(SIXTY)
    told, *values = pooled.value("both()")
    assert "the worker that ran deadly" in told
    assert values == [n * n for n in range(0, 60, 6)]
    assert 3 <= len(lines(Path("deaths"))) <= 4


@pytest.mark.parametrize("factory", [lambda: ProcessPoolExecutor(2), lambda: ThreadPoolExecutor(2)])
def test_a_program_gives_the_scheduler_what_makes_a_pool(factory: object, tmp_path: Path):
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        pooled = Pooled(flow, "mine")
        pooled.load("@task(executor=EXECUTOR)\ndef main():\n    return [1, 2**70]\n")
        scheduler = Scheduler(store, executors={"mine": factory})  # type: ignore[dict-item]
        assert scheduler.run(flow.expression("main()")) == [1, 2**70]


def test_a_factory_that_fails_is_asked_once_and_its_jobs_say_why(tmp_path: Path):
    asked = []

    def factory() -> None:
        asked.append(1)
        raise ValueError("no licence")

    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        pooled = Pooled(flow, "mine")
        pooled.load("@task(executor=EXECUTOR)\ndef one(n): return n\n@task()\ndef main(): return [one(1), one(2)]\n")
        scheduler = Scheduler(store, executors={"mine": factory}, keep_going=True)
        error = scheduler.execute(flow.expression("main()")).error
    assert isinstance(error, RunError)
    assert "no licence" in str(error)
    assert asked == [1]


def test_an_executor_that_is_no_factory_is_refused():
    with pytest.raises(ConfigError, match="makes one"):
        Scheduler(executors={"mine": object()})  # type: ignore[dict-item]


def test_a_body_that_runs_longer_than_its_timeout_is_given_up(pooled: Pooled):
    pooled.load("""
import time
@task(executor=EXECUTOR, timeout=0.5)
def hang():
    time.sleep(600)
@task(executor=EXECUTOR, timeout=60)
def fast(n):
    return n
@task()
def recover(error):
    return type(error).__name__
@task()
def main():
    return [catch(hang(), TimeoutError, recover), [fast(n) for n in range(5)]]
""")
    assert pooled.value() == ["JobTimeout", list(range(5))]
    assert isinstance(pooled.run("hang()").execution.error, JobTimeout)


SCRIPT = """
import os, time
from redun import task

@task(executor="EXECUTOR")
def work(n):
    with open("pids", "a") as log:
        log.write(f"{os.getpid()}\\n")
    time.sleep(600 if n else 0)
    return n

@task()
def main(n):
    return [work(0), work(n)]
"""

SETTINGS = {
    "futures": 'factory = "concurrent.futures:ProcessPoolExecutor"\narguments = { max_workers = 2 }',
    "loky": 'factory = "loky:get_reusable_executor"\narguments = { max_workers = 2 }',
    "dask": "workers = 2",
}


def _start(folder: Path, executor: str) -> subprocess.Popen[str]:
    (folder / "script.py").write_text(SCRIPT.replace("EXECUTOR", executor))
    kind = "dask" if executor == "dask" else "futures"
    (folder / "redun.toml").write_text(f'[executors.{executor}]\ntype = "{kind}"\n{SETTINGS[executor]}\n')
    command = [sys.executable, "-m", "redun", "run", "script.py", "main", "--n", "1"]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _begun(folder: Path, running: subprocess.Popen[str]) -> None:
    end = time.monotonic() + WAIT
    while len(lines(folder / "pids")) < 2:
        assert time.monotonic() < end
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)


def _await_empty(session: int) -> None:
    """Waits until no process of a session is left."""
    end = time.monotonic() + WAIT
    while left := _members(session):
        assert time.monotonic() < end, left
        time.sleep(0.01)


def _members(session: int) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if stat and stat[0] not in ("Z", "X") and int(stat[3]) == session:
            found.append(entry.name)
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("executor", FOREIGN)
def test_a_run_that_is_interrupted_leaves_no_process_and_keeps_what_had_finished(
    executor: str, number: signal.Signals, tmp_path: Path
):
    running = _start(tmp_path, executor)
    _begun(tmp_path, running)
    await_stored(tmp_path)
    if number is signal.SIGINT:
        os.killpg(running.pid, number)  # as a terminal does it
    else:
        running.send_signal(number)
    _, told = running.communicate(timeout=WAIT)
    assert running.returncode == 130, told
    assert "Traceback" not in told
    _await_empty(running.pid)
    with Store.open(tmp_path / ".redun" / "store", read_only=True) as store:
        ((_, record),) = store.executions()
        rows = [row for page in store.job_pages(record.pages) for row in page.rows]
        assert sorted(row.status.name for row in rows) == ["DONE", "INTERRUPTED", "INTERRUPTED"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("executor", FOREIGN)
def test_workers_end_when_their_run_is_killed(executor: str, tmp_path: Path):
    running = _start(tmp_path, executor)
    _begun(tmp_path, running)
    running.kill()
    running.communicate(timeout=WAIT)
    _await_empty(running.pid)


@needs_dask
def test_a_dask_scheduler_that_does_not_answer_is_named(tmp_path: Path):
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        pooled = Pooled(flow, "dask")
        pooled.load("@task(executor=EXECUTOR)\ndef main(): return 1\n")
        settings = {"executors": {"dask": {"type": "dask", "address": "tcp://127.0.0.1:9"}}}
        execution = Scheduler(store, config=settings).execute(flow.expression("main()"))
    assert isinstance(execution.error, RunError)
    assert "tcp://127.0.0.1:9" in str(execution.error)


@needs_dask
def test_a_dask_scheduler_that_is_lost_fails_what_ran_there_and_says_so(tmp_path: Path):
    from tests.executor.dask_processes import DaskProcesses

    with (
        DaskProcesses(tmp_path) as dask,
        Store.init(tmp_path / "store") as store,
        flow_in(tmp_path, store) as flow,
    ):
        pooled = Pooled(flow, "dask")
        pooled.load("""
import os, signal
@task(executor=EXECUTOR)
def work(scheduler):
    os.kill(scheduler, signal.SIGKILL)
    import time
    time.sleep(600)
@task()
def near(): return 1
@task()
def main(scheduler): return [near(), work(scheduler)]
""")
        settings = {"executors": {"dask": {"type": "dask", "address": dask.address}}}
        execution = Scheduler(store, config=settings).execute(flow.expression(f"main({dask.scheduler.pid})"))
    assert isinstance(execution.error, WorkerLost)
    assert f"lost with the Dask scheduler at {dask.address}" in str(execution.error)


@needs_dask
def test_code_that_was_edited_is_loaded_anew_by_workers_that_served_earlier_runs(tmp_path: Path):
    from tests.executor.dask_processes import DaskProcesses

    (tmp_path / "shapes.py").write_text("class Square:\n    side = 1\n    def area(self): return self.side\n")
    text = """
from shapes import Square
def helper():
    return 1
@task(executor=EXECUTOR)
def work(n):
    return helper() + n
@task(executor=EXECUTOR)
def area(shape):
    return shape.area()
@task()
def main():
    return [work(n) for n in range(4)] + [area(Square())]
"""
    with (
        DaskProcesses(tmp_path) as dask,
        Store.init(tmp_path / "store") as store,
        flow_in(tmp_path, store) as flow,
    ):
        settings = {"executors": {"dask": {"type": "dask", "address": dask.address}}}
        pooled = Pooled(flow, "dask")
        values = []
        for side, made in ((1, 1), (2, 1), (2, 2), (1, 1)):
            (tmp_path / "shapes.py").write_text(
                f"class Square:\n    side = {side}\n    def area(self): return self.side * {side}\n"
            )
            sys.modules.pop("shapes", None)
            pooled.load(text.replace("return 1", f"return {made}"))
            values.append(Scheduler(store, config=settings, cache=False).run(flow.expression("main()")))
        sys.modules.pop("shapes", None)
    assert values == [[1, 2, 3, 4, 1], [1, 2, 3, 4, 4], [2, 3, 4, 5, 4], [1, 2, 3, 4, 1]]
