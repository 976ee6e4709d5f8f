"""What fsck finds is mended, or taken out and named: each kind of damage, on both backends and in both formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from redun.core.codec import pack
from redun.core.digest import Digest
from redun.core.errors import NotFound, StoreLocked, StoreReadOnly
from redun.core.objects import JobRow, Status, TaskRecord
from redun.store import Batch, GcOptions, KeepRules, Store
from redun.store.lost import losses
from redun.store.memo import MemoCall, MemoRow, encode_row, last_seq
from redun.store.mending.records import Repaired
from tests.store.test_check import Filled, _chain

Row = Callable[..., JobRow]
Spoil = Callable[[Filled], object]


@pytest.fixture
def filled(store: Store, row: Row) -> Filled:
    return Filled(store, row)


def _flip(filled: Filled, table: str, key: bytes) -> None:
    data = filled.store._backend.read(lambda txn: txn.get(table, key))
    assert data is not None
    filled.put_row(table, key, data[:-1] + bytes([data[-1] ^ 1]))


def _drop(filled: Filled, *digests: Digest) -> None:
    filled.write(lambda txn: [txn.delete("objects", digest) for digest in digests])


def _entries(filled: Filled, name: bytes) -> list[bytes]:
    keys = filled.store._backend.read(lambda txn: txn.scan_keys("reflog", name, 99))
    return [key for key in keys if key.startswith(name + b"\0")]


def _ref(filled: Filled, *moves: Digest) -> None:
    before = None
    for move in moves:
        filled.store.set_ref("mine", move, expected=before, reason="so")
        before = move


def _all_of(kind: str) -> Spoil:
    def spoil(filled: Filled) -> None:
        for digest, _ in list(filled.store.objects(kind)):
            _flip(filled, "objects", digest)

    return spoil


def _memo(reduction: bytes, *calls: MemoCall, is_expr: bool = True) -> Spoil:
    return lambda filled: filled.put_row("memo", filled.key, encode_row(filled.key, MemoRow(reduction, is_expr, calls)))  # type: ignore[arg-type]


SPOILED: dict[str, Spoil] = {
    "a value": lambda f: _flip(f, "objects", f.value),
    "an inner value": lambda f: _flip(f, "objects", f.inner),
    "every value": _all_of("value"),
    "every call": _all_of("call"),
    "every footprint": _all_of("footprint"),
    "every expression": _all_of("expr"),
    "every page of jobs": _all_of("jobs"),
    "the execution": lambda f: _flip(f, "objects", f.execution),
    "an envelope of nothing": lambda f: f.put_row("objects", f.value, b""),
    "a kind that is none": lambda f: f.put_row("objects", f.value, b"\0\x7f"),
    "a key that is no id": lambda f: f.put_row("objects", b"short", b"\0\0\xc0"),
    "a missing value": lambda f: _drop(f, f.value),
    "a missing execution": lambda f: _drop(f, f.execution),
    "a missing call": lambda f: _drop(f, f.call),
    "a missing page of the live run": lambda f: _drop(f, f.page),
    "the row of a ref": lambda f: (_ref(f, f.value), _flip(f, "refs", b"mine")),
    "a ref that is gone": lambda f: (_ref(f, f.value), f.write(lambda txn: txn.delete("refs", b"mine"))),
    "a ref to nothing": lambda f: (_ref(f, f.inner), _drop(f, f.inner)),
    "a ref to nothing, gone": lambda f: (
        _ref(f, f.inner),
        _drop(f, f.inner),
        f.write(lambda txn: txn.delete("refs", b"mine")),
    ),
    "a ref that its log does not know": lambda f: (_ref(f, f.value, f.outer), f.put_sealed("refs", b"mine", f.value)),
    "a ref with a name of none": lambda f: f.put_sealed("refs", b"a//b", f.value),
    "a ref and its log": lambda f: (
        _ref(f, f.value),
        f.put_row("reflog", _entries(f, b"mine")[0], b"\1"),
        _flip(f, "refs", b"mine"),
    ),
    "a ref in pieces and its log": lambda f: (
        _ref(f, f.value),
        f.put_row("reflog", _entries(f, b"mine")[0], b"\1"),
        f.put_row("refs", b"mine", b"x" * 30),
    ),
    "the middle of a log": lambda f: (
        _ref(f, f.value, f.outer, f.inner),
        f.put_row("reflog", _entries(f, b"mine")[1], b"\1"),
    ),
    "the end of a log": lambda f: (_ref(f, f.value, f.outer), f.put_row("reflog", _entries(f, b"mine")[1], b"\1")),
    "a log of nobody": lambda f: f.put_row("reflog", b"mine\0" + b"\xff" * 8, b""),
    "the chain": lambda f: _flip(f, "refs", _chain(f.store).encode()),
    "the chain and its log": lambda f: (
        _flip(f, "refs", _chain(f.store).encode()),
        f.put_row("reflog", _entries(f, _chain(f.store).encode())[0], b"\1"),
    ),
    "a chain to a value": lambda f: f.put_sealed("refs", _chain(f.store).encode(), f.value),
    **{
        f"entry {letter} of a live run": lambda f, of=letter: f.put_row("live", f.live.uuid + of.encode(), b"\xc1")
        for letter in "hpstr"
    },
    **{
        f"missing entry {letter} of a live run": lambda f, of=letter: f.write(
            lambda txn: txn.delete("live", f.live.uuid + of.encode())
        )
        for letter in "hpstr"
    },
    "an entry of no run": lambda f: f.put_row("live", b"u" * 16 + b"x", b""),
    "a row of the cache": lambda f: _flip(f, "memo", f.key),
    "a row of the cache to nothing": lambda f: _memo(b"g" * f.store.format.size)(f),
    "a row of the cache with a call of nothing": lambda f: _memo(
        f.expr, MemoCall(Digest(b"g" * f.store.format.size), f.head, 1)
    )(f),
    "a swept object": lambda f: f.put_row("trash", b"t" * f.store.format.size, bytes(8) + b"\0\0\xc0"),
    "a swept object that is pointed to": lambda f: (
        _drop(f, f.inner),
        f.put_row("trash", f.inner, bytes(8) + b"\0\0\xc0"),
    ),
    "a mark of a task": lambda f: f.put_row("superseded", b"some key", b"some row"),
    "a status": lambda f: f.put_row("stat", b"some key", b"some row"),
    "a tally": lambda f: f.put_row("tally", b"some key", b"some row"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_whatever_is_found_is_mended_and_told(filled: Filled, what: str) -> None:
    SPOILED[what](filled)
    assert filled.problems() != []
    repaired = filled.store.repair()
    assert repaired.remaining == ()
    assert repaired.done
    assert filled.problems() == []
    assert filled.store.repair() == Repaired()
    list(filled.store.executions())
    filled.store.live_runs()
    filled.store.collect_garbage()
    assert filled.problems() == []


def test_what_is_sound_is_left_alone(filled: Filled) -> None:
    before = filled.store._backend.last_transaction()
    assert filled.store.repair() == Repaired()
    assert filled.store._backend.last_transaction() == before


def test_a_lost_object_is_declared_until_it_is_made_again(filled: Filled) -> None:
    _flip(filled, "objects", filled.inner)
    repaired = filled.store.repair()
    assert [(loss, kind.kind) for loss, kind in losses(filled.store._backend)] == [(filled.inner, "value")]
    assert any(mended.lost and filled.inner.hex() in mended.message for mended in repaired.done)
    assert not filled.store.has(filled.inner)
    assert filled.store.is_lost(filled.inner)
    with pytest.raises(NotFound, match="lost since a repair"):
        filled.store.get(filled.inner)
    filled.store.put("value", pack(["inner"]))
    assert list(losses(filled.store._backend)) == []
    assert not filled.store.is_lost(filled.inner)


def test_a_chain_goes_on_behind_an_execution_that_is_lost(store: Store) -> None:
    sealed = []
    for number in range(5):
        run = store.begin_run([str(number)], {})
        sealed.append(run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=()))
    for gone in (sealed[1], sealed[2], sealed[4]):
        store._backend.write(lambda txn, gone=gone: txn.put("objects", gone, b"\0\x09?"))  # type: ignore[misc]
    assert store.repair().remaining == ()
    assert [record.argv for _, record in store.executions()] == [("3",), ("0",)]
    assert list(store.check()) == []
    store.begin_run(["5"], {}).seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())
    store.prune(store.plan_pruning(KeepRules(last=2)))
    store.collect_garbage(GcOptions(expiry_s=0))
    assert [record.argv for _, record in store.executions()] == [("5",), ("3",)]
    assert list(store.check()) == []


def test_what_was_swept_and_is_damaged_in_its_place_is_had_back_from_the_trash(filled: Filled) -> None:
    env = filled.store._backend.read(lambda txn: txn.get("objects", filled.value))
    assert env is not None
    filled.put_row("trash", filled.value, bytes(8) + env)
    _flip(filled, "objects", filled.value)
    repaired = filled.store.repair()
    assert [mended.lost for mended in repaired.done] == [False]
    assert filled.store.get(filled.value) == ("value", pack([1, "two", 3.0]))


def test_bytes_that_were_put_so_are_left_and_named(filled: Filled) -> None:
    digest = filled.store.put("call", pack([1]))
    repaired = filled.store.repair()
    assert [(problem.what, problem.where) for problem in repaired.remaining] == [("malformed", digest.hex())]
    assert repaired.done == ()
    assert filled.store.get(digest) == ("call", pack([1]))


def test_a_doubtful_task_stays_doubtful(filled: Filled) -> None:
    store = filled.store
    task = store.put("task", TaskRecord("n.t", "version", "1").payload())
    assert task
    key = store.format.hash(b"n.t")
    filled.put_row("superseded", key, b"?" * 20)
    newest = store._backend.read(last_seq)
    repaired = store.repair()
    assert repaired.remaining == ()
    assert newest < store.superseded("n.t") <= store._backend.read(last_seq)
    assert any("n.t" in mended.message for mended in repaired.done)


def test_a_store_that_is_open_for_reading_is_not_repaired(tmp_path: Path) -> None:
    Store.init(tmp_path / "s").close()
    with Store.open(tmp_path / "s", read_only=True) as store, pytest.raises(StoreReadOnly):
        store.repair()


def test_a_store_that_is_open_elsewhere_is_not_repaired(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s") as store, Store.open(tmp_path / "s"), pytest.raises(StoreLocked):
        store.repair()
