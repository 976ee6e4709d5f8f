"""Worker processes: they may die, hang, be cut off and be edited under, and the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.core.errors import JobTimeout, UnknownTask, WorkerCodeMismatch, WorkerLost
from redun.core.objects import ExecRecord, Status
from redun.executor.pools import spool
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import flow_in
from tests.executor.pool_flows import Pooled, await_stored, lines

WAIT = 120.0


@pytest.fixture
def pooled(tmp_path: Path) -> Iterator[Pooled]:
    """A workflow whose tasks run in two worker processes."""
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        yield Pooled(flow, "processes")


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_workers_are_forked_from_a_template_or_started_anew(pooled: Pooled, start_method: str):
    pooled.load("""
import os
@task(executor=EXECUTOR)
def parent(n):
    return os.getppid()
@task(executor=EXECUTOR)
def die(n):
    if not os.path.exists("was here"):
        open("was here", "w").close()
        os._exit(9)
    return n
@task()
def main():
    return [parent(1), die(5)]
""")
    settings = {"executors": {"processes": {"type": "processes", "workers": 1, "start_method": start_method}}}
    scheduler = Scheduler(pooled.flow.store, config=settings)
    started_by, after = scheduler.run(pooled.flow.expression("main()"))
    assert (started_by == os.getpid()) is (start_method == "spawn")
    assert after == 5


DYING = """
import ctypes, os, signal
@task(executor=EXECUTOR)
def die(how):
    with open("deaths", "a") as log:
        log.write(f"{os.getpid()}\\n")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "exit":
        os._exit(7)
    elif how == "leave":
        os._exit(0)
    else:
        ctypes.string_at(0)
@task(executor=EXECUTOR)
def live(n):
    return n
@task()
def recover(error):
    return str(error)
@task()
def main(how):
    return [catch(die(how), Exception, recover), [live(n) for n in range(50)]]
"""


@pytest.mark.parametrize(
    ("how", "told"),
    [("kill", "SIGKILL"), ("exit", "exit code 7"), ("leave", "exit code 0"), ("crash", "SIGSEGV")],
)
def test_a_worker_that_dies_is_tried_three_times_and_fails_its_job_only(pooled: Pooled, how: str, told: str):
    pooled.load(DYING)
    error, values = pooled.value(f"main({how!r})")
    assert told in error
    assert "die" in error
    assert values == list(range(50))
    assert len(set(lines(Path("deaths")))) == 3


def test_the_row_of_a_job_whose_worker_died_says_how_often_it_was_begun(pooled: Pooled):
    pooled.load("""
