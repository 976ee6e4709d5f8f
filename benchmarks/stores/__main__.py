"""`python -m benchmarks.stores`: the store beside others, in one run. See `../README.md`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks import machine, table
from benchmarks.guard import RECORDED
from benchmarks.measure import Bench, Figure
from benchmarks.stores.cases import CASES, PEERS, TITLES, Case
from benchmarks.stores.environment import environment
from benchmarks.stores.rounds import OPERATIONS, measure, ratios
from benchmarks.stores.sheet import sheet
from benchmarks.workplace import work_directory

_RECORDED: Final = RECORDED.with_stem("stores")


def arguments() -> argparse.Namespace:
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stores", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few values, less than a minute")
    parser.add_argument("--cases", metavar="NAME,...", help=f"only these: {', '.join(case.name for case in CASES)}")
    parser.add_argument("--who", metavar="NAME,...", help=f"only these: {', '.join(TITLES)}")
    parser.add_argument("--repeat", type=int, metavar="N", help="how often each thing is measured (2; 1 with --quick)")
    parser.add_argument("--peer-env", type=Path, metavar="DIR", help="environment of the others (in the user's cache)")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="where stores are made (default: a temporary one)")
    parser.add_argument("--record", action="store_true", help=f"write recorded/{_RECORDED.name}")
    return parser.parse_args()


def chosen(cases: str | None, who: str | None) -> list[Case]:
    """Returns the cases to run, with the contestants that take part.

    Raises:
        SystemExit: if there is none of a name.
    """
    known = {case.name: case for case in CASES}
    names = list(known) if cases is None else cases.split(",")
    players = list(TITLES) if who is None else who.split(",")
    for name, there in [(name, known) for name in names] + [(name, TITLES) for name in players]:
        if name not in there:
            raise SystemExit(f"no {name!r}: there are {', '.join(there)}")
    return [known[name].only(players) for name in names]


def show(bench: Bench, case: Case, absent: dict[str, str]) -> list[Figure]:
    """Measures a case, prints it and returns its figures."""
    count = bench.size(case.count, case.quick_count)
    print(f"\n{count:,} {case.what}; {case.unit} a value by the clock (of the processor); disk: bytes a byte of value")
    cells = measure(bench, case, absent)
    print("\n".join(sheet(OPERATIONS, titles(bench, case), cells)))
    for who in [who for who in case.who if who in absent]:
        print(f"{TITLES[who]} is left out: {absent[who]}")
    compared = list(ratios(case, cells))
    print(table.HEADER)
    for figure in compared:
        print(table.line(figure), flush=True)
    return [*cells.values(), *compared]


def titles(bench: Bench, case: Case) -> dict[str, str]:
    """Returns contestant -> what the sheet calls it, with how many values it was given where those were fewer."""
    full = bench.size(case.count, case.quick_count)
    counts = {who: case.values(who, quick=bench.quick) for who in case.who}
    return {who: TITLES[who] + (f", {count:,}" if count < full else "") for who, count in counts.items()}


def main() -> int:
    """Measures and prints, case by case; returns 1 when one could not be measured, and records nothing then."""
    options = arguments()
    cases = chosen(options.cases, options.who)
    python, missing = environment([PEERS[who] for case in cases for who in case.who if who in PEERS], options.peer_env)
    repeat = options.repeat or (1 if options.quick else 2)
    bench = Bench(quick=options.quick, directory=work_directory(options.dir), repeat=repeat, peer=python)
    start = time.monotonic()
    facts = machine.facts(bench.directory)
    for name, fact in facts.items():
        print(f"{name:<12} {fact}")
    absent = {who: f"pip: {missing[package]}" for who, package in PEERS.items() if package in missing}
    figures: list[Figure] = []
    broken = 0
    for case in cases:
        try:
            figures += show(bench, case, absent)
        except RuntimeError as error:
            broken += 1
            print(f"{case.name} could not be measured: {error}", flush=True)
    print(f"\n{table.summary(figures)} ({time.monotonic() - start:.0f} s)")
    if options.record and not broken:
        table.record(_RECORDED, facts, figures, {})
        print(f"recorded in {_RECORDED}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
