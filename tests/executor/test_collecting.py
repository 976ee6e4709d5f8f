"""What pruned executions leave in a store, once garbage was collected: nothing but what the others lead to."""

from __future__ import annotations

from pathlib import Path

import pytest

from redun.core.digest import OBJECT_FORMATS, Digest
from redun.store import Store
from redun.store.gc.collect import GcOptions
from redun.store.gc.retention import KeepRules
from tests.executor.flows import Flow, flow_in

FAN = """
@task()
def inc(x):
    return x + 1

@task()
def fan(low, high):
    return [inc(n) for n in range(low, high)]

@task()
def listed(path):
    return File(path)

@task()
def main(low, high, path=""):
    return [fan(low, high), listed(path)]
"""
#: Jobs of one execution, or so: more than a page has.
JOBS = 600
#: Kinds of which an execution has objects of its own, whatever it computes.
OF_A_RUN = {"jobs", "exec", "trace"}


def _objects(store: Store) -> set[Digest]:
    """What was computed."""
    found = [digest for digest, _ in store.objects()]
    kinds = (item[0] for item in store.get_many(found) if item is not None)
    return {digest for digest, kind in zip(found, kinds, strict=True) if kind not in OF_A_RUN}


def _keep_newest(store: Store, options: GcOptions = GcOptions(expiry_s=0)) -> int:  # noqa: B008
    """Prunes all but the newest execution and collects garbage; returns how many objects were swept."""
    store.prune(store.plan_pruning(KeepRules(last=1)))
    return sum(amount.objects for amount in store.collect_garbage(options).swept.values())


@pytest.mark.parametrize("name", OBJECT_FORMATS)
def test_a_store_whose_first_run_was_pruned_is_as_if_there_had_been_the_second_alone(tmp_path: Path, name: str) -> None:
    second = f"main({JOBS}, {2 * JOBS}, 'b.txt')"
    with Store.init(tmp_path / "alone", object_format=name) as alone, flow_in(tmp_path, alone) as flow:
        flow.load(FAN)
        flow(second)
        _keep_newest(alone)  # of calls that have not ended nothing is left
        wanted, rows = _objects(alone), alone._backend.read(lambda txn: txn.count("memo"))
    with Store.init(tmp_path / "store", object_format=name) as store, flow_in(tmp_path, store) as flow:
        flow.load(FAN)
        flow(f"main(0, {JOBS}, 'a.txt')")
        first = _objects(store)
        flow(second)
        own = len(first - wanted)
        assert own > 2 * JOBS
        assert _keep_newest(store) >= own
        assert _objects(store) == wanted
        assert store._backend.read(lambda txn: txn.count("memo")) == rows
        assert list(store.check(level=4)) == []
        flow(second)
        assert [event.verb for event in flow.watcher.events[-JOBS:]] == ["Cached"] * JOBS


def test_what_a_later_run_was_answered_with_stays_when_the_run_that_made_it_goes(flow: Flow) -> None:
    flow.load(FAN)
    flow(f"main(0, {JOBS}, 'a.txt')")
    _keep_newest(flow.store)
    before = _objects(flow.store)
    flow(f"main(0, {JOBS}, 'a.txt')")
    _keep_newest(flow.store)
    assert before <= _objects(flow.store)
    assert list(flow.store.check(level=4)) == []


def test_what_the_cache_is_to_keep_of_a_pruned_run_answers_the_next(flow: Flow) -> None:
    flow.load(FAN)
    flow(f"main(0, {JOBS}, 'a.txt')")
    _keep_newest(flow.store)
    before = _objects(flow.store)
    flow("main(0, 1, 'b.txt')")
    _keep_newest(flow.store, GcOptions(expiry_s=0, keep_cache_s=3600))
    assert before <= _objects(flow.store)
    flow.watcher.events.clear()
    flow(f"main(0, {JOBS}, 'a.txt')")
    assert {event.verb for event in flow.watcher.events} == {"Cached"}
