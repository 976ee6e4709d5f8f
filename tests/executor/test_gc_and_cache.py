"""What the cache still knows after old executions were pruned and swept."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from redun.core.functional import catch
from redun.core.tasks import task
from redun.executor.scheduler import Scheduler
from redun.store import GcOptions, KeepRules, Store

redun_namespace = "tests.gc_and_cache"

_ran: list[Any] = []
_versions = count(1)
last: Any = None


@pytest.fixture(params=["xxh3-128", "sha256"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    _ran.clear()
    with Store.memory(request.param) as made:
        yield made


@task(namespace=redun_namespace, version="1")
def double(x: int) -> int:
    _ran.append(("double", x))
    return 2 * x


@task(namespace=redun_namespace, version="1")
def boom(x: int) -> int:
    _ran.append(("boom", x))
    raise ValueError(x)


@task(namespace=redun_namespace, version="1")
def recover(error: Any) -> str:
    return str(error)


def last_of(version: int) -> Any:
    @task(namespace=redun_namespace, name="last", version=str(version))
    def last(values: list[Any]) -> int:
        _ran.append(("last", version))
        return len(values)

    return last


@task(namespace=redun_namespace, version="1")
def main() -> Any:
    return last([*(double(x) for x in range(5)), catch(boom(1), ValueError, recover)])


def test_what_the_run_that_stays_was_answered_with_stays_in_the_cache_step_by_step(store: Store) -> None:
    global last
    last = last_of(next(_versions))
    scheduler = Scheduler(store)
    scheduler.run(main())
    scheduler.run(main())  # answered whole: it has one job
    store.prune(store.plan_pruning(KeepRules(last=1)))
    store.collect_garbage(GcOptions(expiry_s=0))
    _ran.clear()
    last = last_of(next(_versions))
    assert scheduler.run(main()) == 6
    assert [name for name, _ in _ran] == ["last"]
