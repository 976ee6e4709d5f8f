"""What a store is said to hold."""

from __future__ import annotations

from collections.abc import Callable

from redun.core.codec import Pointer, pack
from redun.core.objects import CallRecord, JobRow, Outcome, Status, TaskCount, TaskRecord
from redun.store import Batch, Store


def _task(store: Store, fullname: str) -> TaskRecord:
    text = store.put("source", pack([1, "text of " + fullname]))
    return TaskRecord(fullname, "closure", None, text, (), (), (), ())


def test_an_empty_store_holds_nothing(store: Store) -> None:
    found = store.statistics()
    assert (found.kinds, found.tasks, found.large, found.executions) == ((), (), (), 0)
    assert (found.oldest, found.newest, found.cache) == (None, None, 0)


def test_objects_are_counted_by_kind_with_their_files(store: Store) -> None:
    for number in range(3):
        store.put("value", pack([number]))
    store.put("blob", b"x" * 2_000_000)
    kinds = {kind.kind: kind for kind in store.statistics().kinds}
    assert kinds["value"].objects == 3
    assert kinds["blob"].objects == 1
    assert kinds["blob"].size > 2_000_000
    assert next(iter(kinds)) == "blob"


def test_the_largest_values_are_named_with_who_made_them(store: Store) -> None:
    maker = store.put("task", _task(store, "big.maker").payload())
    large = store.put("value", pack("x" * 5000))
    around = store.put("value", pack(["small", Pointer(large)]))
    store.put("call", CallRecord(maker, (), None, Outcome.VALUE, around).payload())
    store.put("value", pack("y" * 300))
    first, second = store.statistics(largest=2).large
    assert (first.digest, first.kind, first.made_by) == (large, "value", ("big.maker",))
    assert second.made_by == ()


def test_jobs_are_counted_by_task_over_all_executions(store: Store, row: Callable[..., JobRow]) -> None:
    for done in (1, 2):
        run = store.begin_run(["x"], {})
        counts = [TaskCount("b", done=done, cached=3), TaskCount("a", failed=1)]
        run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=counts, sources=(), tail=[row(0)])
    found = store.statistics()
    assert [tuple(task) for task in found.tasks] == [("b", 3, 6, 0, 2), ("a", 0, 0, 2, 2)]
    assert found.executions == 2


def test_what_was_swept_is_told_apart(store: Store) -> None:
    store.put("value", pack("alone"))
    store.collect_garbage()
    found = store.statistics()
    assert found.kinds == ()
    assert found.trash.objects == 1
