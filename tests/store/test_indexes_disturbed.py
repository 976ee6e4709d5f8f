"""Indexes while others write, where a writer dies, and where nothing may be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redun.core.digest import Digest
from redun.core.errors import StoreReadOnly
from redun.core.objects import JobRow
from redun.store import Store
from redun.store.checksums import with_checksum
from redun.store.gc.collect import GcOptions
from redun.store.indexes.catch_up import CatchUp
from redun.store.indexes.forget import forget
from redun.store.indexes.layout import PLAIN, SETS
from redun.store.indexes.opening import open_index
from redun.store.ports import WriteTransaction
from redun.store.problems import no_progress
from tests.store.indexed import History, check_answers

Write = Callable[[Callable[[WriteTransaction], Any]], Any]


class _Died(Exception):
    """The writer is gone."""


def _catch_up(store: Store, before: Callable[[int], None]) -> int:
    """Catches up in small steps; returns how many writes that took. `before` is told the number of each."""
    writes = 0

    def write(function: Callable[[WriteTransaction], Any]) -> Any:
        nonlocal writes
        before(writes)
        writes += 1
        return store._write(function)

    CatchUp(store._index_source(), store._backend, write, no_progress, portion=200, rows=40).run()
    return writes


def _rows(store: Store) -> dict[str, int]:
    return store._backend.read(lambda txn: {table: txn.count(table) for table in (*PLAIN, *SETS)})


def _clear(store: Store) -> None:
    store._backend.write(lambda txn: [txn.clear(table) for table in (*PLAIN, *SETS)])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a history of which the first part is indexed."""
    made = Store.init(tmp_path / "s")
    history, older = History(made, 11), list[Digest]()
    for number in range(12):
        history.run(older)
        if number == 4:
            made.index()
    return made


def test_wherever_a_writer_dies_the_next_one_goes_on(store: Store) -> None:
    def die(at: int) -> Callable[[int], None]:
        def before(number: int) -> None:
            if number == at:
                raise _Died

        return before

    _clear(store)
    writes = _catch_up(store, lambda _: None)
    assert writes > 10
    for at in range(writes):
        _clear(store)
        with pytest.raises(_Died):
            _catch_up(store, die(at))
        assert list(store.check(level=3)) == []  # what is there is true, and says how far it is
        if at % 2:
            store.index()
        else:
            _catch_up(store, lambda _: None)
        assert list(store.check(level=3)) == []
        if at % 5 == 0:
            check_answers(store, store.index())


@pytest.mark.parametrize("when", range(0, 12, 3))
def test_two_who_catch_up_at_once_leave_what_one_would(store: Store, when: int) -> None:
    def other(number: int) -> None:
        if number == when:
            store.index()

    _clear(store)
    _catch_up(store, other)
    assert list(store.check(level=3)) == []
    check_answers(store, store.index())


@pytest.mark.parametrize("when", range(0, 12, 3))
def test_rows_that_go_while_another_catches_up_are_missed_by_nobody(store: Store, when: int) -> None:
    history = History(store, 12)
    history.prune()
    store.collect_garbage(GcOptions(expiry_s=0))
    older: list[Digest] = []
    for _ in range(4):
        history.run(older)

    def remove(number: int) -> None:
        if number == when:
            forget(store._index_source(), store._write, no_progress)

    _catch_up(store, remove)
    assert list(store.check(level=3)) == []
    check_answers(store, store.index())


_REINDEX = """
import sys
from redun.store import Store
with Store.open(sys.argv[1]) as store:
    print("begun", flush=True)
    while True:
        store.rebuild_index()
"""


def test_a_process_that_is_killed_leaves_indexes_that_the_next_one_finishes(store: Store) -> None:
    assert store.path is not None
    for turn in range(3):
        process = subprocess.Popen([sys.executable, "-c", _REINDEX, str(store.path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        for _ in range(turn):
            before = store._backend.last_transaction()
            while store._backend.last_transaction() == before:
                os.sched_yield()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert list(store.check(level=3)) == []
        check_answers(store, store.index())


def test_runs_write_no_index(store: Store, row: Callable[..., JobRow]) -> None:
    store.rebuild_index()
    before = _rows(store)
    older: list[Digest] = []
    for _ in range(3):
        History(store, 5).run(older)
    assert _rows(store) == before
    store.index()
    assert _rows(store) != before


def test_where_nothing_may_be_written_the_rest_is_kept_in_memory(store: Store) -> None:
    assert store.path is not None
    store.close()
    with Store.open(store.path, read_only=True) as reader:
        before = _rows(reader)
        check_answers(reader, reader.index())
        check_answers(reader, reader.index())
        assert _rows(reader) == before
        with pytest.raises(StoreReadOnly):
            reader.rebuild_index()
    with Store.open(store.path) as writer:
        _clear(writer)
    with Store.open(store.path, read_only=True) as reader:
        check_answers(reader, reader.index())


def test_where_nothing_may_be_written_much_goes_to_a_temporary_file(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    index = open_index(store._index_source(), None, no_progress, most_in_memory=3)
    assert len(list((tmp_path / "t").iterdir())) == 1
    check_answers(store, index)
    del index
    assert list((tmp_path / "t").iterdir()) == []


def test_tables_of_another_version_are_made_anew(store: Store) -> None:
    store._backend.write(lambda txn: [txn.put("ix.state", b"state", b"of long ago"), txn.clear("ix.tasks")])
    check_answers(store, store.index())


def test_tables_of_an_earlier_version_are_no_damage(store: Store) -> None:
    store.index()
    row = with_checksum(b"state", bytes((1, 0)) + bytes(10))
    store._backend.write(lambda txn: txn.put("ix.state", b"state", row))
    assert [problem for problem in store.check(level=3) if problem.what == "derived"] == []
    check_answers(store, store.index())


def test_an_index_goes_on_answering_when_more_is_taken_in(store: Store) -> None:
    first = store.index()
    jobs = [job.id for job in first.jobs_of_task("make")]
    newest = next(iter(first.jobs_of_task("make")))
    older: list[Digest] = []
    while [job.id for job in store.index().jobs_of_task("make")] == jobs:
        History(store, 8).run(older)
    assert [job.id for job in first.jobs_of_task("make")][-len(jobs) :] == jobs
    assert newest.row.call is not None
    assert next(iter(first.jobs_of_call(newest.row.call))).id
