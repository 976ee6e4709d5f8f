"""What runs leave on the disk, and large values."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from typing import Final

from benchmarks.measure import JOBS_FLOW, ROOT, Bench, Figure, Sample, ask, execute, timed
from benchmarks.space import usage

_JOB_PAGES: Final = 600.0
_JOB_FILE: Final = 1300.0
_RUN_BYTES: Final = 2000.0
_WARM_S: Final = 0.2


def job_bytes(bench: Bench) -> Iterator[Figure]:
    """Bytes of the store a trivial job."""
    n = bench.size(10_000, 2_000)
    with bench.fresh() as directory:
        store = directory / "store"
        execute(store, JOBS_FLOW, "fan_out", n)
        used = usage(store)
    largest = sorted(((size, name) for name, size in used.tables.items() if size), reverse=True)[:4]
    note = ", ".join(f"{name} {size / n:.0f}" for size, name in largest)
    yield Figure(
        "bytes.pages", "bytes a trivial job: pages in use", "B/job", [used.pages / n], target=_JOB_PAGES, note=note
    )
    yield Figure("bytes.file", "bytes a trivial job: file", "B/job", [used.file / n], target=_JOB_FILE)


def growth(bench: Bench) -> Iterator[Figure]:
    """What the store grows by with each fully cached run."""
    n, runs = 1_000, bench.size(1_000, 100)
    with bench.fresh() as directory:
        store = directory / "store"
        execute(store, JOBS_FLOW, "fan_out", n)
        before = usage(store)
        took = execute(store, JOBS_FLOW, "fan_out", n, runs=runs).samples
        after = usage(store)
    note = f"averaged over {runs:,} runs of {n:,} jobs"
    pages, file = (after.pages - before.pages) / runs, (after.file - before.file) / runs
    yield Figure("growth.pages", "growth a cached run: pages in use", "B/run", [pages], target=_RUN_BYTES, note=note)
    yield Figure("growth.file", "growth a cached run: file", "B/run", [file], note=note)
    yield timed("growth.run", f"a cached run of {n:,} jobs among {runs:,} in one process", "ms", took)


def large_values(bench: Bench) -> Iterator[Figure]:
    """Values of 10 MB: written cold, found warm, read again; plain files and joblib beside them."""
    n, size = bench.size(100, 10), bench.size(10_000_000, 2_000_000)
    repeat = max(bench.repeat // 2, 1)
    cold, plain, step, read, warm = [], [], [], [], []
    peaks: dict[str, list[float]] = {"1": [], "20": []}
    for _ in range(repeat):
        with bench.fresh() as directory:
            plain.append(_plain(bench, n, size, "files"))
            store = directory / "store"
            ran = execute(store, JOBS_FLOW, "large", n, size)
            cold += ran.samples
            peaks["20"].append(ran.peak / size)
            warm += execute(store, JOBS_FLOW, "large", n, size).samples
            step += execute(store, JOBS_FLOW, "large", n, size, replay="step").samples
            read += execute(store, JOBS_FLOW, "large_again", n, size).samples
            shutil.rmtree(store)
            # What the same jobs need for values of 8 bytes is not the values'.
            jobs = execute(directory / "small", JOBS_FLOW, "large", n, 8, threads=1).peak
            peaks["1"].append((execute(store, JOBS_FLOW, "large", n, size, threads=1).peak - jobs) / size)
    shown = f"{n} values of {size // 1_000_000} MB"
    files = timed("values.plain", f"{shown}, plain files, one sync each", "s", plain)
    yield files
    yield timed(
        "values.cold", f"{shown}, cold", "s", cold, target=1.5 * files.median, note="target: 1.5 x the plain files"
    )
    yield timed("values.whole", f"{shown}, warm, whole replay", "s", warm, target=_WARM_S)
    yield timed("values.step", f"{shown}, warm, step by step", "s", step, target=_WARM_S)
    yield timed("values.read", f"{shown}, warm, each read by a new task", "s", read)
    yield Figure("values.peak.1", f"{shown}, cold: peak memory, 1 thread", "values", peaks["1"], target=3.0)
    yield Figure("values.peak.20", f"{shown}, cold: peak memory, 20 threads", "values", peaks["20"])
    if bench.peer is not None:
        yield from _joblib(bench, n, size, shown, repeat)


def _joblib(bench: Bench, n: int, size: int, shown: str, repeat: int) -> Iterator[Figure]:
    cold, warm = [], []
    for _ in range(repeat):
        with bench.fresh() as directory:
            wish = {"what": "joblib", "directory": str(directory), "n": n, "size": size}
            script = str(ROOT / "benchmarks" / "peer_child.py")
            told = ask([str(bench.peer), script, json.dumps(wish)], directory)
        if not told:
            return
        cold.append(Sample(*told["cold"]))
        warm.append(Sample(*told["warm"]))
    yield timed("values.joblib.cold", f"{shown}, joblib (no syncs), cold", "s", cold)
    yield timed("values.joblib.warm", f"{shown}, joblib, warm, each read", "s", warm)


def _plain(bench: Bench, n: int, size: int, what: str) -> Sample:
    with bench.fresh() as directory:
        wish = {"what": what, "directory": str(directory), "n": n, "size": size}
        told = ask([sys.executable, str(ROOT / "benchmarks" / "peer_child.py"), json.dumps(wish)], directory)
    return Sample(*told["cold"])
