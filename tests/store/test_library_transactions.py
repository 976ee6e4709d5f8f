"""Transactions: all or nothing, seen from within, and never one inside another."""
# ruff: noqa: PT012  what a block with a transaction in it raises is what is tested

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from redun.core import limits
from redun.core.digest import Digest
from redun.core.errors import NotFound, RefMoved, StoreError, StoreReadOnly
from redun.store import Pointer, Store, Transaction, pack

LARGE = bytes(limits.INLINE_BYTES + 1)


def _everything(store: Store) -> tuple[list[tuple[Digest, str]], dict[str, Digest]]:
    return list(store.objects()), store.refs()


def test_puts_and_moves_become_visible_together_when_the_block_ends(store: Store) -> None:
    with store.transaction() as txn:
        leaf = txn.put("blob", b"leaf")
        root = txn.put("tool.root", pack([Pointer(leaf)]))
        value = txn.put_value({"a": [1, "x" * limits.LEAF_BYTES * 2]})
        blob = txn.put_blob([LARGE, LARGE], 2 * len(LARGE))
        small = txn.put_blob([b"a", b"b"], 2)
        txn.set_ref("roots/a", root, expected=None, reason="made")
        txn.set_ref("roots/b", value, expected=None, reason="made")
        assert _everything(store) == ([], {})
    assert store.refs() == {"roots/a": root, "roots/b": value}
    assert {digest for digest, _, _ in store.walk([root])} == {leaf, root}
    assert store.get_value(value) == {"a": [1, "x" * limits.LEAF_BYTES * 2]}
    assert bytes(store.open_blob(blob)) == LARGE * 2
    assert store.get(small) == ("blob", b"ab")
    assert [entry.reason for entry in store.reflog("roots/a")] == ["made"]


def test_reads_inside_see_what_was_put_and_what_was_there(store: Store) -> None:
    before = store.put("blob", b"before")
    store.set_ref("a", before, expected=None, reason="first")
    missing = Digest(bytes(store.format.size))
    with store.transaction() as txn:
        inside = txn.put("blob", b"inside")
        value = txn.put_value([1, b"x" * len(LARGE)])
        large = txn.put_blob([LARGE], len(LARGE))
        assert txn.get(before) == ("blob", b"before")
        assert txn.get(inside) == ("blob", b"inside")
        assert txn.get(large) == ("blob", LARGE)
        assert txn.get_value(value) == [1, b"x" * len(LARGE)]
        assert txn.get_many([inside, missing, before]) == [("blob", b"inside"), None, ("blob", b"before")]
        assert [txn.has(digest) for digest in (inside, large, before, missing)] == [True, True, True, False]
        assert txn.ref("a") == before
        txn.set_ref("a", inside, expected=before, reason="second")
        assert (txn.ref("a"), store.ref("a")) == (inside, before)
        with pytest.raises(NotFound):
            txn.get(missing)
        assert not store.has(inside)


def test_an_exception_in_the_block_writes_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction() as txn:
        txn.set_ref("a", txn.put("blob", b"x"), expected=None, reason="no")
        txn.put_blob([LARGE], len(LARGE))
        raise ZeroDivisionError
    assert _everything(store) == ([], {})


def test_a_ref_that_moved_aborts_everything(store: Store) -> None:
    first, other = store.put_many([("blob", b"first"), ("blob", b"other")])
    store.set_ref("a", first, expected=None, reason="first")
    before = _everything(store)
    with pytest.raises(RefMoved, match="ref a is at"), store.transaction() as txn:
        new = txn.put("blob", b"new")
        txn.set_ref("b", new, expected=None, reason="no")
        txn.set_ref("a", new, expected=other, reason="no")
        txn.put("blob", b"more")
    assert _everything(store) == before
    assert store.reflog("b") == []


def test_a_ref_to_what_is_not_there_aborts_everything(store: Store) -> None:
    with pytest.raises(NotFound), store.transaction() as txn:
        txn.put("blob", b"x")
        txn.set_ref("a", Digest(bytes(store.format.size)), expected=None, reason="no")
    assert _everything(store) == ([], {})


def test_another_writer_that_came_first_is_noticed(store: Store) -> None:
    theirs = store.put("blob", b"theirs")
    with pytest.raises(RefMoved), store.transaction() as txn:
        txn.set_ref("a", txn.put("blob", b"mine"), expected=txn.ref("a"), reason="mine")
        store.set_ref("a", theirs, expected=None, reason="theirs")
    assert _everything(store) == ([(theirs, "blob")], {"a": theirs})


def test_a_ref_moves_several_times_in_one_transaction(store: Store) -> None:
    with store.transaction() as txn:
        one, two = txn.put("blob", b"1"), txn.put("blob", b"2")
        txn.set_ref("a", one, expected=None, reason="1")
        txn.set_ref("a", two, expected=one, reason="2")
        txn.set_ref("a", None, expected=two, reason="3")
        txn.set_ref("b", two, expected=None, reason="4")
        assert (txn.ref("a"), txn.ref("b")) == (None, two)
    assert store.refs() == {"b": two}
    assert [entry.reason for entry in store.reflog("a")] == ["3", "2", "1"]


def test_a_transaction_is_one_write_and_an_empty_one_is_none(store: Store) -> None:
    before = store._backend.last_transaction()
    with store.transaction() as txn:
        for number in range(50):
            txn.set_ref(f"n/{number}", txn.put("blob", b"%d" % number), expected=None, reason="many")
    assert store._backend.last_transaction() == before + 1
    with store.transaction():
        pass
    assert store._backend.last_transaction() == before + 1


