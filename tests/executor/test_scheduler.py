"""The scheduler end to end in one process: results, sharing of threads, size, and what watchers are told."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core.digest import DEFAULT_FORMAT, OBJECT_FORMATS
from redun.core.errors import NoCurrentScheduler
from redun.core.frame import object_id
from redun.core.objects import Status
from redun.core.tasks import task
from redun.core.values import Encoder
from redun.executor.scheduler import Scheduler, get_current_scheduler, set_current_scheduler
from redun.store import Store
from tests.core.sample_values import SAMPLES, alike
from tests.executor.flows import Flow, Watcher

redun_namespace = "test_scheduler"


@task()
def identity(x: Any) -> Any:
    return x


@task()
def kept(x: Any) -> Any:
    return [x, (x,), {"k": x}]


@task()
def inc(x: int) -> int:
    return x + 1


@task()
def add(a: int, b: int) -> int:
    return a + b


@task()
def fan(n: int) -> Any:
    return [inc(i) for i in range(n)]


@task()
def chain(n: int) -> Any:
    x: Any = 0
    for _ in range(n):
        x = inc(x)
    return x


@task()
def countdown(n: int) -> Any:
    return n if n == 0 else countdown(n - 1)


@task()
def total(n: int) -> Any:
    return 0 if n == 0 else total(n - 1) + 1


# -- values through tasks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_values_come_out_as_they_went_in_on_the_first_run_and_on_later_ones(name: str):
    value = SAMPLES[name]
    with Store.memory() as store:
        for _ in range(2):
            assert alike(Scheduler(store).run(identity(identity(value))), value)


@given(st.recursive(st.integers() | st.text() | st.floats(), lambda inner: st.lists(inner) | st.tuples(inner, inner)))
def test_any_nesting_comes_out_as_it_went_in(value: Any):
    with Store.memory() as store:
        first = Scheduler(store).run(kept(identity(value)))
        assert alike(first, [value, (value,), {"k": value}])
        assert alike(Scheduler(store).run(kept(identity(value))), first)


@pytest.mark.parametrize("fmt", OBJECT_FORMATS)
def test_large_values_go_through_tasks_and_stores(fmt: str, tmp_path: Path):
    value = {"text": "a" * (2 << 20), "list": list(range(200_000)), "array": np.arange(300_000)}
    with Store.init(tmp_path / "s", object_format=fmt) as store:
        for _ in range(2):
            result = Scheduler(store).run(identity(identity(value)))
            assert result["text"] == value["text"]
            assert result["list"] == value["list"]
            assert np.array_equal(result["array"], value["array"])


def test_an_expression_may_be_any_nesting_of_calls():
    scheduler = Scheduler()
    assert scheduler.run({"a": [inc(1), (inc(2) * 2, {inc(3)})], inc(4): None}) == {"a": [2, (6, {4})], 5: None}
    assert scheduler.run(5) == 5
    assert scheduler.run([]) == []


def test_a_scheduler_is_a_context_and_runs_again_and_again():
    with Scheduler() as scheduler:
        assert [scheduler.run(inc(i)) for i in range(3)] == [1, 2, 3]


def test_threads_of_a_program_may_run_side_by_side_on_one_store(tmp_path: Path):
    with Store.init(tmp_path / "s") as store:
        results: dict[int, Any] = {}

        def run(number: int) -> None:
            results[number] = Scheduler(store).run([fan(20), chain(20), inc(number)])

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == {n: [list(range(1, 21)), 20, n + 1] for n in range(4)}


# -- threads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [2, 5])
def test_bodies_run_side_by_side_as_many_as_there_are_threads(threads: int):
    together = threading.Barrier(threads)

    @task(cache=False)
    def meet(x: int) -> int:
        together.wait(timeout=30)
        return x

    assert Scheduler(threads=threads).run([meet(i) for i in range(threads)]) == list(range(threads))


def test_a_task_that_was_quick_once_still_runs_side_by_side():
    together = threading.Barrier(2)

    @task(cache=False)
    def meet(x: int) -> int:
        if x:
            together.wait(timeout=30)
        return x

    @task(cache=False)
    def both(_: int) -> Any:
        return [meet(1), meet(2)]

    assert Scheduler(threads=2).run(both(meet(0))) == [1, 2]


def test_no_more_bodies_run_at_once_than_there_are_threads():
    running = most = 0
    lock = threading.Lock()

    @task(cache=False)
    def count(x: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.001)
        with lock:
            running -= 1
        return x

    Scheduler(threads=3).run([count(i) for i in range(60)])
    assert most == 3


def test_one_thread_is_enough_for_anything():
    assert Scheduler(threads=1).run([fan(50), chain(50), total(20)]) == [list(range(1, 51)), 50, 20]


def test_threads_end_with_the_run():
    before = set(threading.enumerate())
    Scheduler(threads=8).run(fan(50))
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in left)


# -- size -------------------------------------------------------------------------------------------------------------

#: Of each shape there are runs with 100,000 jobs under tests/torture.
LARGE = 5_000


@pytest.mark.parametrize("replay", ["whole", "step"])
@pytest.mark.parametrize("shape", [fan, chain, countdown], ids=lambda made: made.name)
def test_many_jobs_in_every_shape(shape: Any, replay: Any, tmp_path: Path):
    with Store.init(tmp_path / "s") as store:
        first = Scheduler(store, replay=replay).execute(shape(LARGE))
        again = Scheduler(store, replay=replay).execute(shape(LARGE))
    assert first.status is again.status is Status.DONE
    assert first.value == again.value
    assert sum(count.done for count in first.counts) == LARGE + 1
    assert sum(count.cached for count in again.counts) == LARGE + 1


def test_a_body_may_nest_a_thousand_calls():
    expression: Any = 0
    for number in range(1000):
        expression = add(expression, inc(number))
    assert Scheduler().run(expression) == 500_500


def test_one_value_may_feed_many_calls():
    shared = fan(100)
    assert Scheduler().run([identity(shared[i]) for i in range(100)]) == list(range(1, 101))


# -- watching ---------------------------------------------------------------------------------------------------------


def test_a_watcher_is_told_of_every_job():
    watcher = Watcher()
    with Store.memory() as store:
        Scheduler(store, observer=watcher).run(add(inc(1), inc(1)))
        Scheduler(store, observer=watcher).run([add(2, 2), inc(7)])
        assert sorted((event.verb, event.fullname, event.args) for event in watcher.events) == [
            ("Cached", "test_scheduler.add", [("a", 2), ("b", 2)]),
            ("Run", "test_scheduler.add", [("a", 2), ("b", 2)]),
            ("Run", "test_scheduler.inc", [("x", 1)]),
            ("Run", "test_scheduler.inc", [("x", 7)]),
        ]
        assert len({event.id for event in watcher.events}) == 4


def test_the_counts_of_a_run_add_up():
    execution = Scheduler().execute([fan(10), fan(10), inc(3)])
    assert {count.fullname: (count.done, count.cached, count.total) for count in execution.counts} == {
        "redun.root": (1, 0, 1),
        "test_scheduler.fan": (1, 1, 2),
        "test_scheduler.inc": (10, 1, 11),
    }


def test_the_value_of_a_run_is_the_bytes_that_are_recorded():
    with Store.memory() as store:
        value = Scheduler(store).run(kept(1))
        assert store.has(object_id(DEFAULT_FORMAT, "value", Encoder(DEFAULT_FORMAT).encode(value).payload))


def test_tasks_made_in_a_body_are_run_and_answered(flow: Flow):
    flow.load("""
