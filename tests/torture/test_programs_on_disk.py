"""Random programs and edits against stores on disk: a store changes no result, also when runs are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given

from redun.store import Store
from tests.executor.flows import HEADER
from tests.executor.programs import Program, histories
from tests.executor.test_programs import check_edits, check_files, many_changes, many_threads, some_threads

ROOT = Path(__file__).parents[2]


@given(histories(files=False), many_threads)
def test_a_store_on_disk_changes_no_result_and_runs_nothing_twice(versions: list[Program], counts: list[int]):
    check_edits(versions, counts, Store.init)


@given(histories(files=True), many_changes, some_threads)
def test_a_store_on_disk_changes_no_result_when_files_come_and_go(
    versions: list[Program], changes: list[tuple[str, int]], threads: int
):
    check_files(versions, changes, threads, Store.init)


# -- killed runs ------------------------------------------------------------------------------------------------------

KILLED = (
    HEADER
    + """
import sys, threading
from pathlib import Path

@task()
def leaf(x):
    threading.Event().wait(0.002)
    file = File(f"out/{x}.txt")
    file.write(str(x * 3))
    return file

@task()
def read(file):
    threading.Event().wait(0.001)
    return int(file.read())

@task()
def pair(a, b):
    return {"sum": a + b, "parts": [a, b]}

@task()
def tree(low, high):
    if high - low == 1:
        return read(leaf(low))
    middle = (low + high) // 2
    return pair(total(tree(low, middle)), total(tree(middle, high)))

@task()
def total(x):
    return x if isinstance(x, int) else x["sum"]

@task()
def main():
    return [tree(0, 60), sum_([read(leaf(i)) for i in range(0, 60, 7)])]

@task()
def sum_(xs):
    return sum(xs)

if __name__ == "__main__":
    from redun.executor.scheduler import Scheduler
    from redun.store import Store

    store = Store.open("store") if Path("store").exists() else Store.init("store")
    with store:
        print(Scheduler(store, threads=4, replay=sys.argv[1]).run(main()))
"""
)


def _start(folder: Path, replay: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(random.randrange(1000))}
    command = [sys.executable, "flow.py", replay]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("seed", range(20))
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_result(seed: int, tmp_path: Path):
    chance = random.Random(seed)
    for name in ("killed", "cold"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "flow.py").write_text(KILLED)
    expected = _start(tmp_path / "cold", "whole").communicate()[0]
    for number in range(6):
        process = _start(tmp_path / "killed", chance.choice(["whole", "step"]))
        try:
            process.communicate(timeout=chance.uniform(0.05, 0.5) if number else 1.0)
        except subprocess.TimeoutExpired:
            process.send_signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT]))
            process.communicate()
        if chance.random() < 0.3:
            for path in sorted((tmp_path / "killed" / "out").glob("*.txt"))[::3]:
                path.unlink()
    for replay in ("whole", "step"):
        assert _start(tmp_path / "killed", replay).communicate()[0] == expected
    with Store.open(tmp_path / "killed" / "store") as store:
        assert not list(store.live_runs())
        assert len(list(store.executions())) >= 2
