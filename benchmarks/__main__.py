"""`python -m benchmarks`: measures what redun costs and prints a table. See `README.md`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks import machine, table
from benchmarks.guard import RECORDED
from benchmarks.measure import Bench, Figure
from benchmarks.peer import environment
from benchmarks.ratios import ratios
from benchmarks.rows import control, foreign, jobs, peers, pools, processes, scripts, storage
from benchmarks.workplace import work_directory

#: Name -> row, in the order in which they run. A name selects by its start.
ROWS: Final[dict[str, Callable[[Bench], Iterator[Figure]]]] = {
    "fan-out": jobs.fan_outs,
    "command": jobs.commands,
    "shapes": jobs.shapes,
    "edits": jobs.edits,
    "control": control.control_flow,
    "externals": jobs.externals,
    "sleepers": jobs.sleepers,
    "pools": pools.pools,
    "foreign": foreign.foreign,
    "scripts": scripts.scripts,
    "hello": processes.hello,
    "history": processes.history,
    "bytes": storage.job_bytes,
    "growth": storage.growth,
    "values": storage.large_values,
    "peer": peers.side_by_side,
}
#: Rows whose targets are multiples of what another one measures.
_NEEDS: Final = {"shapes": "fan-out", "edits": "fan-out"}


def selected(names: str | None) -> list[str]:
    """Returns the names of the rows to run, with those that they are compared with.

    Raises:
        SystemExit: if a name is no start of any.
    """
    if names is None:
        return list(ROWS)
    wished: set[str] = set()
    for name in names.split(","):
        found = {row for row in ROWS if row.startswith(name)}
        if not found:
            raise SystemExit(f"no row {name!r}: there are {', '.join(ROWS)}")
        wished |= found
    wished |= {_NEEDS[row] for row in wished if row in _NEEDS}
    return [row for row in ROWS if row in wished]


def arguments() -> argparse.Namespace:
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, less than a minute")
    parser.add_argument("--rows", metavar="NAME,...", help=f"only these: {', '.join(ROWS)}")
    parser.add_argument("--repeat", type=int, metavar="N", help="how often each thing is measured (5; 2 with --quick)")
    parser.add_argument("--peer", action="store_true", help="also the system of the seed, in an environment of its own")
    parser.add_argument("--peer-env", type=Path, metavar="DIR", help="where that is (default: the user's cache)")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="where stores are made (default: a temporary one)")
    parser.add_argument("--record", nargs="?", const=RECORDED.stem, metavar="NAME", help="write recorded/NAME.json")
    return parser.parse_args()


def main() -> int:
    """Measures and prints, line by line; returns 1 when a row could not be measured, and records nothing then."""
    options = arguments()
    rows = selected(options.rows)
    peer = environment(options.peer_env) if options.peer else None
    repeat = options.repeat or (2 if options.quick else 5)
    bench = Bench(quick=options.quick, directory=work_directory(options.dir), repeat=repeat, peer=peer)
    start = time.monotonic()
    facts = machine.facts(bench.directory)
    for name, fact in facts.items():
        print(f"{name:<12} {fact}")
    print(f"\n{table.HEADER}", flush=True)
    figures: list[Figure] = []
    broken = 0
    for row in rows:
        try:
            for figure in ROWS[row](bench):
                figures.append(figure)
                print(table.line(figure), flush=True)
        except RuntimeError as error:
            broken += 1
            print(f"{row} could not be measured: {error}", flush=True)
    print(f"\n{table.summary(figures)} ({time.monotonic() - start:.0f} s)")
    if options.record is not None and not broken:
        path = RECORDED.with_stem(options.record)
        table.record(path, facts, figures, ratios(bench))
        print(f"recorded in {path}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
