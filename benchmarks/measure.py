"""Samples of time, and where they come from: a child of its own for each, so that none warms up the next."""

from __future__ import annotations

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
JOBS_FLOW: Final = ROOT / "benchmarks" / "flows" / "jobs.py"
CONTROL_FLOW: Final = ROOT / "benchmarks" / "flows" / "control.py"
#: From seconds to the units that people read.
_SCALE: Final[Mapping[str, float]] = {"us": 1e6, "us/job": 1e6, "ms": 1e3, "s": 1.0}


class Sample(NamedTuple):
    """What one measurement took, in seconds: by the clock, and of the processor (user and system, all threads)."""

    wall: float
    cpu: float


class Ran(NamedTuple):
    """What a child tells of the executions that it ran.

    Attributes:
        samples: one an execution.
        value: of the last execution.
        bodies: task -> bodies that ran, in the last execution.
        peak: bytes that the process grew by at most, over what it had before the first execution.
    """

    samples: list[Sample]
    value: Any
    bodies: dict[str, int]
    peak: int


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        name: stays the same from version to version; what `--rows` selects by.
        what: for people.
        unit: of the values.
        values: one a repetition.
        cpu: the same in processor time, where that says more than the clock.
        target: what is to be reached; None for a figure that is only reported.
        at_least: whether more is better.
        note: what else to know.
    """

    name: str
    what: str
    unit: str
    values: Sequence[float]
    cpu: Sequence[float] = ()
    target: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def best(self) -> float:
        """The best value: what the code takes when nothing else is going on."""
        return max(self.values) if self.at_least else min(self.values)

    def verdict(self) -> str:
        """Returns whether the target is reached.

        `yes` and `NO` speak of the median by the clock. Between them: `at best` (the best repetition reaches it) and
        `cpu` (only the processor time does: something else was using the machine, or there was a disk to wait for).
        """
        if self.target is None:
            return ""
        if self._reaches(self.median):
            return "yes"
        if self._reaches(self.best):
            return "at best"
        return "cpu" if self.cpu and self._reaches(statistics.median(self.cpu)) else "NO"

    def _reaches(self, value: float) -> bool:
        assert self.target is not None
        return value >= self.target if self.at_least else value <= self.target

    def record(self) -> dict[str, Any]:
        """Returns what is kept of it as JSON."""
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "values": list(self.values),
            "cpu": list(self.cpu),
            "target": self.target,
            "reached": self.verdict(),
            "note": self.note,
        }


def timed(name: str, what: str, unit: str, samples: Sequence[Sample], *, by: int = 1, **more: Any) -> Figure:
    """Returns the figure of samples of time, divided by a number of jobs."""
    scale = _SCALE[unit] / by
    walls, cpus = [s.wall * scale for s in samples], [s.cpu * scale for s in samples]
    return Figure(name, what, unit, walls, cpus, **more)


@dataclass
class Bench:
    """What every row is given.

    Attributes:
        quick: whether small sizes are to do.
        directory: where stores are made, on a real disk.
        repeat: how often each thing is measured.
        peer: the interpreter of the environment of the system of the seed; None to leave it out.
        memory: what rows tell each other (the cost of a job in the fan-out).
    """

    quick: bool
    directory: Path
    repeat: int
    peer: Path | None = None
    memory: dict[str, float] = field(default_factory=dict)

    def size(self, full: int, quick: int) -> int:
        """Returns one of two sizes."""
        return quick if self.quick else full

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Gives a new directory, and removes it afterwards."""
        path = Path(tempfile.mkdtemp(prefix="redun-bench-", dir=self.directory))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def execute(
    store: Path,
    flow: Path,
    task: str,
    *args: Any,
    replay: str = "whole",
    threads: int | None = None,
    runs: int = 1,
) -> Ran:
    """Runs a task in a process of its own, that many times against one store, and returns how long the executions took.

    Raises:
        RuntimeError: if it fails.
    """
    wish = {"store": str(store), "flow": str(flow), "task": task, "args": args, "replay": replay, "threads": threads}
    told = ask([sys.executable, "-m", "benchmarks.child", json.dumps({**wish, "runs": runs})], ROOT)
    return Ran([Sample(*pair) for pair in told["samples"]], told["value"], told["bodies"], told["peak"])


def ask(command: Sequence[str], cwd: Path) -> Any:
    """Runs a process that prints one line of JSON, and returns that.

    Raises:
        RuntimeError: if it fails.
    """
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(_failure(command, done.stderr))
    return json.loads(done.stdout.splitlines()[-1])


def process(command: Sequence[str], cwd: Path) -> Sample:
    """Runs a process, its output into pipes, and returns what that took from start to end.

    Raises:
        RuntimeError: if it fails.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, check=False)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(_failure(command, done.stderr.decode(errors="replace")))
    return Sample(wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def _failure(command: Sequence[str], told: str) -> str:
    said = [line for line in told.splitlines() if line.strip()]
    return f"{' '.join(command)[:100]} failed: {said[-1] if said else 'it said nothing'}"


def redun_command() -> list[str]:
    """Returns the command `redun` of this environment."""
    script = Path(sys.executable).with_name("redun")
    if script.exists():
        return [str(script)]
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from redun.cli.app import main; main()"
    return [sys.executable, "-c", start]


def clocked(function: Callable[[], Any]) -> Sample:
    """Calls a function and returns what that took in this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    function()
    return Sample(time.perf_counter() - wall, time.process_time() - cpu)
