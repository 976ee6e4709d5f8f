"""Others at work on the same store: several processes, and forks in the middle of a run."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from redun.core.objects import Status
from redun.store import Store, check
from tests.e2e.company import COMMAND, keep_company


def test_runs_writers_and_readers_share_a_store_that_grows(tmp_path: Path) -> None:
    keep_company(tmp_path, runs=2, writers=1, readers=1, megabytes=100)
    assert (tmp_path / ".redun" / "store" / "data.mdb").stat().st_size > 64 * 2**20


# -- forks ------------------------------------------------------------------------------------------------------------

FORKS = """
import multiprocessing, os, sys, threading
from redun import task

redun_namespace = "f"

def double(n):
    return n * 2

@task()
def child_exits(n):
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) + n

@task()
def child_ends_as_programs_do(n):
    pid = os.fork()
    if pid == 0:
        sys.exit(8)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) + n

@task()
def child_goes_on(n):
    pid = os.fork()
    if pid == 0:
        return "from the child"
    return os.waitpid(pid, 0)[0] == pid and n

@task()
def pool(n):
    with multiprocessing.get_context("fork").Pool(2) as workers:
        return sum(workers.map(double, range(n)))

@task()
def outlives(n):
    pid = os.fork()
    if pid == 0:
        os.closerange(1, 1000)
        threading.Event().wait(60)
        os._exit(0)
    open("outlives.pid", "w").write(str(pid))
    return n

@task()
def quick(n):
    return n + 1

@task()
def many(name, n):
    return [quick(n + i) for i in range(50)]

@task()
def main(name, n=10):
    return [globals()[name](n), many(name, n), globals()[name](n + 1)]
"""


def _run(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "run", *words]
    return subprocess.run(command, cwd=path, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("jobs", ["1", "8"])
@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("child_exits", 17, 18),
        ("child_ends_as_programs_do", None, None),
        ("child_goes_on", 10, 11),
        ("pool", 90, 110),
        ("outlives", 10, 11),
    ],
)
def test_a_fork_in_a_body_leaves_the_run_alone(
    tmp_path: Path, name: str, first: int | None, last: int | None, jobs: str
) -> None:
    (tmp_path / "w.py").write_text(FORKS)
    done = _run(tmp_path, "-j", jobs, "w.py", "main", "--name", name)
    assert done.returncode == 0, done.stderr
    middle = [11 + i for i in range(50)]
    if first is not None:
        assert ast.literal_eval(done.stdout) == [first, middle, last]
    store = tmp_path / ".redun" / "store"
    assert list(check(store)) == []
    with Store.open(store) as opened:
        assert [record.status for _, record in opened.executions()] == [Status.DONE]
        assert opened.live_runs() == []
        assert opened.readers() == []
    again = _run(tmp_path, "w.py", "main", "--name", name)
    assert "Run " not in again.stderr
    if (tmp_path / "outlives.pid").exists():
        os.kill(int((tmp_path / "outlives.pid").read_text()), signal.SIGKILL)


_PROGRAM = """
import multiprocessing, os, sys, threading
from redun.core.codec import pack
from redun.core.errors import StoreError
from redun.store import Batch, Store

def use(digest):
    answers = []
    for attempt in (
        lambda: store.get(digest), lambda: store.put("value", pack("child")), lambda: store.live_runs(),
        lambda: list(store.check()), lambda: store.readers(), lambda: store.commit(Batch()),
    ):
        try:
            attempt()
            answers.append("none")
        except StoreError as error:
            answers.append("fork of it" in str(error))
    return answers

store = Store.open(sys.argv[1])
digest = store.put("value", pack("parent"))
stop = threading.Event()

def write():
    number = 0
    while not stop.is_set():
        store.put("value", pack(["thread", number, "x" * 2000]))
        number += 1

threads = [threading.Thread(target=write) for _ in range(2)]
for thread in threads:
    thread.start()
ends = []
for number in range(10):  # while other threads are inside transactions
    pid = os.fork()
    if pid == 0:
        good = use(digest) == [True] * 6
        if number % 2:
            os._exit(0 if good else 1)
        store.close()
        os._exit(0 if good else 1)
    ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(ends == [0] * 10)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(use, [digest] * 4) == [[True] * 6] * 4)
stop.set()
for thread in threads:
    thread.join()
print(store.get(digest) == ("value", pack("parent")), list(store.check()), store.readers())
store.close()
"""


def test_a_program_that_forks_with_a_store_open_keeps_it_and_its_children_are_told(tmp_path: Path) -> None:
    Store.init(tmp_path / "s").close()
    words = [sys.executable, "-c", _PROGRAM, str(tmp_path / "s")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["True", "True", "True [] []"]), done.stderr
    assert list(check(tmp_path / "s")) == []
