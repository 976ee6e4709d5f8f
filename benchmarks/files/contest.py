"""Several programs that do the same work, one after the other, step by step, in the same minutes."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.measure import Bench, Figure, Sample, process, timed

#: Step -> what is done to the directory before the command runs (again). The first is in a new directory.
Steps = Mapping[str, Callable[[Path], object]]
OURS: Final = "redun-core"


@dataclass(frozen=True)
class Contestant:
    """A program.

    Attributes:
        name: for people.
        command: what each step runs.
        result: the file that holds what it found, which must be the same for all.
        repeat: how often all steps are run at most: some are slow.
    """

    name: str
    command: Sequence[str]
    result: str
    repeat: int = 1_000


def contest(
    bench: Bench, name: str, what: str, make: Callable[[Path], object], steps: Steps, all_: Sequence[Contestant]
) -> Iterator[Figure]:
    """Runs all steps of each contestant in turn, and yields figures: each step's time, and in how many multiples of
    ours the others take it.

    Raises:
        RuntimeError: if one fails, or finds something else than the first.
    """
    samples: dict[str, dict[str, list[Sample]]] = {who.name: {step: [] for step in steps} for who in all_}
    for turn in range(bench.repeat):
        told: dict[str, bytes] = {}
        for who in all_:
            if turn >= who.repeat:
                continue
            with bench.fresh() as directory:
                make(directory)
                for step, change in steps.items():
                    change(directory)
                    samples[who.name][step].append(process(who.command, directory))
                    found = (directory / who.result).read_bytes()
                    if told.setdefault(step, found) != found:
                        raise RuntimeError(f"{who.name}: {who.result} is another one after {step!r}")
    for step in steps:
        ours = samples[OURS][step]
        for who in all_:
            taken = samples[who.name][step]
            note = "" if who.name == OURS else _ratio(taken, ours)
            yield timed(
                f"files.{name}.{_slug(step)}.{_slug(who.name)}", f"{what}, {step}: {who.name}", "ms", taken, note=note
            )


def _ratio(theirs: Sequence[Sample], ours: Sequence[Sample]) -> str:
    wall, cpu = (
        statistics.median([getattr(sample, which) for sample in theirs])
        / statistics.median([getattr(sample, which) for sample in ours])
        for which in ("wall", "cpu")
    )
    return f"{wall:.2f} times ours by the clock, {cpu:.2f} by the processor"


def _slug(text: str) -> str:
    return text.lower().replace(" ", "-").replace(",", "")


def nothing(directory: Path) -> None:
    """Changes nothing."""


def touch(path: Path) -> None:
    """Makes a file one that was changed now, although it was not."""
    os.utime(path)
