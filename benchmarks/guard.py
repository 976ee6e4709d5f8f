"""Compares what things cost now with the last recorded table: ratios, not times. Prints, never fails.

python -m benchmarks.guard [--recorded FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.measure import ROOT, Bench
from benchmarks.ratios import ratios
from benchmarks.workplace import work_directory

RECORDED: Final = ROOT / "benchmarks" / "recorded" / "table.json"
#: What repeats of the same code differ by on a busy machine stays inside this.
_TOLERATED: Final = 1.25


def compare(now: Mapping[str, float], then: Mapping[str, float]) -> list[str]:
    """Returns the lines of a comparison, one for each cost, and one that sums up."""
    lines = [f"{'cost (ratio to a yardstick of the same minutes)':<52} {'recorded':>9} {'now':>9}"]
    worse = 0
    for name, value in now.items():
        before = then.get(name)
        if before is None:
            lines.append(f"{name:<52} {'-':>9} {value:>9.2f}  new")
            continue
        change = value / before
        word = "SLOWER OR LARGER" if change > _TOLERATED else "better: record it" if change * _TOLERATED < 1 else ""
        worse += change > _TOLERATED
        lines.append(f"{name:<52} {before:>9.2f} {value:>9.2f}  {100 * (change - 1):+.0f}% {word}".rstrip())
    lines += [f"{name:<52} not measured any more" for name in then if name not in now]
    verdict = f"{worse} of {len(now)} cost more than {100 * (_TOLERATED - 1):.0f}% above what was recorded"
    if not then:
        verdict = "nothing is recorded yet to compare with"
    elif not worse:
        verdict = f"nothing costs {100 * (_TOLERATED - 1):.0f}% more than what was recorded"
    return [*lines, verdict]


def main() -> None:
    """Measures, compares, prints. An error is printed too: a benchmark is no test."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recorded", type=Path, default=RECORDED, help="the table to compare with")
    options = parser.parse_args()
    try:
        then = json.loads(options.recorded.read_text())["ratios"] if options.recorded.exists() else {}
        start = time.monotonic()
        now = ratios(Bench(quick=True, directory=work_directory(None), repeat=1))
        print("\n".join(compare(now, then)))
        print(f"({time.monotonic() - start:.0f} s; python -m benchmarks --record writes a new table)")
    except Exception:  # noqa: BLE001  whatever it is, it must not stop what calls this
        traceback.print_exc()
        print("the guard could not measure; nothing is known of the costs", file=sys.stderr)


if __name__ == "__main__":
    main()
