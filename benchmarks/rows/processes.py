"""Whole processes: the tutorial's workflow, and commands over a large history."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.history_scale import build
from benchmarks.measure import ROOT, Bench, Figure, process, redun_command, timed

HELLO: Final = ROOT / "examples" / "hello_world" / "hello_world.py"
_COLD_MS: Final = 150.0
_WARM_MS: Final = 120.0
_COMMAND_MS: Final = 80.0
#: What of the commands that `history_scale` times has a target.
_TIMED: Final = ("log", "log JOB", "cat-object (a task)")


def hello(bench: Bench) -> Iterator[Figure]:
    """`redun run hello_world.py main`, and the interpreter alone."""
    argv = [*redun_command(), "run", str(HELLO), "main"]
    repeat = 3 * bench.repeat
    cold, warm = [], []
    with bench.fresh() as directory:
        bare = [process([sys.executable, "-c", "pass"], directory) for _ in range(repeat)]
    for _ in range(repeat):
        with bench.fresh() as directory:
            cold.append(process(argv, directory))
            warm.append(process(argv, directory))
    yield timed("process.python", "`python -c pass`", "ms", bare)
    yield timed("process.run.cold", "`redun run hello_world.py main`, cold", "ms", cold, target=_COLD_MS)
    yield timed("process.run.warm", "`redun run hello_world.py main`, warm", "ms", warm, target=_WARM_MS)


def history(bench: Bench) -> Iterator[Figure]:
    """`--help`, `log` and `cat-object` over a store of 200,000 objects."""
    jobs, runs = bench.size(100_000, 2_000), bench.size(100, 10)
    with bench.fresh() as directory:
        found = build(directory, jobs, runs)
        words = {"--help": ["--help"], **{what: found[what] for what in _TIMED}}
        for what, argv in words.items():
            yield _command(bench, directory, what, argv, 2 * jobs)


def _command(bench: Bench, directory: Path, what: str, argv: Sequence[str], objects: int) -> Figure:
    samples = [process([*redun_command(), *argv], directory) for _ in range(3 * bench.repeat)]
    name = what.strip("-").replace(" ", "-").replace("(", "").replace(")", "")
    shown = f"`redun {what}`, store of {objects:,} objects"
    return timed(f"process.{name}", shown, "ms", samples, target=_COMMAND_MS)
