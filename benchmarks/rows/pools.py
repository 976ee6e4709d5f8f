"""What it costs to run a body in a worker process, beside a raw pool and beside threads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Final

from benchmarks.measure import ROOT, Bench, Figure, Sample, ask, timed

_WORKERS: Final = 2
_BUSY_SECONDS: Final = 0.005
#: Of the time that so many processors take at least.
_IDEAL: Final = 0.93
#: (who, executor, what it is called)
_WHO: Final = (
    ("ours", "threads", "redun, threads"),
    ("ours", "processes", "redun, processes"),
    ("raw", "", "ProcessPoolExecutor, raw"),
)


def pools(bench: Bench) -> Iterator[Figure]:
    """Trivial bodies, bodies that keep a processor busy, and large results, in worker processes; whole pools, with the
    start of their workers and the processor time of these."""
    n = bench.size(10_000, 1_000)
    for who, executor, called in _WHO:
        samples = [_run(bench, who, executor, "tiny", n) for _ in range(bench.repeat)]
        name = executor or who
        yield timed(f"pools.tiny.{name}", f"{n:,} trivial bodies: {called}", "us/job", samples, by=n)
    n = bench.size(1_000, 200)
    for who, executor, called in _WHO[1:]:
        samples = [_run(bench, who, executor, "busy", n) for _ in range(bench.repeat)]
        ideal = n * _BUSY_SECONDS
        yield Figure(
            f"pools.busy.{executor or who}",
            f"{n:,} bodies of 5 ms on {_WORKERS} processors, of the ideal: {called}",
            "x",
            [ideal / _WORKERS / sample.wall for sample in samples],
            [ideal / sample.cpu for sample in samples],
            target=_IDEAL if who == "ours" else None,
            at_least=True,
        )
    n = bench.size(100, 10)
    for who, executor, called in _WHO:
        samples = [_run(bench, who, executor, "large", n) for _ in range(min(bench.repeat, 3))]
        yield timed(f"pools.large.{executor or who}", f"{n} results of 10 MB: {called}", "ms", samples, by=n)


def _run(bench: Bench, who: str, executor: str, body: str, n: int) -> Sample:
    with bench.fresh() as directory:
        wish = {
            "who": who,
            "executor": executor,
            "body": body,
            "n": n,
            "workers": _WORKERS,
            "store": str(directory / "store"),
        }
        return Sample(*ask([sys.executable, "-m", "benchmarks.pool_child", json.dumps(wish)], ROOT))
