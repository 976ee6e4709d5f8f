"""The bodies that the benchmarks of pools run, and tasks of them. Raw pools run the bodies alone."""

import time

from redun import task

redun_namespace = "bench.pools"


def tiny(i: int) -> int:
    return i


def busy(i: int) -> int:
    """Takes 5 ms of the processor."""
    end = time.process_time() + 0.005
    while time.process_time() < end:
        pass
    return i


def large(i: int) -> bytes:
    """Makes 10 MB."""
    return i.to_bytes(8, "big") * 1_250_000


BODIES = {"tiny": tiny, "busy": busy, "large": large}
TASKS = {name: task(name=name)(body) for name, body in BODIES.items()}


@task()
def size(value: bytes) -> int:
    return len(value)


@task()
def many(name: str, n: int, executor: str) -> list[object]:
    jobs = [TASKS[name].options(executor=executor)(i) for i in range(n)]
    return [size(job) for job in jobs] if name == "large" else list(jobs)
