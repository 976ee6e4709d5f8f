"""Costs as ratios to the yardstick of `calibration`, both in processor time and measured alternately: what `guard`
compares. Small sizes, so that it takes seconds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from benchmarks.calibration import calibrate
from benchmarks.measure import JOBS_FLOW, Bench, execute, process, redun_command
from benchmarks.rows.processes import HELLO
from benchmarks.space import usage

#: Never change these numbers: recorded ratios are of these sizes.
_JOBS: Final = 2_000
_CACHED_RUNS: Final = 50
_LEAST_REPEAT: Final = 4


def ratios(bench: Bench) -> dict[str, float]:
    """Returns each cost as a multiple of its yardstick, by what it is; bytes as they are. The least of several repeats
    stands on both sides: what disturbs a measurement only ever adds to it."""
    units: list[float] = []
    costs: dict[str, list[float]] = {}
    sizes: dict[str, float] = {}
    for _ in range(max(bench.repeat, _LEAST_REPEAT)):
        with bench.fresh() as directory:
            units.append(calibrate(directory).cpu)
            for name, cpu in {**_jobs(directory), **_processes(directory)}.items():
                costs.setdefault(name, []).append(cpu)
            sizes = _bytes(directory)
    unit, bare = min(units), min(costs.pop("python"))
    found = {name: min(each) / (bare if name.startswith("redun") else unit) for name, each in costs.items()}
    return {**found, **sizes}


def _jobs(directory: Path) -> dict[str, float]:
    store = directory / "store"
    cold = execute(store, JOBS_FLOW, "fan_out", _JOBS).samples[0].cpu
    step = execute(store, JOBS_FLOW, "fan_out", _JOBS, replay="step").samples[0].cpu
    whole = execute(store, JOBS_FLOW, "fan_out", _JOBS, runs=_CACHED_RUNS).samples
    chain = execute(directory / "chain", JOBS_FLOW, "chain", _JOBS).samples[0].cpu
    return {
        "cold job / object": cold / _JOBS,
        "warm job, step by step / object": step / _JOBS,
        "whole replay of 2,000 jobs / object": min(sample.cpu for sample in whole),
        "job of a chain / object": chain / _JOBS,
    }


def _processes(directory: Path) -> dict[str, float]:
    return {
        # -S: an editable install makes every start of the bare interpreter dearer too.
        "python": process([sys.executable, "-S", "-c", "pass"], directory).cpu,
        "redun run hello_world.py main / python -S -c pass": process(
            [*redun_command(), "run", str(HELLO), "main"], directory
        ).cpu,
        "redun log / python -S -c pass": process([*redun_command(), "log"], directory).cpu,
    }


def _bytes(directory: Path) -> dict[str, float]:
    return {"pages in use, bytes a job of a chain": usage(directory / "chain").pages / _JOBS}
