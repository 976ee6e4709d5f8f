"""`python -m benchmarks.years`: commands over stores of 100,000 and of a million jobs. See `../README.md`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import machine, table
from benchmarks.guard import RECORDED
from benchmarks.measure import ROOT, Figure, redun_command
from benchmarks.workplace import work_directory
from benchmarks.years.cases import CASES, Case, command
from benchmarks.years.watch import Usage, watched

_RECORDED: Final = RECORDED.with_stem("years")
_MB: Final = 1e6


def arguments() -> argparse.Namespace:
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.years", description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes, the largest last")
    parser.add_argument("--cases", metavar="NAME,...", help=f"only these: {', '.join(case.name for case in CASES)}")
    parser.add_argument("--store", type=Path, metavar="DIR", help="keep what is built there, and use what is there")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="where stores are made (default: a temporary one)")
    parser.add_argument("--record", action="store_true", help=f"write recorded/{_RECORDED.name}")
    return parser.parse_args()


def chosen(wished: str | None) -> list[Case]:
    """Returns the cases to run.

    Raises:
        SystemExit: if there is none of a name.
    """
    known = {case.name: case for case in CASES}
    names = list(known) if wished is None else wished.split(",")
    for name in names:
        if name not in known:
            raise SystemExit(f"no case {name!r}: there are {', '.join(known)}")
    return [case for case in CASES if case.name in names]


def built(directory: Path, jobs: int, keep: Path | None) -> tuple[dict[str, Any], list[Figure]]:
    """Fills a store below a directory, or copies the one that was kept; returns what its builder told, and figures."""
    if keep is not None and (keep / str(jobs)).exists():
        shutil.copytree(keep / str(jobs), directory, dirs_exist_ok=True)
        return json.loads((directory / "names.json").read_text()), []
    store = directory / ".redun" / "store"
    store.parent.mkdir(parents=True)
    usage = watched([sys.executable, "-m", "benchmarks.years.build", str(store), str(jobs)], ROOT)
    names = json.loads(usage.out.splitlines()[-1])
    (directory / "names.json").write_text(usage.out.splitlines()[-1])
    if keep is not None:
        shutil.copytree(directory, keep / str(jobs))
    size = (store / "data.mdb").stat().st_size
    what = f"{jobs:,} jobs: the data file, {names['objects']:,} objects"
    figures = [
        *_figures("build", f"{jobs:,} jobs: running them", jobs, [usage]),
        Figure(f"years.{jobs}.bytes", what, "MB", [size / _MB], note=f"{size / jobs:.0f} bytes a job"),
    ]
    return names, figures


def measure(case: Case, directory: Path, names: dict[str, Any], jobs: int, *, largest: bool) -> list[Figure]:
    """Runs a case, each time in a new process, and returns its figures."""
    data = directory / ".redun" / "store" / "data.mdb"
    before = data.stat().st_size
    # An installed program finds its modules compiled; where the environment forbids that, each start compiles them.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    words = [*redun_command(), *command(case, names)]
    if case.repeat > 1:
        watched(words, directory, environment)
    usages = [watched(words, directory, environment) for _ in range(case.repeat)]
    figures = _figures(case.name, f"{jobs:,} jobs: redun {case.words}", jobs, usages, case if largest else None)
    if case.changes:
        after = data.stat().st_size
        note = f"{after / before:.0%} of what it was"
        figures.append(Figure(f"years.{jobs}.{case.name}.file", "    the data file", "MB", [after / _MB], note=note))
    return figures


def _figures(name: str, what: str, jobs: int, usages: list[Usage], case: Case | None = None) -> list[Figure]:
    full = f"years.{jobs}.{name}"
    seconds = case.seconds if case else None
    unit, scale = ("ms", 1e3) if max(usage.wall for usage in usages) < 1 else ("s", 1.0)
    walls, cpus = [usage.wall * scale for usage in usages], [usage.cpu * scale for usage in usages]
    own, mapped = max(usage.own for usage in usages) / _MB, max(usage.mapped for usage in usages) / _MB
    target = seconds * scale if seconds is not None else None
    note = f"memory: {own:.0f} MB of its own, {mapped:.0f} MB mapped"
    figures = [Figure(full, what, unit, walls, cpus, target=target, note=note)]
    if case is not None and case.own_mb is not None:
        figures.append(Figure(f"{full}.own", "    memory of its own", "MB", [own], target=case.own_mb))
    return figures


def growth(figures: list[Figure], sizes: list[int]) -> list[Figure]:
    """Returns what each case takes on the largest store, in multiples of the smallest: by the processor, as others who
    use the machine disturb that less than the clock."""
    small, large = sizes[0], sizes[-1]
    found = {figure.name: figure for figure in figures if figure.cpu}
    grown = []
    for case in CASES:
        pair = [found.get(f"years.{jobs}.{case.name}") for jobs in (small, large)]
        if pair[0] is None or pair[1] is None:
            continue
        seconds = [min(figure.cpu) / (1e3 if figure.unit == "ms" else 1) for figure in pair if figure is not None]
        what = f"{case.name}: {large:,} jobs / {small:,} jobs"
        grown.append(Figure(f"years.growth.{case.name}", what, "x", [seconds[1] / seconds[0]]))
    return grown


def main() -> int:
    """Builds, measures and prints; returns 1 where something could not be measured, and records nothing then."""
    options = arguments()
    cases, sizes = chosen(options.cases), sorted(options.jobs)
    work = work_directory(options.dir)
    start = time.monotonic()
    facts = machine.facts(work)
    for name, fact in facts.items():
        print(f"{name:<12} {fact}")
    print(table.HEADER)
    figures: list[Figure] = []
    broken = 0
    for jobs in sizes:
        with tempfile.TemporaryDirectory(prefix="redun-years-", dir=work) as temporary:
            directory = Path(temporary)
            names, found = built(directory, jobs, options.store)
            _show(found, figures)
            for case in cases:
                try:
                    _show(measure(case, directory, names, jobs, largest=jobs == sizes[-1]), figures)
                except RuntimeError as error:
                    broken += 1
                    print(f"{case.name} could not be measured: {error}", flush=True)
    if len(sizes) > 1:
        _show(growth(figures, sizes), figures)
    print(f"\n{table.summary(figures)} ({time.monotonic() - start:.0f} s)")
    if options.record and not broken:
        table.record(_RECORDED, facts, figures, {})
        print(f"recorded in {_RECORDED}")
    return 1 if broken else 0


def _show(found: list[Figure], figures: list[Figure]) -> None:
    for figure in found:
        print(table.line(figure), flush=True)
    figures += found


if __name__ == "__main__":
    sys.exit(main())
