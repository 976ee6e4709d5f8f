"""Tags and pins: given and taken, found again, and gone with what they are about."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.core.codec import pack
from redun.core.digest import Digest
from redun.core.errors import NotFound, RefMoved, StoreError, StoreReadOnly
from redun.core.objects import ExecRecord, JobRow, NoteRecord, Status, TaskCount
from redun.store import Batch, GcOptions, KeepRules, Store
from redun.store.lookup_names import runs
from redun.store.tags import Thing, effective, of_execution, of_job, of_object, of_task

Row = Callable[..., JobRow]
NOW = GcOptions(expiry_s=0)


def _value(store: Store, content: object, *, kept: bool = True) -> Digest:
    digest = store.put("value", pack(content))
    if kept:
        store.set_ref(f"mine/{digest.hex()}", digest, expected=None, reason="test")
    return digest


def _run(store: Store, row: Row, tags: list[tuple[str, str]] = [], task: str = "ns.task") -> bytes:  # noqa: B006
    run = store.begin_run(["x"], {})
    call = _value(store, ["of", run.uuid], kept=False)
    counts = (TaskCount(task, done=1),)
    run.seal(
        Batch(), root=None, status=Status.DONE, rows=1, counts=counts, sources=(), tail=[row(0, head=call)], tags=tags
    )
    return run.uuid


def _pairs(store: Store, thing: Thing) -> list[tuple[str, str]]:
    return [tag.pair for tag in store.tags(thing)]


# -- giving and taking ------------------------------------------------------------------------------------------------


def test_tags_are_given_once_and_found_by_thing_and_by_name(store: Store) -> None:
    one, other = of_object(_value(store, 1)), of_object(_value(store, 2))
    assert [tag.pair for tag in store.add_tags(one, [("a", "1"), ("b", "")], author="ada")] == [("a", "1"), ("b", "")]
    assert store.add_tags(one, [("a", "1")], author="bob") == []
    store.add_tags(other, [("a", "2")])
    assert [(tag.pair, tag.author, tag.time > 0) for tag in store.tags(one)] == [
        (("a", "1"), "ada", True),
        (("b", ""), "ada", True),
    ]
    assert {thing for thing, _ in store.tagged("a")} == {one, other}
    assert [thing for thing, _ in store.tagged("a", "2")] == [other]
    assert len(list(store.tagged())) == 3
    assert list(store.check(level=2)) == []


@pytest.mark.parametrize("thing", [of_execution(b"u" * 16), of_job(b"u" * 16, 7), of_task("ns.task")])
def test_what_is_no_object_is_tagged_too(store: Store, thing: Thing) -> None:
    store.add_tags(thing, [("a", "1")])
    assert [found for found, _ in store.tagged("a")] == [thing]
    assert _pairs(store, thing) == [("a", "1")]


def test_a_name_has_several_values_unless_they_are_replaced(store: Store) -> None:
    thing = of_task("t")
    store.add_tags(thing, [("a", "1"), ("a", "2"), ("b", "1")])
    assert _pairs(store, thing) == [("a", "1"), ("a", "2"), ("b", "1")]
    store.add_tags(thing, [("a", "2"), ("a", "3")], replace=True)
    assert _pairs(store, thing) == [("a", "2"), ("a", "3"), ("b", "1")]


def test_tags_are_taken_by_name_or_by_value(store: Store) -> None:
    thing = of_task("t")
    store.add_tags(thing, [("a", "1"), ("a", "2"), ("b", "1")])
    assert [tag.pair for tag in store.remove_tags(thing, "a", "2")] == [("a", "2")]
    assert store.remove_tags(thing, "a", "2") == []
    assert [tag.pair for tag in store.remove_tags(thing, "a")] == [("a", "1")]
    assert _pairs(store, thing) == [("b", "1")]
    assert [entry.reason for name in ["a"] for entry in _log(store, name)] == ["untag a", "tag a"] * 2


def _log(store: Store, tag: str) -> list[object]:
    hashed = store.format.hash(tag.encode()).hex()[:8]
    names = {key.split(b"\0")[0].decode() for key, _ in store._backend.read(lambda txn: txn.scan("reflog", b"", 100))}
    return [entry for name in sorted(names) if f"/{hashed}-" in name for entry in store.reflog(name)]


def test_the_tags_that_an_execution_was_run_with_can_be_taken_and_given_again(store: Store, row: Row) -> None:
    uuid = _run(store, row, [("env", "prod"), ("x", "1")])
    thing = of_execution(uuid, [("env", "prod"), ("x", "1")])
    assert _pairs(store, thing) == [("env", "prod"), ("x", "1")]
    store.add_tags(thing, [("env", "test"), ("x", "1")], replace=True)
    assert _pairs(store, thing) == [("env", "test"), ("x", "1")]
    assert next(runs(store)).tags == (("env", "test"), ("x", "1"))
    store.add_tags(thing, [("env", "prod")])
    assert set(next(runs(store)).tags) == {("env", "prod"), ("env", "test"), ("x", "1")}
    for name in ("env", "x"):
        store.remove_tags(thing, name)
    assert next(runs(store)).tags == ()


def test_random_changes_leave_what_a_set_has(store: Store, row: Row) -> None:
    chance = random.Random(1)
    given = [("a", "1"), ("b", "2")]
    uuid = _run(store, row, given)
    thing, model = of_execution(uuid, given), set(given)
    for _ in range(60):
        name, value = chance.choice("abc"), chance.choice("123")
        choice = chance.randrange(4)
        if choice == 0:
            model.add((name, value))
            store.add_tags(thing, [(name, value)])
        elif choice == 1:
            model = {pair for pair in model if pair[0] != name} | {(name, value)}
            store.add_tags(thing, [(name, value)], replace=True)
        elif choice == 2:
            model.discard((name, value))
            store.remove_tags(thing, name, value)
        else:
            model = {pair for pair in model if pair[0] != name}
            store.remove_tags(thing, name)
        assert _pairs(store, thing) == sorted(model)
        assert set(effective(given, store.tags_of_executions().get(uuid))) == model


def test_threads_that_tag_one_thing_lose_nothing(store: Store) -> None:
    thing = of_task("t")

    def tag(who: int) -> None:
        for number in range(10):
            store.add_tags(thing, [("n", str(number % 5)), (f"by{who}", str(number))])

    threads = [threading.Thread(target=tag, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.tags(thing)) == 5 + 30


@pytest.mark.parametrize("pair", [("", "1"), (" a", "1"), ("a=b", "1"), ("a", "x" * 10_001)])
def test_what_can_be_no_tag_is_refused_and_nothing_is_written(store: Store, pair: tuple[str, str]) -> None:
    with pytest.raises(StoreError, match="can be no tag"):
        store.add_tags(of_task("t"), [("fine", "1"), pair])
    assert store.tags(of_task("t")) == []


def test_an_object_that_is_not_there_cannot_be_tagged(store: Store) -> None:
    with pytest.raises(NotFound):
        store.add_tags(of_object(Digest(b"x" * store.format.size)), [("a", "1")])


def test_a_store_open_for_reading_tells_tags_and_takes_none(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s") as store:
        store.add_tags(of_task("t"), [("a", "1")])
    with Store.open(tmp_path / "s", read_only=True) as store:
        assert _pairs(store, of_task("t")) == [("a", "1")]
        with pytest.raises(StoreReadOnly):
            store.add_tags(of_task("t"), [("a", "1")])
        with pytest.raises(StoreReadOnly):
            store.remove_tags(of_task("t"), "a")
        with pytest.raises(StoreReadOnly):
            store.pin(Digest(bytes(16)), "x")


def test_a_note_of_another_tool_below_tags_is_no_tag(store: Store) -> None:
    note = store.put("note", NoteRecord("mine", None, "exec zz", (("a", "1"),), 0, "").payload())
    store.set_ref("tags/exec/mine", note, expected=None, reason="test")
    assert list(store.tagged()) == []
    store.collect_garbage(NOW)
    assert store.ref("tags/exec/mine") == note


# -- what becomes of them ---------------------------------------------------------------------------------------------


def test_a_tag_keeps_nothing_and_goes_with_what_it_is_about(store: Store) -> None:
    kept, gone = of_object(_value(store, "kept")), of_object(_value(store, "gone", kept=False))
    store.add_tags(kept, [("a", "1")])
    store.add_tags(gone, [("a", "2"), ("b", "1")])
    found = store.collect_garbage(NOW)
    assert {kind: amount.objects for kind, amount in found.swept.items()} == {"value": 1, "note": 2}
    assert [thing for thing, _ in store.tagged()] == [kept]
    assert list(store.check(level=2)) == []
    assert len(store.refs("tags/")) == 1


def test_tags_of_executions_jobs_and_tasks_go_when_the_last_execution_that_has_them_is_pruned(
    store: Store, row: Row
) -> None:
    old, new = _run(store, row, task="ns.old"), _run(store, row, task="ns.new")
    things = [
        of_execution(old),
        of_job(old, 0),
        of_task("ns.old"),
        of_execution(new),
        of_job(new, 0),
        of_task("ns.new"),
    ]
    for thing in things:
        store.add_tags(thing, [("a", "1")])
    store.collect_garbage(NOW)
    assert {thing for thing, _ in store.tagged()} == set(things)
    store.prune(store.plan_pruning(KeepRules(last=1)))
    planned = store.collect_garbage(GcOptions(dry=True))
    assert {thing for thing, _ in store.tagged()} == set(things)
    done = store.collect_garbage(NOW)
    assert planned.swept["note"] == done.swept["note"]
    assert {thing for thing, _ in store.tagged()} == set(things[3:])


def test_tags_of_a_live_run_stay(store: Store) -> None:
    run = store.begin_run(["x"], {})
    store.add_tags(of_execution(run.uuid), [("a", "1")])
    store.collect_garbage(NOW)
    assert next(runs(store)).tags == (("a", "1"),)


def test_pruning_by_tag_sees_tags_as_they_are_now(store: Store, row: Row) -> None:
    plain, tagged, untagged = _run(store, row), _run(store, row), _run(store, row, [("env", "prod")])
    store.add_tags(of_execution(tagged), [("env", "prod")])
    store.remove_tags(of_execution(untagged, [("env", "prod")]), "env")
    _run(store, row, [("env", "test")])
    plan = store.plan_pruning(KeepRules(tags=(("env", "prod"),)))
    assert [record.uuid for _, record in plan.kept] == [tagged]
    assert plain in [record.uuid for _, record in plan.pruned]
    assert len(store.plan_pruning(KeepRules(tags=(("env", None),))).kept) == 2


# -- pins -------------------------------------------------------------------------------------------------------------


def test_what_is_pinned_stays_until_it_is_unpinned(store: Store) -> None:
    digest = _value(store, "alone", kept=False)
    store.pin(digest, "paper")
    store.pin(digest, "paper")
    assert store.pins() == {"paper": digest}
    store.collect_garbage(NOW)
    assert store.get(digest)[0] == "value"
    store.unpin("paper")
    store.collect_garbage(NOW)
    assert not store.has(digest)
    with pytest.raises(NotFound, match="nothing is pinned as 'paper'"):
        store.unpin("paper")


def test_a_name_of_a_pin_is_not_taken_from_what_has_it(store: Store) -> None:
    one, other = _value(store, 1), _value(store, 2)
    store.pin(one, "paper")
    with pytest.raises(RefMoved):
        store.pin(other, "paper")
    with pytest.raises(StoreError):
        store.pin(other, "a b")
    assert store.pins() == {"paper": one}


def test_a_pinned_execution_is_not_pruned(store: Store, row: Row) -> None:
    _run(store, row)
    digest, record = next(iter(store.executions()))
    _run(store, row)
    store.pin(digest, record.uuid.hex())
    store.prune(store.plan_pruning(KeepRules(last=1)))
    store.collect_garbage(NOW)
    assert ExecRecord.parse(store.get(digest)[1]).uuid == record.uuid
    assert len(list(store.executions())) == 2
