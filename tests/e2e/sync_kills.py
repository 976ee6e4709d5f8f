"""Pushes and pulls of which one side is killed at one of its calls into the system, and what must hold after each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal, NamedTuple

from redun import Scheduler, task
from redun.core.digest import Digest
from redun.store import Store

Way = Literal["push", "pull"]
Side = Literal["asks", "serves"]

_MOMENTS: Final = Path(__file__).with_name("moments.py")
#: In the place of ssh: runs what is to be run over there, here.
_HERE: Final = """#!/bin/sh
for last; do :; done
exec sh -c "$last"
"""


@task(namespace="kills")
def step(number: int, mark: str) -> str:
    """Returns a value of its own."""
    return f"{mark} {number}"


@task(namespace="kills")
def large(mark: str) -> bytes:
    """Returns what lies in a file of its own."""
    return mark.encode() * 1_500_000


@task(namespace="kills")
def fan(mark: str) -> list[object]:
    """Calls the others."""
    return [large(mark), *[step(number, mark) for number in range(200)]]


class Trial(NamedTuple):
    """What became of a transfer: whether it was killed, the calls that were counted, and the objects that were there
    when it had been."""

    killed: bool
    calls: int
    kept: int


class Stores:
    """A store with something in it, and empty ones to push it to, or to pull it into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.full = folder / "full" / ".redun" / "store"
        self.full.parent.mkdir(parents=True)
        self._here = folder / "here"
        self._here.write_text(_HERE)
        self._here.chmod(0o755)
        with Store.init(self.full) as store:
            for mark in "ab":
                assert Scheduler(store).execute(fan(mark)).error is None
            self.refs = store.refs("executions/")
            self.all: list[Digest] = [digest for digest, *_ in store.walk(list(self.refs.values()))]

    def check(self, way: Way, side: Side, at: int) -> Trial:
        """Kills one side of a transfer at its call of that number, checks both, and does it again."""
        empty = self.folder / "empty"
        target = empty / ".redun" / "store"
        target.parent.mkdir(parents=True)
        with Store.init(target):
            pass
        try:
            done, calls = self._transfer(way, side, at)
            whole = done.returncode == 0
            assert whole or done.returncode == -signal.SIGKILL or side == "serves", done
            assert "Traceback" not in done.stderr, done.stderr
            with Store.open(target) as store:
                assert list(store.check(level=4)) == []
                left = len(store.absent(self.all))
                assert bool(store.refs("executions/")) <= (left == 0)
                if way == "push":
                    with Store.open(self.full) as full:
                        moved = full.sync.push(str(empty)).objects
                else:
                    moved = store.sync.pull(str(self.full)).objects
                assert moved == left
                assert store.absent(self.all) == []
                assert store.refs("executions/") == self.refs
                assert list(store.check(level=4)) == []
            with Store.open(self.full) as full:
                assert list(full.check(level=4)) == []
            return Trial(not whole, calls, len(self.all) - left)
        finally:
            shutil.rmtree(empty)

    def _transfer(self, way: Way, side: Side, at: int) -> tuple[subprocess.CompletedProcess[str], int]:
        count = self.folder / "count"
        count.write_text("0")
        plain = [sys.executable, "-m", "redun.cli.app"]
        killed = [sys.executable, str(_MOMENTS), str(at), str(count)]
        asks, serves = (killed, plain) if side == "asks" else (plain, killed)
        here, there = (self.full.parents[1], "empty") if way == "push" else (self.folder / "empty", "full")
        environment = {
            **os.environ,
            "REDUN_SSH": str(self._here),
            "REDUN_REMOTE_COMMAND": " ".join(serves),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        words = [*asks, way, f"here:{self.folder / there}"]
        done = subprocess.run(words, cwd=here, env=environment, check=False, capture_output=True, text=True, timeout=60)
        return done, int(count.read_text())


def calls_of(stores: Stores, way: Way, side: Side) -> int:
    """Returns how many calls one side of a whole transfer makes."""
    trial = stores.check(way, side, 0)
    assert not trial.killed
    return trial.calls
