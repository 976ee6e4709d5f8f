"""Runs the contestants of a case one after the other, several rounds, each in a process and a directory of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import ROOT, Bench, Figure, Sample, ask, timed
from benchmarks.stores.cases import PEERS, TITLES, Case

#: What is measured -> what the table calls it.
OPERATIONS: Final = {
    "put": "put",
    "get": "get each",
    "get_many": "get batches",
    "has": "has each",
    "disk": "disk bytes",
}
#: (case, ours, other, operation) -> the most that it may take in multiples of the other; below 1: so much faster.
_AT_MOST: Final = {
    ("small", "ours", "lmdb", "put"): 2.5,
    ("small", "ours", "lmdb", "get"): 3.0,
    ("small", "ours", "lmdb", "get_many"): 3.0,
    ("commits", "ours", "lmdb", "put"): 2.5,
    ("commits", "ours-durable", "lmdb-full", "put"): 2.5,
    ("medium", "ours", "lmdb", "put"): 2.5,
    ("medium", "ours", "lmdb", "get"): 3.0,
    ("medium", "ours", "lmdb", "get_many"): 3.0,
    ("large", "ours", "files-synced", "put"): 1.5,
}
_AT_LEAST: Final = {
    ("small", "ours", "diskcache-each", "put"): 5.0,
    ("small", "ours", "diskcache", "put"): 5.0,
    ("commits", "ours", "diskcache", "put"): 5.0,
}

Cells = dict[tuple[str, str], Figure]


def measure(bench: Bench, case: Case, absent: dict[str, str]) -> Cells:
    """Returns (contestant, operation) -> figure of a case.

    Args:
        bench: the benchmark.
        case: the case.
        absent: contestant -> why it is left out; those of others that fail join it.

    Raises:
        RuntimeError: if one of this environment fails.
    """
    samples: dict[tuple[str, str], list[Sample]] = {}
    cells: Cells = {}
    for _ in range(bench.repeat):
        for who in [who for who in case.who if who not in absent]:
            try:
                told = _one(bench, case, who)
            except RuntimeError as error:
                if who not in PEERS:
                    raise
                absent[who] = str(error)
                continue
            size = told.pop("bytes") / (case.values(who, quick=bench.quick) * (case.least + case.most) / 2)
            cells[who, "disk"] = Figure(f"stores.{case.name}.disk.{who}", f"disk: {TITLES[who]}", "x", [size])
            for operation, pair in told.items():
                samples.setdefault((who, operation), []).append(Sample(*pair))
    for (who, operation), found in samples.items():
        if who in absent:  # it failed in a later round
            cells.pop((who, "disk"), None)
            continue
        name, what = f"stores.{case.name}.{operation}.{who}", f"{OPERATIONS[operation]}: {TITLES[who]}"
        note = f"{case.values(who, quick=bench.quick):,} values"
        cells[who, operation] = timed(name, what, case.unit, found, note=note)
    return cells


def ratios(case: Case, cells: Cells) -> Iterator[Figure]:
    """Returns the ratios of a case that have a target, of pairs of the same round."""
    for (name, ours, other, operation), most in _AT_MOST.items():
        if name == case.name and {(ours, operation), (other, operation)} <= cells.keys():
            yield _ratio(name, operation, ours, other, cells, target=most)
    for (name, ours, other, operation), least in _AT_LEAST.items():
        if name == case.name and {(ours, operation), (other, operation)} <= cells.keys():
            yield _ratio(name, operation, other, ours, cells, target=least, at_least=True)


def _one(bench: Bench, case: Case, who: str) -> dict[str, Any]:
    count = case.values(who, quick=bench.quick)
    python = bench.peer if who in PEERS else Path(sys.executable)
    with bench.fresh() as directory:
        wish = {
            "who": who,
            "directory": str(directory),
            "count": count,
            "batch": case.batch,
            "least": case.least,
            "most": case.most,
            "reads": min(case.reads, count),
            "warm": case.warm,
        }
        told: dict[str, Any] = ask([str(python), "-m", "benchmarks.stores.child", json.dumps(wish)], ROOT)
    return told


def _ratio(case: str, operation: str, above: str, below: str, cells: Cells, **more: Any) -> Figure:
    top, bottom = cells[above, operation], cells[below, operation]
    walls, cpus = zip(top.values, bottom.values, strict=True), zip(top.cpu, bottom.cpu, strict=True)
    what = f"{case}, {OPERATIONS[operation]}: {above} / {below}"
    name = f"stores.{case}.{operation}.{above}/{below}"
    return Figure(name, what, "x", [a / b for a, b in walls], [a / b for a, b in cpus], **more)
