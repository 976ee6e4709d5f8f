"""Limits, retries and timeouts at once, over hundreds of jobs: every job ends as its own options say."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from redun.core.functional import catch
from redun.core.objects import Status
from redun.core.tasks import task
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.test_retries import rows

redun_namespace = "tests.attempts_together"
WAIT = 30.0
JOBS = 400
CAPACITIES = {"a": 1, "b": 3}

_tried: Counter[int] = Counter()
_inside: Counter[str] = Counter()
_most: Counter[str] = Counter()
_lock = threading.Lock()
_free = threading.Event()


@pytest.fixture(autouse=True)
def nothing_yet() -> Iterator[None]:
    for counter in (_tried, _inside, _most):
        counter.clear()
    _free.clear()
    yield
    _free.set()


@task(retries=2, version="1")
def works(n: int, failures: int, held: list[str]) -> int:
    with _lock:
        _tried[n] += 1
        for name in held:
            _inside[name] += 1
            _most[name] = max(_most[name], _inside[name])
    try:
        if _tried[n] <= failures:
            raise ValueError(n)
    finally:
        with _lock:
            for name in held:
                _inside[name] -= 1
    return n


@task(timeout=0.25, retries=1, version="1")
def hangs(n: int) -> int:
    with _lock:
        _tried[n] += 1
    if _tried[n] == 1:
        _free.wait(WAIT)
    return n


@task(version="1")
def failed(error: Exception) -> int:
    return -1


@pytest.mark.parametrize("seed", range(3))
def test_hundreds_of_jobs_with_all_of_these_options_end_as_each_says(seed: int) -> None:
    dice = random.Random(seed)
    calls, expected, attempts = [], [], 0
    for n in range(JOBS):
        failures, held = dice.randrange(4), dice.sample(sorted(CAPACITIES), dice.randrange(3))
        if dice.random() < 0.01:
            calls.append(hangs.options(limits=held)(n))
            expected.append(n)
            attempts += 2
            continue
        delay = dice.choice([None, 0.001, [0.002, 0]])
        calls.append(catch(works.options(limits=held, retry_delay=delay)(n, failures, held), ValueError, failed))
        expected.append(n if failures < 3 else -1)
        attempts += min(failures + 1, 3)
    with Store.memory() as store:
        assert Scheduler(store, threads=4, limits=CAPACITIES).run(calls) == expected
        tried = [row for row in rows(store) if row.attempt > 1 or row.trace is not None]
        assert sum(row.status is Status.FAILED for row in tried) == sum(
            min(count, 3) - (expected[n] != -1) for n, count in _tried.items()
        )
        assert len({row.number for row in rows(store)}) == len(rows(store))
    assert sum(_tried.values()) == attempts
    assert all(_most[name] <= capacity for name, capacity in CAPACITIES.items())
