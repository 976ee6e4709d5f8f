"""Side by side with the system of the seed, in the same minutes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import JOBS_FLOW, ROOT, Bench, Figure, Sample, ask, execute, process, redun_command, timed
from benchmarks.peer import VERSION
from benchmarks.rows.processes import HELLO

_TIMES: Final = 250.0


def side_by_side(bench: Bench) -> Iterator[Figure]:
    """Fan-out, large values and the tutorial's process, each by both systems; nothing without `--peer`."""
    if bench.peer is None:
        return
    n = bench.size(1_000, 100)
    yield from _both(bench, f"{n:,} trivial jobs", "fan_out", [n], repeat=min(bench.repeat, 2), by=n, target=_TIMES)
    size = bench.size(10_000_000, 1_000_000)
    yield from _both(bench, f"10 values of {size // 1_000_000} MB", "large", [10, size], repeat=1, by=1, target=None)
    yield from _hello(bench, bench.peer)


def _both(
    bench: Bench, what: str, task: str, args: Sequence[Any], *, repeat: int, by: int, target: float | None
) -> Iterator[Figure]:
    theirs: dict[str, list[Sample]] = {"cold": [], "warm": []}
    ours: dict[str, list[Sample]] = {"cold": [], "warm": []}
    for _ in range(repeat):
        with bench.fresh() as directory:
            wish = {"what": "seed", "directory": str(directory), "flow": str(JOBS_FLOW), "task": task, "args": args}
            told = ask([str(bench.peer), str(ROOT / "benchmarks" / "peer_child.py"), json.dumps(wish)], directory)
            for key, samples in theirs.items():
                samples.append(Sample(*told[key]))
        with bench.fresh() as directory:
            ours["cold"] += execute(directory / "store", JOBS_FLOW, task, *args).samples
            ours["warm"] += execute(directory / "store", JOBS_FLOW, task, *args, replay="step").samples
    unit = "us/job" if by > 1 else "ms"
    for key in theirs:
        shown = f"{what}, {key}"
        yield timed(f"peer.{task}.{key}.redun", f"{shown}: redun {VERSION}", unit, theirs[key], by=by)
        name = "redun-core" if key == "cold" else "redun-core, step by step"
        yield timed(f"peer.{task}.{key}.ours", f"{shown}: {name}", unit, ours[key], by=by)
        least = target if key == "cold" else None
        yield _ratio(f"peer.{task}.{key}", f"{shown}: times faster", theirs[key], ours[key], least)


def _ratio(
    name: str, what: str, theirs: Sequence[Sample], ours: Sequence[Sample], target: float | None = None
) -> Figure:
    pairs = list(zip(theirs, ours, strict=True))
    walls = [a.wall / b.wall for a, b in pairs]
    return Figure(name, what, "x", walls, [a.cpu / b.cpu for a, b in pairs], target=target, at_least=True)


def _hello(bench: Bench, peer: Path) -> Iterator[Figure]:
    ours, theirs = [], []
    for _ in range(max(bench.repeat // 2, 1)):
        with bench.fresh() as directory:
            ours.append(process([*redun_command(), "run", str(HELLO), "main"], directory))
        with bench.fresh() as directory:
            theirs.append(process([str(peer.with_name("redun")), "run", str(HELLO), "main"], directory))
    yield timed("peer.hello.redun", f"`redun run hello_world.py main`, cold: redun {VERSION}", "ms", theirs)
    yield _ratio("peer.hello", "`redun run hello_world.py main`, cold: times faster", theirs, ours)
