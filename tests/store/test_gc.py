"""Pruning and collecting garbage: what stays, what goes, and that it can be had back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.core.codec import Pointer, pack
from redun.core.digest import Digest, Key
from redun.core.errors import NotFound, StoreDamaged, StoreLocked, StoreReadOnly
from redun.core.objects import CallRecord, ExecRecord, JobRow, Outcome, Status, TaskRecord
from redun.store import Batch, MemoUpdate, RunUpdate, Store
from redun.store.gc.collect import GcOptions
from redun.store.gc.retention import KeepRules
from redun.store.gc.shallow import Missing, all_shallow

Row = Callable[..., JobRow]
NOW = GcOptions(expiry_s=0)


class Run:
    """An execution with one job, that made a value of its own."""

    def __init__(self, store: Store, row: Row, number: int, tags: list[tuple[str, str]] = [], size: int = 10) -> None:  # noqa: B006
        task = store.put("task", pack([number, "task"]))
        self.value = store.put("value", pack([number, "x" * size]))
        self.call = store.put("call", CallRecord(task, (), None, Outcome.VALUE, self.value).payload())
        head = store.put("footprint", pack([number, "head"]))
        self.key = Key(bytes([number]) * store.format.size)
        run = store.begin_run([str(number)], {})
        memo = [MemoUpdate(self.key, "task", self.value, False, self.call, head)]
        rows = [row(0, call=self.call, head=head)]
        self.digest = run.seal(
            Batch(memo=memo), root=self.call, status=Status.DONE, rows=1, counts=(), sources=(), tail=rows, tags=tags
        )


@pytest.fixture
def runs(store: Store, row: Row) -> list[Run]:
    """Five executions, oldest first."""
    return [Run(store, row, number) for number in range(5)]


def _listed(store: Store) -> list[Digest]:
    return [digest for digest, _ in store.executions()]


def _prune(store: Store, rules: KeepRules) -> None:
    store.prune(store.plan_pruning(rules))


# -- pruning ----------------------------------------------------------------------------------------------------------


def test_the_newest_stay_and_the_others_are_listed_no_more(store: Store, runs: list[Run]) -> None:
    _prune(store, KeepRules(last=2))
    assert _listed(store) == [runs[4].digest, runs[3].digest]
    assert store.has(runs[0].value)


def test_what_began_since_a_time_stays(store: Store, runs: list[Run]) -> None:
    third = ExecRecord.parse(store.get(runs[2].digest)[1])
    _prune(store, KeepRules(since=third.start))
    assert set(_listed(store)) >= {runs[4].digest, runs[3].digest, runs[2].digest}


@pytest.mark.parametrize(("tag", "kept"), [(("a", None), 2), (("a", "1"), 1), (("a", "2"), 1), (("b", None), 0)])
def test_tags_keep_executions(store: Store, row: Row, tag: tuple[str, str | None], kept: int) -> None:
    for number, tags in enumerate([[("a", "1")], [], [("a", "2"), ("c", "")]]):
        Run(store, row, number, tags)
    _prune(store, KeepRules(tags=(tag,)))
    assert len(_listed(store)) == kept


def test_a_pin_keeps_an_execution(store: Store, runs: list[Run]) -> None:
    store.set_ref("pins/first", runs[0].digest, expected=None, reason="test")
    _prune(store, KeepRules(last=1))
    assert _listed(store) == [runs[4].digest, runs[0].digest]
    store.collect_garbage(NOW)
    assert _listed(store) == [runs[4].digest, runs[0].digest]
    assert store.get(runs[0].value)[0] == "value"
    assert not store.has(runs[1].value)


def test_a_plan_changes_nothing(store: Store, runs: list[Run]) -> None:
    plan = store.plan_pruning(KeepRules(last=1))
    assert [digest for digest, _ in plan.pruned] == [run.digest for run in runs[3::-1]]
    assert len(_listed(store)) == 5


# -- collecting -------------------------------------------------------------------------------------------------------


def test_all_that_executions_lead_to_stays(store: Store, runs: list[Run]) -> None:
    before = set(store.objects())
    found = store.collect_garbage(NOW)
    assert set(store.objects()) == before
    assert found.swept == {}
    assert found.rows == 0
    assert found.kept.objects == len(before)


def test_what_nothing_leads_to_goes_to_the_trash_and_comes_back_when_asked_for(store: Store) -> None:
    alone = store.put("value", pack("alone"))
    found = store.collect_garbage()
    assert {kind: amount.objects for kind, amount in found.swept.items()} == {"value": 1}
    assert list(store.objects()) == []
    assert store.has(alone)
    assert store.get(alone) == ("value", pack("alone"))
    assert [digest for digest, _ in store.objects()] == [alone]


def test_what_has_expired_is_gone(store: Store) -> None:
    alone = store.put("value", pack("alone"))
    store.collect_garbage()
    assert store.collect_garbage().emptied.objects == 0
    assert store.collect_garbage(NOW).emptied.objects == 1
    assert not store.has(alone)
    with pytest.raises(NotFound):
        store.get(alone)


def test_pruned_executions_and_their_cache_go_and_the_others_stay(store: Store, runs: list[Run]) -> None:
    _prune(store, KeepRules(last=2))
    found = store.collect_garbage(NOW)
    assert found.rows == 3
    assert list(store.check(level=2)) == []
    for run in runs[:3]:
        assert not store.has(run.value)
        assert store.lookup({}, [run.key]) == [None]
    for run in runs[3:]:
        assert store.get(run.value)[0] == "value"
        assert store.lookup({}, [run.key]) != [None]
    assert _listed(store) == [runs[4].digest, runs[3].digest]


def test_the_oldest_that_stays_says_that_its_parent_is_missing(store: Store, runs: list[Run]) -> None:
    _prune(store, KeepRules(last=2))
    store.collect_garbage(NOW)
    store.collect_garbage(NOW)
    assert all_shallow(store._backend) == {runs[3].digest: Missing.PARENT}


def test_a_pruned_execution_between_others_stays_on_the_chain_without_its_contents(
    store: Store, runs: list[Run]
) -> None:
    store.set_ref("pins/first", runs[0].digest, expected=None, reason="test")
    _prune(store, KeepRules(last=1))
    store.collect_garbage(NOW)
    assert store.has(runs[2].digest)
    assert not store.has(runs[2].call)
    assert list(store.check(level=2)) == []
    assert _listed(store) == [runs[4].digest, runs[0].digest]


def test_a_job_keeps_no_call_that_it_was_compared_with(store: Store, runs: list[Run], row: Row) -> None:
    rows = [row(0, call=runs[4].call, compared=runs[0].call), row(1, compared=runs[4].call)]
    store.begin_run(["x"], {}).seal(
        Batch(), root=runs[4].call, status=Status.DONE, rows=2, counts=(), sources=(), tail=rows
    )
    run = store.begin_run(["y"], {})
    store.commit(Batch(run=RunUpdate(run.uuid, running=(row(0, compared=runs[1].call),))))
    _prune(store, KeepRules(last=1))
    store.collect_garbage(NOW)
    assert [store.has(made.call) for made in runs] == [False, False, False, False, True]
    assert list(store.check(level=2)) == []
    (_, newest) = next(store.executions())
    assert [row.compared for page in store.job_pages(newest.pages) for row in page.rows] == [
        runs[0].call,
        runs[4].call,
    ]


def test_when_all_are_pruned_the_next_run_goes_on_with_the_chain(store: Store, runs: list[Run], row: Row) -> None:
    _prune(store, KeepRules())
    store.collect_garbage(NOW)
    assert _listed(store) == []
    after = Run(store, row, 9)
    assert _listed(store) == [after.digest]
    store.collect_garbage(NOW)
    assert _listed(store) == [after.digest]
    assert list(store.check(level=2)) == []


def test_results_of_young_pruned_executions_can_stay_in_the_cache(store: Store, runs: list[Run]) -> None:
    _prune(store, KeepRules(last=1))
    store.collect_garbage(NOW._replace(keep_cache_s=3600))
    assert store.lookup({}, [runs[0].key]) != [None]
    assert store.get(runs[0].value)[0] == "value"
    assert _listed(store) == [runs[4].digest]
    store.collect_garbage(NOW)
    assert store.lookup({}, [runs[0].key]) == [None]


def test_the_oldest_go_where_there_is_room_for_some_only(store: Store, row: Row) -> None:
    runs = [Run(store, row, number, size=10_000) for number in range(5)]
    found = store.collect_garbage(NOW._replace(max_size=25_000))
    assert found.pruned == 3
    assert found.kept.size <= 25_000
    assert _listed(store) == [run.digest for run in runs[:2:-1]]
    assert not store.has(runs[0].value)


def test_a_dry_run_finds_out_the_same_and_changes_nothing(store: Store, runs: list[Run]) -> None:
    _prune(store, KeepRules(last=2))
    before = list(store.objects())
    dry = store.collect_garbage(GcOptions(dry=True))
    assert list(store.objects()) == before
    done = store.collect_garbage()
    assert (dry.kept, dry.swept, dry.rows) == (done.kept, done.swept, done.rows)


def test_nothing_is_swept_where_something_that_stays_is_missing(store: Store, runs: list[Run]) -> None:
    missing = Digest(b"m" * store.format.size)
    store.set_ref("mine/x", store.put("value", pack([Pointer(missing)])), expected=None, reason="test")
    _prune(store, KeepRules(last=1))
    before = list(store.objects())
    with pytest.raises(StoreDamaged, match=missing.hex()):
        store.collect_garbage(NOW)
    assert list(store.objects()) == before


def test_what_a_ref_leads_to_stays(store: Store) -> None:
    inner = store.put("value", pack("inner"))
    outer = store.put("value", pack([b"\xd8\x40\x00", Pointer(inner), "\u0100@"]))
    store.set_ref("mine/x", outer, expected=None, reason="test")
    store.collect_garbage(NOW)
    assert store.get(inner)[1] == pack("inner")


def test_an_execution_that_only_a_ref_keeps_says_that_its_parent_is_missing(store: Store, runs: list[Run]) -> None:
    store.set_ref("mine/x", runs[2].digest, expected=None, reason="test")
    _prune(store, KeepRules(last=1))
    store.collect_garbage(NOW)
    assert list(store.check(level=2)) == []
    assert store.has(runs[2].digest)
    assert not store.has(runs[1].digest)
    store.collect_garbage(NOW)
    assert list(store.check(level=2)) == []


def test_what_a_live_run_has_recorded_stays(store: Store, row: Row) -> None:
    run = store.begin_run(["x"], {})
    task = store.put("task", pack("task"))
    payload = CallRecord(task, (), None, Outcome.PARTIAL, None).payload()
    call = store.put("call", payload)
    store.commit(Batch(run=RunUpdate(run.uuid, running=(row(0, call=call),))))
    store.collect_garbage(NOW)
    assert store.get(call) == ("call", payload)
    assert store.get(task)[0] == "task"


def test_an_object_that_is_put_again_after_it_was_swept_stays(store: Store) -> None:
    alone = store.put("value", pack("alone"))
    store.collect_garbage()
    assert store.put("value", pack("alone")) == alone
    store.set_ref("mine/x", alone, expected=None, reason="test")
    store.collect_garbage(NOW)
    assert store.get(alone) == ("value", pack("alone"))


def test_what_is_reached_again_is_taken_out_of_the_trash_with_all_below(store: Store) -> None:
    inner = store.put("value", pack("inner"))
    outer = store.put("value", pack([Pointer(inner)]))
    store.collect_garbage()
    top = store.put("value", pack([Pointer(outer)]))
    store.set_ref("mine/x", top, expected=None, reason="test")
    assert store.collect_garbage(NOW).restored == 2
    assert {digest for digest, _ in store.objects()} == {inner, outer, top}


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A store on disk, closed."""
    Store.init(tmp_path / "store").close()
    return tmp_path / "store"


