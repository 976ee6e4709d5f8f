"""Indexes answer what a walk over everything would, whatever has happened to the store."""

from __future__ import annotations

import random

import pytest

from redun.core.digest import Digest
from redun.store import Store
from redun.store.gc.collect import GcOptions
from redun.store.gc.retention import KeepRules
from redun.store.indexes.layout import ARGUMENTS, PLAIN, RESULTS, SETS
from redun.store.ports import WriteTransaction
from tests.store.indexed import History, check_answers


@pytest.mark.parametrize("seed", range(6))
def test_answers_are_those_of_a_walk_over_everything(store: Store, seed: int) -> None:
    history, chance = History(store, seed), random.Random(seed)
    older: list[Digest] = []
    for _ in range(8):
        history.run(older)
        step = chance.randrange(6)
        if step == 0:
            history.prune()
        if step in (0, 1):
            history.sweep(for_good=True)
            older = [call for call in older if store.has(call)]
        if step != 2:
            check_answers(store, store.index())
    check_answers(store, store.index())
    store.rebuild_index()
    check_answers(store, store.index())


def test_rows_of_what_was_removed_for_good_are_removed(store: Store) -> None:
    for seed in range(6):
        History(store, seed).run([])
    before = store.index().size().rows
    store.prune(store.plan_pruning(KeepRules(last=1)))
    store.collect_garbage()
    assert store.index().size().rows == before  # all of it can be had back
    store.collect_garbage(GcOptions(expiry_s=0))
    after = store.index().size().rows
    assert after < before
    store.rebuild_index()
    assert store.index().size().rows == after


# -- what fsck says of them -------------------------------------------------------------------------------------------


def _found(store: Store) -> list[str]:
    return [problem.message for problem in store.check(level=3) if problem.what == "derived"]


@pytest.mark.parametrize("seed", range(10, 14))
def test_nothing_is_wrong_with_indexes_that_were_caught_up(store: Store, seed: int) -> None:
    history, chance = History(store, seed), random.Random(seed)
    older: list[Digest] = []
    for _ in range(6):
        history.run(older)
        if chance.random() < 0.3:
            history.prune()
            history.sweep(for_good=chance.random() < 0.5)
            older = [call for call in older if store.has(call)]
        if chance.random() < 0.7:
            store.index()
        assert _found(store) == []


@pytest.fixture
def indexed(store: Store) -> Store:
    """A store with indexes in which every table has rows."""
    history, older = History(store, 3), list[Digest]()
    while not all(store._backend.read(lambda txn: [txn.count(table) for table in (*PLAIN, *SETS)])):
        history.run(older)
        store.index()
    return store


@pytest.mark.parametrize("table", SETS)
def test_a_row_that_is_missing_is_found(indexed: Store, table: str) -> None:
    def lose(txn: WriteTransaction) -> None:
        key = txn.row_keys(table)[0]
        rows = txn.rows(table, key, b"", 9)
        # Rows of a call that is inside of another stand for nothing alone.
        txn.remove_rows(table, key, [next(row for row in rows if bytes(6) not in row)])

    indexed._backend.write(lose)
    assert _found(indexed) == [f"table {table} lacks 1 rows"]
    indexed.rebuild_index()
    assert _found(indexed) == []


@pytest.mark.parametrize("table", PLAIN)
def test_a_damaged_table_of_another_sort_is_found(indexed: Store, table: str) -> None:
    def damage(txn: WriteTransaction) -> None:
        [(key, value)] = txn.scan(table, b"", 1)
        txn.put(table, key, bytes((value[0] ^ 0xFF,)) + value[1:])

    indexed._backend.write(damage)
    assert any(table in message for message in _found(indexed))
    indexed.rebuild_index()
    assert _found(indexed) == []


@pytest.mark.parametrize("table", [RESULTS, ARGUMENTS])
def test_a_row_that_says_what_is_not_so_is_found_and_not_believed(indexed: Store, table: str) -> None:
    index = indexed.index()
    call = next(call for name in index.tasks() for call in index.calls_of_task(name))
    other = indexed.put("value", b"\x7b")
    indexed._backend.write(lambda txn: txn.add_rows(table, b"-", [other[:6] + call[:6]]))
    assert _found(indexed) == [f"table {table} has 1 rows that say what is not so; they are not believed"]
    assert list(index.producers(other)) == list(index.consumers(other)) == []


def test_indexes_that_nobody_asked_for_are_no_problem(store: Store) -> None:
    History(store, 1).run([])
    assert _found(store) == []
    assert store._backend.read(lambda txn: [txn.count(table) for table in (*PLAIN, *SETS)]) == [0] * 12