@task()
def main(n):
    ran("main", n)

    @task()
    def inner(x):
        ran("inner", n, x)
        return x * n

    return [inner(1), inner(2)]
""")
    assert flow("main(3)") == [3, 6]
    assert flow("main(5)") == [5, 10]
    assert flow.ran == ["inner 5 1", "inner 5 2", "main 5"]
    flow.reload()
    assert flow("main(3)") == [3, 6]
    assert flow("main(5)") == [5, 10]


def test_no_lazy_value_ever_reaches_a_body(flow: Flow):
    flow.load("""
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from typing import Any, NamedTuple

@dataclass
class Point:
    x: Any

class Pair(NamedTuple):
    a: Any
    b: Any

class MyList(list): pass
class MyDict(dict): pass

class Box:
    def __init__(self, content): self.content = content

@task()
def one(): return 1

@task()
def look(x): return repr(x if not isinstance(x, Box) else x.content)

@task()
def main():
    return [
        look([one()]), look((one(),)), look({"a": one()}), look({one(): 2}), look({one()}), look(frozenset({one()})),
        look(Point(one())), look(Pair(one(), [one()])), look(OrderedDict(a=one())), look(defaultdict(list, a=[one()])),
        look(deque([one()])), look(MyList([one()])), look(MyDict(a=one())), look(Box(one())),
        look(x={"deep": [(Point([one()]),)]}),
    ]
""")
    texts = flow()
    assert len(texts) == 15
    assert not any("one()" in text or "Task" in text for text in texts)
    assert all("1" in text for text in texts)


def test_a_body_finds_the_scheduler_that_runs_it(flow: Flow):
    flow.load("""
from redun.scheduler import get_current_scheduler

@task()
def inner(x): return x + 1

@task(version="1")
def main():
    return get_current_scheduler().run(inner(1))
""")
    assert flow() == 2
    assert get_current_scheduler(required=False) is None
    with pytest.raises(NoCurrentScheduler, match="no scheduler is running"):
        get_current_scheduler()
    scheduler = Scheduler()
    set_current_scheduler(scheduler)
    assert get_current_scheduler() is scheduler
    set_current_scheduler(None)
    assert get_current_scheduler(required=False) is None