def test_names_that_no_ref_can_have_are_refused_at_once(store: Store) -> None:
    with store.transaction() as txn:
        with pytest.raises(StoreError, match="not a name"):
            txn.set_ref("../a", None, expected=None, reason="")
        with pytest.raises(StoreError, match="not a name"):
            txn.ref("a b")


def _uses(txn: Transaction) -> list[Any]:
    digest = Digest(bytes(16))
    return [
        lambda: txn.put("blob", b"x"),
        lambda: txn.put_many([]),
        lambda: txn.put_value(1),
        lambda: txn.put_blob([b"x"], 1),
        lambda: txn.get(digest),
        lambda: txn.get_many([]),
        lambda: txn.get_value(digest),
        lambda: txn.has(digest),
        lambda: txn.ref("a"),
        lambda: txn.set_ref("a", None, expected=None, reason=""),
    ]


def test_before_and_after_its_block_a_transaction_is_of_no_use(store: Store) -> None:
    txn = store.transaction()
    for use in _uses(txn):
        with pytest.raises(StoreError, match="has not begun"):
            use()
    with txn:
        txn.put("blob", b"x")
    for use in _uses(txn):
        with pytest.raises(StoreError, match="has ended"):
            use()
    with pytest.raises(StoreError, match="used once"):
        txn.__enter__()


def test_a_transaction_inside_one_of_the_same_store_is_an_error_and_the_outer_one_goes_on(store: Store) -> None:
    with store.transaction() as outer:
        digest = outer.put("blob", b"x")
        with pytest.raises(StoreError, match="inside a transaction"), store.transaction():
            pass
        with Store.memory() as other, other.transaction() as txn:
            txn.put("blob", b"other store")
    assert store.has(digest)
    with store.transaction() as again:
        assert again.has(digest)


def test_threads_have_transactions_of_their_own(store: Store) -> None:
    """Each counts up under one name, and tries again when another came first."""

    def count() -> None:
        for _ in range(20):
            while True:
                try:
                    with store.transaction() as txn:
                        at = txn.ref("count")
                        number = 0 if at is None else txn.get_value(at)
                        txn.set_ref("count", txn.put_value(number + 1), expected=at, reason="count")
                    break
                except RefMoved:
                    continue

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    at = store.ref("count")
    assert at is not None
    assert store.get_value(at) == 80
    assert len(store.reflog("count")) == 80


def test_asyncio_tasks_have_transactions_of_their_own(store: Store) -> None:
    async def put(number: int, barrier: asyncio.Barrier) -> None:
        with store.transaction() as txn:
            txn.set_ref(f"n/{number}", txn.put_value(number), expected=None, reason="put")
            await barrier.wait()  # all are open at once

    async def both() -> None:
        barrier = asyncio.Barrier(2)
        await asyncio.gather(put(1, barrier), put(2, barrier))

    asyncio.run(both())
    assert sorted(store.refs()) == ["n/1", "n/2"]


def test_a_store_open_for_reading_has_no_transactions(tmp_path: Path) -> None:
    Store.init(tmp_path / "s").close()
    with Store.open(tmp_path / "s", read_only=True) as store, pytest.raises(StoreReadOnly):
        store.transaction()


def test_a_store_that_is_closed_before_the_block_ends_writes_nothing(tmp_path: Path) -> None:
    store = Store.init(tmp_path / "s")
    with pytest.raises(StoreError, match="was closed"), store.transaction() as txn:
        txn.put("blob", b"x")
        store.close()
    with Store.open(tmp_path / "s") as again:
        assert _everything(again) == ([], {})


_DIES = """
import os, sys
from redun.store import Store
store = Store.open(sys.argv[1])
with store.transaction() as txn:
    txn.set_ref("a", txn.put("blob", b"x"), expected=None, reason="never")
    txn.put_blob([bytes(2_000_000)], 2_000_000)
    os._exit(3)
"""


def test_a_process_that_dies_in_the_block_has_written_nothing(tmp_path: Path) -> None:
    Store.init(tmp_path / "s").close()
    assert subprocess.run([sys.executable, "-c", _DIES, str(tmp_path / "s")], check=False).returncode == 3
    with Store.open(tmp_path / "s") as store:
        assert _everything(store) == ([], {})


_COUNTS = """
import sys
from redun.store import Store
with Store.open(sys.argv[1]) as store:
    number = 0
    while True:
        with store.transaction() as txn:
            for name in ("left", "right"):
                at = txn.put_value([name, number, "x" * (number % 7) * 300_000])
                txn.set_ref(name, at, expected=txn.ref(name), reason=str(number))
        print(number, flush=True)
        number += 1
"""


@pytest.mark.parametrize("lines", [1, 4, 9, 15])
def test_a_process_that_is_killed_has_written_each_transaction_whole_or_not_at_all(tmp_path: Path, lines: int) -> None:
    path = str(tmp_path / "s")
    Store.init(path).close()
    last = -1
    with subprocess.Popen([sys.executable, "-c", _COUNTS, path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(lines):
            last = int(process.stdout.readline())
        process.kill()
    with Store.open(path) as store:
        found = []
        for name in ("left", "right"):
            at = store.ref(name)
            assert at is not None
            found.append(store.get_value(at)[1])
        assert found[0] == found[1] >= last
        assert [entry.reason for entry in store.reflog("left")] == [str(number) for number in range(found[0], -1, -1)]
        assert list(store.check()) == []
