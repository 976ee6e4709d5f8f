"""Runs of the real command that are killed at random moments, and what must hold after each."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

from redun.core.codec import unpack
from redun.core.digest import Digest
from redun.core.objects import CallRecord, JobRow, Outcome, Status, TaskRecord
from redun.store import Store, check

COMMAND: Final = [sys.executable, "-m", "redun.cli.app"]

#: Wide, deep, nested and large at once. Half of what a round computes the next one needs too. Every call has a name,
#: which its body writes to a file before it does anything.
WORKFLOW: Final = """
import os, threading
from redun import task

redun_namespace = "k"

def body(name, n):
    with open("bodies", "a") as file:
        file.write(f"{name}({n})\\n")
    threading.Event().wait(0.001)

@task()
def leaf(n):
    body("leaf", n)
    return n * 7

@task()
def link(n, to):
    body("link", n * 1000 + to)
    return link(n + 1, to) if n < to else n

@task()
def tree(low, high):
    body("tree", low * 1000 + high)
    if high - low == 1:
        return leaf(low)
    middle = (low + high) // 2
    return total(low * 1000 + high, [tree(low, middle), tree(middle, high)])

@task()
def total(n, xs):
    body("total", n)
    return sum(xs)

@task()
def large(n):
    body("large", n)
    return bytes([n % 251]) * 1_500_000

@task()
def size(n, data):
    body("size", n)
    return len(data) + data[-1]

@task()
def main(at):
    body("main", at)
    wide = total(-at, [leaf(n) for n in range(at, at + 120)])
    return [wide, link(at, at + 25), tree(at, at + 24), [size(n, large(n)) for n in range(at, at + 8)]]
"""
#: How far a round's work is moved; less than its width, so that rounds share work.
_STEP: Final = 17
#: A run is killed after one of so many lines about its jobs.
_LINES: Final = 260


class Victim:
    """A directory with the workflow and a store, and what is known of it so far.

    Attributes:
        known: calls whose answer the store had recorded when a run ended or was killed: their bodies must never run
            again.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.store = path / ".redun" / "store"
        self.chance = random.Random(seed)
        self.known: set[str] = set()
        self._learned: set[bytes] = set()
        self.rounds = 0
        path.mkdir()
        (path / "w.py").write_text(WORKFLOW)

    def start(self) -> subprocess.Popen[str]:
        """Starts a run of the next round."""
        self.rounds += 1
        return self._start(self.rounds)

    def _start(self, number: int) -> subprocess.Popen[str]:
        options = ["-j", str(self.chance.choice([1, 4, 20])), "--replay", self.chance.choice(["whole", "step"])]
        words = [*COMMAND, "run", *options, "w.py", "main", "--at", str(number * _STEP)]
        return subprocess.Popen(words, cwd=self.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def bodies(self) -> Counter[str]:
        """Returns which bodies have begun since this was asked last, and how often."""
        notes = self.path / "bodies"
        text = notes.read_text() if notes.exists() else ""
        notes.unlink(missing_ok=True)
        return Counter(text.split())

    def kill(self, run: subprocess.Popen[str], lines: int) -> bool:
        """Kills a run a moment after it has told of so many jobs; returns whether it had not ended before."""
        assert run.stderr is not None
        for _ in range(lines):
            if not run.stderr.readline():
                break
        with suppress(subprocess.TimeoutExpired):
            # Mostly at once; a part of the moments must lie between and after the lines, and in the seal.
            run.wait(timeout=self.chance.choice([0, 0.003, 0.01, 0.03, 0.1]) * self.chance.random())
        run.send_signal(signal.SIGKILL)
        run.communicate()
        return run.returncode == -signal.SIGKILL

    def check_after_kill(self) -> None:
        """Checks all that must hold once a run was killed, and learns what it had recorded."""
        if not (self.store / "FORMAT").exists():
            return  # killed before there was a store
        assert list(check(self.store)) == []
        with Store.open(self.store, read_only=True) as store:
            dead = store.live_runs()
            assert all(not info.alive for info in dead)
            assert len(dead) <= 1
        shown = subprocess.run([*COMMAND, "log"], cwd=self.path, capture_output=True, text=True, check=True).stdout
        assert ("[INTERR]" in shown) >= bool(dead)
        assert "[ RUN  ]" not in shown
        self._learn({info.uuid for info in dead})
        assert list(check(self.store)) == []

    def _learn(self, dead: set[bytes]) -> None:
        with Store.open(self.store) as store:
            assert store.live_runs() == []
            assert list((self.store / "runs").iterdir()) == []
            records = {record.uuid: record for _, record in store.executions()}
            assert all(records[uuid].status is Status.INTERRUPTED for uuid in dead)
            assert [record.status for record in records.values() if record.status is Status.RUNNING] == []
            for uuid, record in records.items():
                if uuid not in self._learned:
                    self._learned.add(uuid)
                    rows = [row for page in store.job_pages(record.pages) for row in page.rows]
                    self.known.update(filter(None, (_answered(store, row) for row in rows)))

    def check_bodies(self) -> Counter[str]:
        """Checks that no body ran that the store had an answer for, and none twice in a run; returns those that ran."""
        ran = self.bodies()
        assert sorted(self.known & set(ran)) == []
        assert [name for name, times in ran.items() if times > 1] == []
        return ran

    def finish(self) -> Digest:
        """Runs the last round to its end, twice; returns what it gave."""
        for again in (False, True):
            run = self._start(self.rounds)
            _, told = run.communicate()
            assert run.returncode == 0, told
            if again:
                assert self.bodies() == {}
            else:
                self.check_bodies()
        assert list(check(self.store)) == []
        return result_of(self.store)


def result_of(path: Path) -> Digest:
    """Returns the id of what the latest execution gave."""
    with Store.open(path, read_only=True) as store:
        _, record = next(store.executions())
        assert record.status is Status.DONE
        assert record.root is not None
        result = CallRecord.parse(store.get(record.root)[1]).result
        assert result is not None
        return result


def _answered(store: Store, row: JobRow) -> str | None:
    """Returns the name of a job's call if its body need not run again: what it returned is recorded."""
    if row.call is None:
        return None
    call = CallRecord.parse(store.get(row.call)[1])
    if call.outcome is Outcome.PARTIAL and call.reduction is None:
        return None
    name = TaskRecord.parse(store.get(call.task)[1]).fullname.removeprefix("k.")
    first = unpack(store.get(call.args[0])[1])
    if name in ("link", "tree"):
        first = first * 1000 + unpack(store.get(call.args[1])[1])
    return f"{name}({first})"


def kill_again_and_again(path: Path, seed: int, kills: int) -> tuple[int, int]:
    """Kills so many runs on one store, then lets one end and compares it with one on an empty store.

    Returns how many bodies had begun in the runs that were killed, and of how many of those the answer was recorded.
    """
    victim = Victim(path / "killed", seed)
    begun = kept = 0
    while kills:
        run = victim.start()
        met = victim.kill(run, victim.chance.randrange(_LINES))
        ran = victim.check_bodies()
        victim.check_after_kill()
        if met:
            kills -= 1
            begun += len(ran)
            kept += len(victim.known.intersection(ran))
    given = victim.finish()
    untouched = Victim(path / "untouched", seed)
    untouched.rounds = victim.rounds
    assert given == untouched.finish()
    return begun, kept