def _blobs(directory: Path) -> list[str]:
    return [name for _, _, names in os.walk(directory / "blobs") for name in names]


def test_the_file_of_a_large_value_goes_with_it(disk: Path) -> None:
    with Store.open(disk) as store:
        store.put("blob", b"x" * 3_000_000)
        store.collect_garbage()
        assert len(_blobs(disk)) == 1
        store.collect_garbage(NOW)
        assert _blobs(disk) == []


def test_a_file_that_no_row_names_goes(disk: Path) -> None:
    with Store.open(disk) as store:
        store.write_blob(Digest(bytes(16)), b"x" * 3_000_000)
        (disk / "incoming" / "left").write_bytes(b"x")
        store.collect_garbage()
    assert _blobs(disk) == []
    assert os.listdir(disk / "incoming") == []


_ELSEWHERE = """
import sys
from redun.store import Store
with Store.open(sys.argv[1]) as store:
    print("open", flush=True)
    sys.stdin.readline()
"""


def test_beside_another_process_files_stay_and_nothing_is_compacted(disk: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", _ELSEWHERE, str(disk)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    with other, Store.open(disk) as store:
        assert other.stdout.readline() == "open\n"
        digest = store.put("blob", b"x" * 3_000_000)
        store.collect_garbage()
        found = store.collect_garbage(NOW)
        assert not found.alone
        assert found.emptied.objects == 0
        assert bytes(store.open_blob(digest)) == b"x" * 3_000_000
        with pytest.raises(StoreLocked, match="open elsewhere"):
            store.collect_garbage(GcOptions(compact=True))
        other.stdin.write("\n")
        other.stdin.flush()
        other.wait()
        store.collect_garbage()
        assert store.collect_garbage(NOW).alone
        assert _blobs(disk) == []


def test_compacting_gives_bytes_back_and_the_store_goes_on(disk: Path) -> None:
    with Store.open(disk) as store, Store.open(disk, read_only=True) as reader:
        kept = store.put("value", pack("kept"))
        store.set_ref("mine/x", kept, expected=None, reason="test")
        store.put_many([("value", pack(["x" * 500, number])) for number in range(5_000)])
        before = (disk / "data.mdb").stat().st_size
        found = store.collect_garbage(GcOptions(compact=True))
        assert found.file == (before, (disk / "data.mdb").stat().st_size)
        assert found.file[1] < before // 4
        assert store.get(kept) == reader.get(kept) == ("value", pack("kept"))
        more = store.put("value", pack("more"))
        assert reader.get(more) == ("value", pack("more"))
    with Store.open(disk) as store:
        assert store.get(kept) == ("value", pack("kept"))
        assert list(store.check(level=2)) == []


def test_a_store_with_large_indexes_is_compacted_and_they_are_whole(disk: Path, row: Row) -> None:
    # LMDB's compacting copy dies of keys that have more than a page of rows.
    with Store.open(disk) as store:
        value = store.put("value", pack("shared"))
        task = store.put("task", TaskRecord("bench.many", "closure").payload())
        args = store.put_many([("value", pack(number)) for number in range(1500)])
        calls = store.put_many(
            [("call", CallRecord(task, (arg,), None, Outcome.VALUE, value).payload()) for arg in args]
        )
        for start in range(0, 1500, 500):
            rows = [row(number, call=call) for number, call in enumerate(calls[start : start + 500])]
            run = store.begin_run([str(start)], {})
            run.seal(Batch(), root=calls[start], status=Status.DONE, rows=500, counts=(), sources=(), tail=rows)
        before = len(list(store.index().calls_of_task("bench.many")))
        assert before == 1500
        size = store.index().size().rows
        for _ in range(2):
            store.collect_garbage(GcOptions(compact=True))
            assert store.index().size().rows == size
            assert list(store.check()) == []


_COMPACTS = """
import sys
from redun.store import GcOptions, Store

with Store.open(sys.argv[1]) as store:
    if sys.argv[2:]:
        store.collect_garbage(GcOptions(compact=True))
    store.put("value", b"\\x60")
    print(store.ref("kept").hex())
"""


@pytest.mark.parametrize("writes", range(4))
def test_a_store_compacted_beside_a_reader_is_whole_for_all_who_come_later(disk: Path, writes: int) -> None:
    # The reader keeps lock.mdb alive, and with it the number of the last transaction; a copy counts from 1.
    with Store.open(disk) as store:
        kept = store.put("value", pack("kept"))
        store.set_ref("kept", kept, expected=None, reason="test")
        for number in range(writes):
            store.put("value", pack(number))
    with Store.open(disk, read_only=True) as reader:
        for words in (["compact"], []):
            done = subprocess.run(
                [sys.executable, "-c", _COMPACTS, str(disk), *words], capture_output=True, text=True, check=False
            )
            assert (done.stdout.strip(), done.stderr) == (kept.hex(), "")
        assert reader.get(kept) == ("value", pack("kept"))
    with Store.open(disk) as store:
        assert store.ref("kept") == kept
        assert list(store.check()) == []


def test_watching_goes_on_when_the_file_is_compacted(disk: Path) -> None:
    with Store.open(disk) as store:
        for number in range(3):
            store.put("value", pack(number))
        watching = store.watch(timeout=0)
        assert list(watching) == []
        watching = store.watch(timeout=0)
        run = store.begin_run(["later"], {})
        store.collect_garbage(GcOptions(compact=True))
        digest = run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())
        assert [found for found, _ in watching] == [digest]


def test_a_store_open_for_reading_can_only_be_looked_at(disk: Path) -> None:
    with Store.open(disk) as store:
        store.put("value", pack("alone"))
    with Store.open(disk, read_only=True) as store:
        assert store.collect_garbage(GcOptions(dry=True)).swept["value"].objects == 1
        with pytest.raises(StoreReadOnly):
            store.collect_garbage()
