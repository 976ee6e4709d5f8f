"""Limits: what jobs hold while their bodies run, who waits, and who never has to."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from redun.core.errors import ConfigError, LimitTooLarge, TaskError
from redun.core.functional import catch
from redun.core.objects import Status
from redun.core.tasks import task
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import flow_in

redun_namespace = "tests.limits"
WAIT = 30.0


class Held:
    """How many bodies are inside at once, the most that ever were, and in which order they came."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.order: list[Any] = []
        self._lock = threading.Lock()

    def enter(self, name: Any) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.order.append(name)

    def leave(self) -> None:
        with self._lock:
            self.inside -= 1


_held = Held()
_met = threading.Barrier(2)
_gate = threading.Event()


@pytest.fixture(autouse=True)
def held() -> Held:
    """What was held, from nothing on."""
    _held.__init__()  # type: ignore[misc]  the tasks refer to this one
    _met.reset()
    _gate.clear()
    return _held


@task(limits=["db"], version="1")
def query(n: int) -> int:
    _held.enter(n)
    _held.leave()
    return n


@task(limits={"db": 1}, version="1")
def meet(n: int) -> int:
    """Ends only when another one is inside."""
    _held.enter(n)
    _met.wait(WAIT)
    _held.leave()
    return n


@task(limits={"db": 2}, version="1")
def large(n: int) -> str:
    _held.enter("large")
    _held.leave()
    return "large"


@task(limits=["a"], version="1")
def holds_a_until_b(n: int) -> bool:
    return _gate.wait(WAIT)


@task(limits=["a"], version="1")
def wants_a(n: int) -> int:
    return n


@task(limits=["b"], version="1")
def wants_b(n: int) -> int:
    _gate.set()
    return n


@task(limits=["db"], version="1")
def fails(n: int) -> int:
    raise ValueError(n)


@task(limits=["db"], version="1")
async def sleeps(n: int) -> int:
    _held.enter(n)
    await asyncio.sleep(0)
    _held.leave()
    return n


@task(version="1")
def plain(n: int) -> int:
    _held.enter(n)
    _held.leave()
    return n


@task(version="1")
def recover(error: Exception) -> str:
    return str(error)


def test_a_limit_that_is_not_declared_admits_one_at_a_time(held: Held) -> None:
    assert Scheduler(threads=8).run([query(n) for n in range(50)]) == list(range(50))
    assert held.most == 1


def test_as_many_run_at_once_as_there_is_capacity_and_no_more(held: Held) -> None:
    assert Scheduler(threads=8, limits={"db": 2}).run([meet(n) for n in range(8)]) == list(range(8))
    assert held.most == 2


def test_thousands_of_tiny_jobs_that_travel_together_count_one_by_one(held: Held) -> None:
    assert sum(Scheduler(threads=4, limits={"db": 3}).run([query(n) for n in range(2000)])) == sum(range(2000))
    assert held.most <= 3


def test_capacities_come_from_settings_and_those_of_the_program_are_stronger(held: Held) -> None:
    config = {"limits": {"db": 2}}
    assert Scheduler(threads=8, config=config).run([meet(n) for n in range(4)]) == list(range(4))
    with pytest.raises(LimitTooLarge):
        Scheduler(config=config, limits={"db": 1}).run(large(1))


@pytest.mark.parametrize(("limits", "there"), [(None, "there is 1"), ({"db": 1}, "there are 1")])
def test_a_need_above_the_capacity_is_an_error_at_once_that_names_both_and_no_hang(limits: Any, there: str) -> None:
    execution = Scheduler(limits=limits).execute(large(1))
    assert execution.status is Status.FAILED
    assert isinstance(execution.error, LimitTooLarge)
    assert f"tests.limits.large needs 2 of limit 'db', and {there}" in str(execution.error)
    assert "db = 2" in execution.error.hint


def test_a_need_above_the_capacity_can_be_caught_and_is_not_remembered(store: Store) -> None:
    assert "needs 2 of limit" in Scheduler(store).run(catch(large(1), LimitTooLarge, recover))
    assert Scheduler(store, limits={"db": 2}).run(catch(large(1), LimitTooLarge, recover)) == "large"


def test_a_large_need_is_met_before_small_ones_that_came_later(held: Held) -> None:
    found = Scheduler(threads=8, limits={"db": 2}).run([meet(0), meet(1), large(1), *(query(n) for n in range(2, 40))])
    assert found[2] == "large"
    assert held.order.index("large") == 2


def test_jobs_that_need_other_things_do_not_wait_in_line() -> None:
    # the second waits for what the first holds until the third has run
    assert Scheduler(threads=4).run([holds_a_until_b(1), wants_a(2), wants_b(3)]) == [True, 2, 3]


def test_a_job_takes_all_that_it_needs_or_nothing() -> None:
    both = wants_a.options(limits=["a", "b"])
    assert Scheduler(threads=4).run([holds_a_until_b(1), both(2), wants_b.options(limits=["c"])(3)]) == [True, 2, 3]


def test_jobs_that_are_answered_from_the_cache_need_nothing(store: Store) -> None:
    assert Scheduler(store).run([query(1), query(2)]) == [1, 2]
    assert Scheduler(store, limits={"db": 0}).run([query(1), query(2)]) == [1, 2]
    with pytest.raises(LimitTooLarge):
        Scheduler(store, limits={"db": 0}).run(query(3))


def test_what_a_failed_job_held_is_for_the_next() -> None:
    assert Scheduler(threads=4).run([catch(fails(n), ValueError, recover) for n in range(9)]) == list("012345678")


def test_async_jobs_hold_limits_as_well(held: Held) -> None:
    assert Scheduler().run([sleeps(n) for n in range(20)]) == list(range(20))
    assert held.most == 1


def test_limits_are_held_across_pools(tmp_path: Path) -> None:
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        flow.load("""
import time

def busy():
    began = time.monotonic()
    while time.monotonic() < began + 0.02:
        pass
    return began, time.monotonic()

@task(limits=["machine"])
def here(n):
    return busy()

@task(limits=["machine"], executor="processes")
def there(n):
    return busy()
""")
        spans = flow("[here(1), there(1), here(2), there(2)]")
    spans.sort()
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_limits_may_be_given_at_the_call_exported_and_as_expressions(held: Held) -> None:
    @task(version="1")
    def need() -> dict[str, int]:
        return {"db": 2}

    @task(version="1")
    def inner(n: int) -> Any:
        return plain(n)

    for call in (
        plain.options(limits={"db": 2})(1),
        inner.export_options(limits={"db": 2})(1),
        plain.options(limits=need())(1),
    ):
        with pytest.raises(LimitTooLarge):
            Scheduler().run(call)
        assert Scheduler(limits={"db": 2}).run(call) == 1


def test_limits_are_no_part_of_a_key(store: Store, held: Held) -> None:
    assert Scheduler(store).run(plain(7)) == 7
    assert Scheduler(store).run(plain.options(limits=["db"])(7)) == 7
    assert held.order == [7]


@pytest.mark.parametrize("limits", ["db", {"db": "2"}, {"db": -1}, [1], 3, {"db": True}])
def test_limits_that_mean_nothing_are_refused_where_they_are_written(limits: Any) -> None:
    with pytest.raises(TaskError, match="limits"):
        task(name="refused", limits=limits)(lambda: None)
    with pytest.raises(TaskError, match="limits"):
        plain.options(limits=limits)


def test_a_capacity_is_a_whole_number() -> None:
    with pytest.raises(ConfigError, match="db"):
        Scheduler(limits={"db": "2"})  # type: ignore[dict-item]
