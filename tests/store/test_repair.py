"""What fsck finds is mended, or taken out and named: each kind of damage, on both backends and in both formats."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redun.core.codec import pack
from redun.core.digest import Digest
from redun.core.objects import JobRow
from redun.store import Store
from redun.store.lost import losses
from redun.store.memo import MemoCall, MemoRow, encode_row
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
    filled.store.put("value", pack(["inner"]))
    assert list(losses(filled.store._backend)) == []
