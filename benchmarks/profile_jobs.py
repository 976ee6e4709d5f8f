"""Where the time of a trivial job goes: `python -m benchmarks.profile_jobs [--jobs N] [--functions N]`.

Profiles the scheduler's thread over a fan-out, cold, then warm step by step, and prints microseconds a job by module
and by function. A profiler makes every call dearer, small functions most of all, so shares are scaled to the time that
the same run's scheduler thread takes of the processor without it. Bodies and commits run in other threads and are not
in it. What msgpack takes counts for those who call it: its functions are hidden from profilers.

The name is not `profile`: as a file beside scripts it would hide the standard library's module of that name.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

from benchmarks.measure import JOBS_FLOW, ROOT
from benchmarks.workplace import work_directory
from redun.core.tasks import Task, registry
from redun.executor.loader import load_workflow
from redun.executor.scheduler import Scheduler
from redun.store import Store

#: (file, line, function), as the standard library's profiler names it.
Place = tuple[str, int, str]
#: What `module` calls time in which the thread only waits: for a body, a lock, a disk.
WAITING: Final = "(waiting)"
_WAITS: Final = re.compile(r"lock|SimpleQueue|sleep|select|fsync|Transaction.*commit|sync")


class Cost(NamedTuple):
    """What one function took.

    Attributes:
        calls: a job.
        own: microseconds a job in the function itself.
        total: with all that it called.
    """

    calls: float
    own: float
    total: float


class Times(NamedTuple):
    """Seconds of a run: by the clock, of the processor in all threads, and in the scheduler's alone."""

    wall: float
    cpu: float
    thread: float


class Profile(NamedTuple):
    """A profiled run: its times a job (microseconds) without the profiler, and each function's part."""

    job: Times
    costs: Mapping[Place, Cost]


def take(task: Task[..., object], jobs: int, replay: Literal["whole", "step"], store: Path, plain: Path) -> Profile:
    """Returns the profile of a run against `store`, scaled to a run without profiler against `plain`."""
    times = _run(task, jobs, replay, plain, None)
    profiler = cProfile.Profile()
    _run(task, jobs, replay, store, profiler)
    profiler.create_stats()
    entries = pstats.Stats(profiler).stats  # type: ignore[attr-defined]  # not in the stubs
    worked = sum(entry[2] for place, entry in entries.items() if module(place) != WAITING)
    scale = 1e6 * times.thread / jobs / worked
    costs = {place: Cost(entry[1] / jobs, entry[2] * scale, entry[3] * scale) for place, entry in entries.items()}
    return Profile(Times(*(1e6 * seconds / jobs for seconds in times)), costs)


def _run(
    task: Task[..., object], jobs: int, replay: Literal["whole", "step"], path: Path, profiler: cProfile.Profile | None
) -> Times:
    with Store.init(path) as store:
        scheduler = Scheduler(store, replay=replay)
        gc.collect()
        wall, cpu, thread = time.perf_counter(), time.process_time(), time.thread_time()
        if profiler is not None:
            profiler.enable()
        scheduler.execute(task(jobs))
        if profiler is not None:
            profiler.disable()
        return Times(time.perf_counter() - wall, time.process_time() - cpu, time.thread_time() - thread)


def module(place: Place) -> str:
    """Returns what a function belongs to, as the table groups it."""
    file, _, name = place
    if file == "~":
        if _WAITS.search(name):
            return WAITING
        if any(word in name for word in ("Cursor", "Transaction", "Environment")):
            return "lmdb"
        return "xxhash" if "xxh" in name else "(built in)"
    if file == "<string>":
        return "(named tuples)"
    path = _resolved(file)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


@cache
def _resolved(file: str) -> Path:
    return Path(file).resolve()  # `redun/core` is a link to the folder


def print_profile(title: str, profile: Profile, functions: int) -> None:
    """Prints the two tables of a profile."""
    by_module: dict[str, float] = defaultdict(float)
    for place, cost in profile.costs.items():
        by_module[module(place)] += cost.own
    wall, cpu, thread = profile.job
    print(f"\n{title}: {wall:.1f} us a job by the clock")
    print(f"{thread:.1f} of the processor in the scheduler's thread, {cpu - thread:.1f} in others (bodies, commits)")
    print(f"\n{'module':<36} {'us/job':>7} {'share':>6}")
    del by_module[WAITING]
    whole = sum(by_module.values())
    for name, own in sorted(by_module.items(), key=lambda item: -item[1])[:20]:
        print(f"{name:<36} {own:>7.2f} {100 * own / whole:>5.1f}%")
    print(f"\n{'function':<58} {'calls/job':>9} {'own':>7} {'with callees':>12}")
    ranked = sorted(profile.costs.items(), key=lambda item: -item[1].own)
    for place, cost in ranked[:functions]:
        name = place[2] if place[0] == "~" else f"{module(place)}:{place[1]} {place[2]}"
        print(f"{name[:58]:<58} {cost.calls:>9.2f} {cost.own:>7.2f} {cost.total:>12.2f}")


def main() -> None:
    """Profiles and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--functions", type=int, default=40, help="how many functions to show")
    options = parser.parse_args()
    load_workflow(str(JOBS_FLOW))
    task = registry.find("bench.fan_out")
    jobs: int = options.jobs
    with tempfile.TemporaryDirectory(dir=work_directory(None)) as temporary:
        store, plain, first = (Path(temporary) / name for name in ("store", "plain", "first"))
        _run(task, jobs // 10, "whole", first, None)
        cold = take(task, jobs, "whole", store, plain)
        print_profile(f"fan-out of {jobs:,}, cold", cold, options.functions)
        warm = take(task, jobs, "step", store, plain)
        print_profile(f"fan-out of {jobs:,}, warm, step by step", warm, options.functions)


if __name__ == "__main__":
    main()
