"""What a job costs: fan-outs cold and warm, chains, recursion, edits, jobs that sleep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.flows import wide
from benchmarks.measure import JOBS_FLOW, Bench, Figure, Sample, execute, process, redun_command, timed

_COLD_US: Final = 40.0
_WARM_US: Final = 20.0
_WHOLE_MS: Final = 50.0
_EXTERNAL_US: Final = 3.0
#: Key of the cost of a cold job, in `Bench.memory`.
COLD_JOB: Final = "cold job, us"


def fan_outs(bench: Bench) -> Iterator[Figure]:
    """Fan-outs of trivial jobs: cold, warm step by step, warm whole."""
    sizes = (1_000, 2_000) if bench.quick else (1_000, 10_000, 100_000)
    for n in sizes:
        cold, step, whole = [], [], []
        for _ in range(bench.repeat if n < 100_000 else max(bench.repeat // 2, 1)):
            with bench.fresh() as directory:
                store = directory / "store"
                cold += execute(store, JOBS_FLOW, "fan_out", n).samples
                step += execute(store, JOBS_FLOW, "fan_out", n, replay="step").samples
                for _ in range(3):
                    whole += execute(store, JOBS_FLOW, "fan_out", n).samples
        judged = n == sizes[1]
        figure = timed(
            f"fan-out.cold.{n}",
            f"fan-out of {n:,}, cold",
            "us/job",
            cold,
            by=n,
            target=_COLD_US if judged else None,
        )
        if judged:
            bench.memory[COLD_JOB] = figure.median
        yield figure
        yield timed(
            f"fan-out.step.{n}",
            f"fan-out of {n:,}, warm, step by step",
            "us/job",
            step,
            by=n,
            target=_WARM_US if judged else None,
        )
        yield timed(
            f"fan-out.whole.{n}", f"fan-out of {n:,}, warm, whole replay, in process", "ms", whole, target=_WHOLE_MS
        )


def commands(bench: Bench) -> Iterator[Figure]:
    """The same by the command line, `-q` into a pipe: the whole process, divided by the jobs."""
    n = bench.size(10_000, 2_000)
    argv = [*redun_command(), "-q", "run", str(JOBS_FLOW), "fan_out", "--n"]
    cold, warm, one = [], [], []
    for _ in range(bench.repeat):
        with bench.fresh() as directory:
            cold.append(process([*argv, str(n)], directory))
            warm.append(process([*argv, str(n)], directory))
        with bench.fresh() as directory:
            one.append(process([*argv, "1"], directory))
    start = min(one).wall
    yield timed(
        f"fan-out.command.cold.{n}",
        f"`redun -q run` of {n:,} jobs into a pipe, cold, whole process",
        "us/job",
        cold,
        by=n,
        target=_COLD_US,
        note=f"of a run of one job's {start * 1e3:.0f} ms: {start / n * 1e6:.1f} us/job",
    )
    yield timed(f"fan-out.command.warm.{n}", f"`redun -q run` of {n:,} jobs into a pipe, warm", "ms", warm)


def shapes(bench: Bench) -> Iterator[Figure]:
    """Chains and recursion, whose cost a job is compared with the fan-out's."""
    n = bench.size(10_000, 2_000)
    depth = bench.size(20, 12)
    most = 2 * bench.memory[COLD_JOB] if COLD_JOB in bench.memory else None
    yield _shape(bench, most, "chain", f"chain of {n:,} jobs", n)
    yield _shape(bench, None, "fib", "fib(25): equal calls are one job", 25)
    yield _shape(bench, most, "fib_apart", f"fib({depth}), every call a job of its own", depth, "")


def _shape(bench: Bench, most: float | None, task: str, what: str, *args: object) -> Figure:
    samples: list[Sample] = []
    jobs = 1
    for _ in range(bench.repeat):
        with bench.fresh() as directory:
            ran = execute(directory / "store", JOBS_FLOW, task, *args)
            samples += ran.samples
            jobs = sum(ran.bodies.values())
    note = f"{jobs:,} jobs" + ("" if most is None else "; target: twice the fan-out's")
    if task == "fib":
        return timed("shape.fib", f"{what}, in all", "ms", samples, note=note)
    return timed(f"shape.{task}", f"{what}, cold", "us/job", samples, by=jobs, target=most, note=note)


def edits(bench: Bench) -> Iterator[Figure]:
    """One of 20 tasks is edited; only its jobs run, and what that costs."""
    n = bench.size(500, 100)
    most = None
    if COLD_JOB in bench.memory:
        most = _WHOLE_MS + 2 * n * bench.memory[COLD_JOB] / 1e3
    for task, shape in (("grouped", "in 20 groups"), ("flat", "all called by one task")):
        samples, ran = [], []
        for _ in range(bench.repeat):
            with bench.fresh() as directory:
                took, bodies = _edit(directory, task, n)
                samples.append(took)
                ran.append(bodies)
        yield timed(
            f"edit.{task}",
            f"edit one of 20 tasks of {20 * n:,} jobs, {shape}",
            "ms",
            samples,
            target=most if task == "grouped" else None,
            note="target: twice the cold cost of those that run, plus 50 ms" if task == "grouped" else "",
        )
        yield Figure(
            f"edit.{task}.bodies", f"bodies that ran then, {shape}", "jobs", ran, target=n, note=f"{n} use that task"
        )


def _edit(directory: Path, task: str, n: int) -> tuple[Sample, int]:
    flow, store = directory / "wide.py", directory / "store"
    flow.write_text(wide.source(edited=False))
    execute(store, flow, task, n)
    flow.write_text(wide.source(edited=True))
    ran = execute(store, flow, task, n)
    bodies = sum(number for name, number in ran.bodies.items() if ".step_" in name)
    return ran.samples[0], bodies


def externals(bench: Bench) -> Iterator[Figure]:
    """Whole replays that have files to look at."""
    for n in (200,) if bench.quick else (1_000, 10_000):
        samples: list[Sample] = []
        with bench.fresh() as directory:
            files, store = directory / "files", directory / "store"
            files.mkdir()
            execute(store, JOBS_FLOW, "files", str(files), n)
            # Hashes of files that had just been written are not remembered; from here on they are.
            execute(store, JOBS_FLOW, "files", str(files), n)
            for _ in range(max(bench.repeat, 3)):
                samples += execute(store, JOBS_FLOW, "files", str(files), n).samples
        target = _WHOLE_MS + _EXTERNAL_US * n / 1e3
        yield timed(f"externals.{n}", f"whole replay that depends on {n:,} files", "ms", samples, target=target)


def sleepers(bench: Bench) -> Iterator[Figure]:
    """Jobs that sleep 10 ms in 20 threads, against the least time that takes."""
    n, seconds, threads = bench.size(2_000, 400), 0.01, 20
    shares: list[float] = []
    for _ in range(bench.repeat):
        with bench.fresh() as directory:
            ran = execute(directory / "store", JOBS_FLOW, "naps", n, seconds, threads=threads)
            shares.append(100 * n * seconds / threads / ran.samples[0].wall)
    what = f"{n:,} jobs that sleep 10 ms, {threads} threads: share of ideal"
    yield Figure("sleepers", what, "%", shares, target=90.0, at_least=True)
