"""What a store is said to hold."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from redun.core.codec import Pointer, pack
from redun.core.objects import CallRecord, JobRow, Outcome, Status, TaskCount, TaskRecord
from redun.store import Batch, Digest, GcOptions, Store


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


def _run(store: Store, *values: str) -> Digest:
    """Seals a run whose root call gives some values."""
    run = store.begin_run(["x"], {})
    digests = [store.put("value", pack(value)) for value in values]
    task = store.put("task", _task(store, "t").payload())
    result = store.put("value", pack([Pointer(digest) for digest in digests]))
    root = store.put("call", CallRecord(task, (), None, Outcome.VALUE, result).payload())
    return run.seal(Batch(), root=root, status=Status.DONE, rows=0, counts=(), sources=())


def test_each_execution_has_added_what_no_older_one_leads_to(store: Store) -> None:
    first = _run(store, "a" * 1000, "b" * 2000)
    second = _run(store, "b" * 2000, "c" * 3000)
    third = _run(store, "a" * 1000, "b" * 2000)
    named = store.put("value", pack("d" * 4000))
    store.set_ref("mine", named, expected=None, reason="test")
    store.put("value", pack("e" * 5000))
    found = store.statistics()
    assert [(one.execution, one.uuid) for one in found.growth] == [
        (digest, store.get_record(digest).uuid) for digest in (third, second, first)
    ]
    sizes = [one.size for one in found.growth]
    assert sizes[0] < 500 < 3000 < sizes[1] < 3500
    assert 3000 < sizes[2] < 4000
    assert found.growth[0].objects == 1
    assert [(age.age, age.executions) for age in found.ages] == [
        ("within a day", 3),
        ("by other names", 0),
        ("by nothing", 0),
    ]
    assert [age.objects for age in found.ages[1:]] == [1, 1]
    assert sum(age.size for age in found.ages) == sum(kind.size for kind in found.kinds)
    assert sum(age.objects for age in found.ages) == sum(kind.objects for kind in found.kinds)


def test_how_often_objects_are_named_is_counted(store: Store) -> None:
    _run(store, "a" * 10_000, "a" * 10_000, "a" * 10_000)
    kinds = {kind.kind: kind for kind in store.statistics().kinds}
    assert 30_000 < (kinds["value"].named or 0) < 30_500
    assert kinds["exec"].named == kinds["exec"].size
    assert {kind.named for kind in store.statistics(quick=True).kinds} == {None}


def test_where_something_is_damaged_the_rest_is_told(store: Store) -> None:
    _run(store, "a" * 100)
    damaged = store.put("value", pack("a" * 100))
    store._backend.write(lambda txn: txn.put("objects", damaged, b"\0\0damaged"))
    store._backend.write(lambda txn: txn.put("objects", bytes(store.format.size), b""))
    found = store.statistics()
    assert found.executions == 1
    assert (found.ages, found.growth) == ((), ())
    assert {kind.kind: kind.objects for kind in found.kinds}["damaged"] == 1


def test_objects_of_others_are_counted_by_their_names(store: Store) -> None:
    store.put("tool.thing", pack(["one"]))
    store.put("tool.other", pack(["two"]))
    store.put("tool.other", pack(["three"]))
    store.put("tool.other", pack("large " * 300_000))
    found = {kind.kind: kind for kind in store.statistics().kinds}
    assert {name: kind.objects for name, kind in found.items()} == {"tool.thing": 1, "tool.other": 3}
    assert found["tool.thing"].payload == len(pack(["one"]))
    assert found["tool.other"].payload == len(pack(["two"]) + pack(["three"]) + pack("large " * 300_000))


def test_what_compression_saves_is_told() -> None:
    pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")
    with Store.memory(compression="zstd") as store:
        maker = store.put("task", _task(store, "maker").payload())
        large = store.put("value", pack("text " * 5000))
        around = store.put("value", pack(["more text " * 5000, Pointer(large)]))
        store.put("call", CallRecord(maker, (), None, Outcome.VALUE, around).payload())
        found = store.statistics(largest=2)
        values = next(kind for kind in found.kinds if kind.kind == "value")
        assert values.payload > 75_000
        assert values.size < 1_000
        assert [one.made_by for one in found.large] == [("maker",), ("maker",)]


def test_what_is_free_in_the_file_is_told(store: Store) -> None:
    store.put_many([("value", pack(f"{number} " * 1000)) for number in range(300)])
    full = store.statistics().used
    store.collect_garbage(GcOptions(expiry_s=0))
    found = store.statistics()
    assert found.used < full
    assert found.free > 0 or store.path is None
