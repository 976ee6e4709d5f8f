"""Workflows of control flow, each with as many jobs of the same trivial task."""

from typing import Any

from redun import catch, cond, task
from redun.functools import map_, seq

redun_namespace = "bench"


@task()
def step(x: int) -> int:
    return x + 1


@task()
def recovered(error: Exception) -> int:
    return 0


@task()
def wrong(x: int) -> int:
    raise ValueError(x)


@task()
def plain(n: int) -> list[int]:
    return [step(i) for i in range(n)]


@task()
def mapped(n: int) -> list[int]:
    return map_(step, range(n))


@task()
def mapped_twice(n: int) -> list[int]:
    """Half as many items, each through two tasks."""
    return map_(step, map_(step, range(0, n, 2)))


@task()
def in_sequence(n: int) -> list[int]:
    return seq([step(i) for i in range(n)])


@task()
def caught(n: int) -> list[int]:
    return [catch(step(i), ValueError, recovered) for i in range(n)]


@task()
def recovering(n: int) -> list[int]:
    """Half as many calls that fail, each with its recovery."""
    return [catch(wrong(i), ValueError, recovered) for i in range(0, n, 2)]


@task()
def chosen(n: int) -> list[Any]:
    return [cond(i >= 0, step(i), wrong(i)) for i in range(n)]


@task()
async def awaited(n: int) -> list[int]:
    return [await step(i) for i in range(n)]
