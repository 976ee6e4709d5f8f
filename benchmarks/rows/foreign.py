"""What a job costs in pools of others, beside these pools alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from benchmarks.measure import ROOT, Bench, Figure, Sample, ask, timed

_WORKERS: Final = 2
#: What settings call it, the library that it needs, and what it is called.
_POOLS: Final = (
    ("futures", "concurrent", "ProcessPoolExecutor"),
    ("loky", "loky", "loky"),
    ("dask", "distributed", "Dask"),
)


def foreign(bench: Bench) -> Iterator[Figure]:
    """Trivial bodies in pools of others; those whose library is not installed are left out."""
    n = bench.size(2_000, 500)
    for pool, library, called in _POOLS:
        if find_spec(library) is None:
            continue
        samples: dict[str, list[Sample]] = {"ours": [], "raw": []}
        for _ in range(bench.repeat):
            for who, taken in samples.items():
                taken.append(_run(bench, who, pool, n))
        for who, name in (("ours", f"redun, {called}"), ("raw", f"{called}, raw")):
            yield timed(f"foreign.{pool}.{who}", f"{n:,} trivial bodies: {name}", "us/job", samples[who], by=n)


def _run(bench: Bench, who: str, pool: str, n: int) -> Sample:
    with bench.fresh() as directory:
        wish = {"who": who, "pool": pool, "n": n, "workers": _WORKERS, "store": str(directory / "store")}
        return Sample(*ask([sys.executable, "-m", "benchmarks.foreign_child", json.dumps(wish)], ROOT))