import os, signal
@task(executor=EXECUTOR)
def once(n):
    if not os.path.exists("was here"):
        open("was here", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return n
""")
    ran = pooled.run("once(5)")
    assert ran.execution.value == 5
    assert [row.attempt for row in ran.rows] == [2]
    failed = pooled.load(DYING) or pooled.run("die('exit')")
    assert isinstance(failed.execution.error, WorkerLost)
    assert [row.attempt for row in failed.rows] == [3]


def test_sixty_jobs_of_which_three_fail_and_one_kills_its_worker_are_all_answered(pooled: Pooled):
    pooled.load("""
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
    assert sum(row.attempt - 1 for row in ran.rows) <= 1


def test_jobs_of_one_message_with_one_that_kills_workers_are_not_blamed(pooled: Pooled):
    pooled.load("""
import os, signal
@task(executor=EXECUTOR)
def work(n):
    if n == 150:
        os.kill(os.getpid(), signal.SIGKILL)
    return n
@task()
def recover(error):
    return str(error)
@task()
def main():
    return [catch(work(n), Exception, recover) for n in range(300)]
""")
    values = pooled.value()
    assert "SIGKILL" in values.pop(150)
    assert values == [n for n in range(300) if n != 150]


def test_a_body_that_runs_longer_than_its_timeout_is_ended_with_all_that_it_started(pooled: Pooled):
    pooled.load("""
import os, subprocess, sys, time
@task(executor=EXECUTOR)
def hang(n):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open("pids", "a") as log:
        log.write(f"{os.getpid()}\\n{child.pid}\\n")
    child.wait()
@task(executor=EXECUTOR, timeout=120)
def fast(n):
    return n
@task()
def recover(error):
    return type(error).__name__
@task()
def main(seconds):
    return [catch(hang.options(timeout=seconds)(1), TimeoutError, recover), [fast(n) for n in range(10)]]
""")
    seconds = 0.3
    while not lines(Path("pids")):  # where the machine is busy, that may be over before the child has begun
        assert pooled.value(f"main({seconds})") == ["JobTimeout", list(range(10))]
        seconds *= 4
    pids = [int(line) for line in lines(Path("pids"))]
    assert len(pids) == 2
    assert not [pid for pid in pids if _is_alive(pid)]
    assert isinstance(pooled.run("hang.options(timeout=0.3)(2)").execution.error, JobTimeout)


def test_the_timeout_of_a_job_begins_when_its_body_does(pooled: Pooled, tmp_path: Path):
    (tmp_path / "slow_import.py").write_text("import time\ntime.sleep(0.6)\n")
    pooled.load("""
@task(executor=EXECUTOR, timeout=0.5)
def main():
    return 1
""")
    text = (tmp_path / "flow.py").read_text()
    (tmp_path / "flow.py").write_text(text + "\nimport os\nif os.environ.get('SLOW'): import slow_import\n")
    pooled.flow.reload()
    os.environ["SLOW"] = "1"
    try:
        assert pooled.value() == 1
    finally:
        del os.environ["SLOW"]


def test_code_that_was_edited_after_the_run_loaded_it_fails_the_job_and_stores_nothing(pooled: Pooled, tmp_path: Path):
    pooled.load("@task(executor=EXECUTOR)\ndef main():\n    return 1\n")
    path = tmp_path / "flow.py"
    path.write_text(path.read_text().replace("return 1", "return 2"))
    ran = pooled.run()
    assert isinstance(ran.execution.error, WorkerCodeMismatch)
    pooled.flow.reload()
    assert pooled.value() == 2


def test_the_code_of_an_argument_is_checked_as_that_of_the_task_is(pooled: Pooled, tmp_path: Path):
    (tmp_path / "shapes.py").write_text("class Square:\n    def area(self): return 1\n")
    pooled.load("""
from shapes import Square
@task(executor=EXECUTOR)
def area(shape):
    return shape.area()
""")
    (tmp_path / "shapes.py").write_text("class Square:\n    def area(self): return 2\n")
    try:
        assert isinstance(pooled.run("area(Square())").execution.error, WorkerCodeMismatch)
    finally:
        del sys.modules["shapes"]


def test_a_task_that_no_worker_can_load_fails_and_says_what_to_do(pooled: Pooled):
    pooled.load("""
def make():
    @task(executor=EXECUTOR, name="local")
    def local(): return 1
    return local
local = make()
@task(executor=EXECUTOR)
def maker():
    @task(name="other")
    def other(): return 1
    return other()
""")
    pooled.module.hidden = pooled.flow.expression("task(executor='processes', name='hidden')(lambda: 1)")
    assert pooled.value("local()") == 1
    for text in ("hidden()", "maker()"):
        error = pooled.run(text).execution.error
        assert isinstance(error, UnknownTask)
        assert "top level of a module" in error.hint


def test_workers_are_other_processes_as_many_as_were_asked_for_and_gone_afterwards(pooled: Pooled):
    pooled.load("""
import os, time
@task(executor=EXECUTOR, timeout=60)
def work(n):
    open(f"worker-{os.getpid()}", "w").close()
    while sum(name.startswith("worker-") for name in os.listdir()) < 2:
        time.sleep(0.01)
    return os.getpid()
@task()
def main():
    return [work(n) for n in range(8)]
""")
    pids = set(pooled.value())
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert not [pid for pid in pids if _is_alive(pid)]


def test_a_worker_that_dies_and_leaves_a_child_behind_is_seen_to_be_gone(pooled: Pooled):
    pooled.load("""
import os, time
@task(executor=EXECUTOR)
def main():
    child = os.fork()
    if child == 0:
        time.sleep(600)
    with open("children", "a") as log:
        log.write(f"{child}\\n")
    os._exit(3)
""")
    assert "exit code 3" in str(pooled.run().execution.error)
    children = [int(line) for line in lines(Path("children"))]
    assert len(children) == 3
    _await_end(children)


def test_large_results_pass_through_no_pipe_and_leave_nothing_behind(pooled: Pooled, monkeypatch: pytest.MonkeyPatch):
    made: list[str] = []
    make = spool.make

    def noted() -> str:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(spool, "make", noted)
    pooled.load("""
@task(executor=EXECUTOR)
def blob(n):
    return bytes([n]) * 10_000_000
@task(executor=EXECUTOR)
def many(n):
    return [f"{n}-{i}" for i in range(100_000)]
@task(executor=EXECUTOR)
def size(value, other):
    return len(value), other[-1]
@task()
def main():
    return [size(blob(n), many(n)) for n in range(4)]
""")
    assert pooled.value() == [(10_000_000, f"{n}-99999") for n in range(4)]
    assert made
    assert not any(os.path.exists(directory) for directory in made)
    assert list(pooled.flow.store.check()) == []


SCRIPT = """
import os, sys, time
from redun import task, Scheduler
from redun.store import Store

@task(executor="processes")
def work(n):
    with open("pids", "a") as log:
        log.write(f"{os.getpid()}\\n")
    time.sleep(600 if n else 0)
    return n

@task()
def main(n):
    return [work(0), work(n)]
"""


def _start(folder: Path, *command: str) -> subprocess.Popen[str]:
    (folder / "script.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _await(folder: Path, count: int) -> list[int]:
    end = time.monotonic() + WAIT
    while len(lines(folder / "pids")) < count:
        assert time.monotonic() < end
        time.sleep(0.01)
    return [int(line) for line in lines(folder / "pids")]


def _await_end(pids: list[int]) -> None:
    end = time.monotonic() + WAIT
    while any(map(_is_alive, pids)):
        assert time.monotonic() < end
        time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_ends_its_workers_and_keeps_what_had_finished(tmp_path: Path, number: signal.Signals):
    running = _start(tmp_path, "-m", "redun", "run", "script.py", "main", "--n", "1")
    pids = _await(tmp_path, 2)
    await_stored(tmp_path)
    running.send_signal(number)
    _, told = running.communicate(timeout=WAIT)
    assert running.returncode == 130, told
    _await_end(pids)
    with Store.open(tmp_path / ".redun" / "store", read_only=True) as store:
        ((_, record),) = store.executions()
        assert record.status is Status.INTERRUPTED
        rows = [row for page in store.job_pages(record.pages) for row in page.rows]
        assert sorted(row.status.name for row in rows) == ["DONE", "INTERRUPTED", "INTERRUPTED"]


def test_workers_end_when_their_run_is_killed(tmp_path: Path):
    running = _start(tmp_path, "-m", "redun", "run", "script.py", "main", "--n", "1")
    pids = _await(tmp_path, 2)
    running.kill()
    running.communicate(timeout=WAIT)
    _await_end(pids)


def test_a_script_that_is_run_as_a_program_finds_its_own_tasks_in_workers(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(SCRIPT + "\nif __name__ == '__main__':\n    print(Scheduler().run(main(0)))\n")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert (done.stdout, done.stderr) == ("[0, 0]\n", "")


def test_a_module_that_is_run_as_a_program_imports_its_neighbours_in_workers_as_well(tmp_path: Path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    (tmp_path / "pack" / "things.py").write_text("class Thing:\n    n = 4\n")
    (tmp_path / "pack" / "program.py").write_text(
        SCRIPT.replace("import os", "from .things import Thing\nimport os")
        + "\n@task(executor='processes')\ndef get(thing): return thing.n\n"
        + "if __name__ == '__main__':\n    print(Scheduler().run([main(0), get(Thing())]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pack.program"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[[0, 0], 4]\n", "")


def test_a_script_without_a_guard_is_told_of_it_and_starts_no_workers_without_end(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(SCRIPT + "\nprint(Scheduler().run(main(0)))\n")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert done.returncode == 1
    assert "__main__" in done.stderr


def test_what_interrupted_workers_had_begun_runs_again(tmp_path: Path):
    running = _start(tmp_path, "-m", "redun", "run", "script.py", "main", "--n", "1")
    _await(tmp_path, 2)
    running.kill()
    running.communicate(timeout=WAIT)
    (tmp_path / "script.py").write_text(SCRIPT.replace("600 if n else 0", "0"))
    again = subprocess.run(
        [sys.executable, "-m", "redun", "run", "script.py", "main", "--n", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert again.stdout.strip() == "[0, 1]"
    with Store.open(tmp_path / ".redun" / "store", read_only=True) as store:
        assert [ExecRecord.parse(store.get(digest)[1]).status.name for digest, _ in store.executions()]
