"""Directories of 10,000 and 100,000 small files: to hash them all, to see that nothing changed, and one that did."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.measure import ROOT, Bench, Figure, Sample, execute, process, redun_command, timed

_FLOW: Final = ROOT / "benchmarks" / "flows" / "trees.py"
_IN_A_DIRECTORY: Final = 500
#: What there is to do where nothing changed, and nothing of ours: to find all files, and to look at each.
_FLOOR: Final = """import os, sys
paths = [sys.argv[1]]
while paths:
    with os.scandir(paths.pop()) as entries:
        for entry in entries:
            (paths.append(entry.path) if entry.is_dir() else entry.stat())
"""
_WARM_MS: Final = 2_000.0


def trees(bench: Bench) -> Iterator[Figure]:
    """A `Dir` of 10,000 files, and 100,000 as a `FileSet` and as a `File` each."""
    few, many = bench.size(10_000, 500), bench.size(100_000, 2_000)
    with bench.fresh() as directory:
        _fill(directory / "few", few)
        yield from _tree(bench, directory / "few", few, "as_dir", "a Dir")
    with bench.fresh() as directory:
        _fill(directory / "many", many)
        yield from _tree(bench, directory / "many", many, "as_set", "a FileSet", target=_WARM_MS)
        yield from _tree(bench, directory / "many", many, "as_files", "a File each", target=_WARM_MS)


def _fill(root: Path, number: int) -> None:
    for at in range(number):
        place = root / f"{at // _IN_A_DIRECTORY:03}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{at:06}.txt").write_text(f"{at} " * 16)


def _tree(bench: Bench, root: Path, number: int, task: str, kind: str, target: float | None = None) -> Iterator[Figure]:
    steps = ("cold", "warm", "one edited")
    whole: dict[str, list[Sample]] = {step: [] for step in steps}
    inside: dict[str, list[Sample]] = {step: [] for step in steps}
    floor: list[Sample] = []
    edited = root / "000" / "000007.txt"
    for turn in range(bench.repeat):
        for step in steps:
            if step == "one edited":
                edited.write_text(f"{kind} {turn}\n")
            command = [*redun_command(), "-q", "run", str(_FLOW), task, "--path", root.name]
            whole[step].append(process(command, root.parent))
        shutil.rmtree(root.parent / ".redun")
        with bench.fresh() as place:
            for step in steps:
                if step == "one edited":
                    edited.write_text(f"{kind} {turn} inside\n")
                inside[step] += execute(place / "store", _FLOW, task, str(root)).samples
        floor.append(process([sys.executable, "-S", "-c", _FLOOR, str(root)], root))
    name = f"files.{task.replace('_', '-')}.{number}"
    shown = f"{number:,} files as {kind}"
    yield timed(f"{name}.floor", f"{shown}: found and looked at, nothing else", "ms", floor)
    for step in steps:
        slug = step.replace(" ", "-")
        note = f"{1e6 * min(sample.cpu for sample in whole[step]) / number:.1f} us a file by the processor"
        limit = target if step == "warm" else None
        yield timed(f"{name}.{slug}", f"{shown}, {step}: `redun run`", "ms", whole[step], target=limit, note=note)
        yield timed(f"{name}.{slug}.inside", f"{shown}, {step}: in process", "ms", inside[step])
