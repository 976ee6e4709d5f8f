"""`python -m benchmarks.files`: large directories, and redun beside make, doit and Snakemake. See `../README.md`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks import machine, table
from benchmarks.files.building import building
from benchmarks.files.trees import trees
from benchmarks.files.words import words
from benchmarks.guard import RECORDED
from benchmarks.measure import Bench, Figure
from benchmarks.rows.scripts import scripts
from benchmarks.workplace import work_directory

CASES: Final[dict[str, Callable[[Bench], Iterator[Figure]]]] = {
    "trees": trees,
    "scripts": scripts,
    "make": building,
    "words": words,
}
_RECORDED: Final = RECORDED.with_stem("files")


def arguments() -> argparse.Namespace:
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, a minute or two")
    parser.add_argument("--cases", metavar="NAME,...", help=f"only these: {', '.join(CASES)}")
    parser.add_argument("--repeat", type=int, metavar="N", help="how often each thing is measured (3; 1 with --quick)")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="where files are made (default: a temporary directory)")
    parser.add_argument("--record", action="store_true", help=f"write recorded/{_RECORDED.name}")
    return parser.parse_args()


def chosen(wished: str | None) -> list[str]:
    """Returns the names of the cases to run.

    Raises:
        SystemExit: if there is none of a name.
    """
    names = list(CASES) if wished is None else wished.split(",")
    for name in names:
        if name not in CASES:
            raise SystemExit(f"no case {name!r}: there are {', '.join(CASES)}")
    return [name for name in CASES if name in names]


def main() -> int:
    """Measures and prints, line by line; returns 1 when a case could not be measured, and records nothing then."""
    # An installed program finds its modules compiled; where the environment forbids that, each start compiles them.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    options = arguments()
    names = chosen(options.cases)
    repeat = options.repeat or (1 if options.quick else 3)
    bench = Bench(quick=options.quick, directory=work_directory(options.dir), repeat=repeat)
    start = time.monotonic()
    facts = machine.facts(bench.directory)
    for name, fact in facts.items():
        print(f"{name:<12} {fact}")
    print(f"\n{table.HEADER}", flush=True)
    figures: list[Figure] = []
    broken = 0
    for name in names:
        try:
            for figure in CASES[name](bench):
                figures.append(figure)
                print(table.line(figure), flush=True)
        except RuntimeError as error:
            broken += 1
            print(f"{name} could not be measured: {error}", flush=True)
    print(f"\n{table.summary(figures)} ({time.monotonic() - start:.0f} s)")
    if options.record and not broken:
        table.record(_RECORDED, facts, figures, {})
        print(f"recorded in {_RECORDED}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
