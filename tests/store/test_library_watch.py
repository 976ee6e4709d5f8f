"""Watching for new executions."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from redun.core.digest import Digest
from redun.core.errors import StoreError
from redun.core.objects import ExecRecord, Status
from redun.store import Batch, Store

#: Long enough for any machine: a test that waits so long has failed.
LONG = 60.0


def _seal(store: Store, *words: str) -> Digest:
    run = store.begin_run(words, {})
    return run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())


def _words(found: list[tuple[Digest, ExecRecord]]) -> list[str]:
    return [" ".join(record.argv) for _, record in found]


def test_what_is_sealed_from_the_call_on_is_given_once_in_order(store: Store) -> None:
    _seal(store, "before")
    watching = store.watch(timeout=0)
    sealed = [_seal(store, "one"), _seal(store, "two")]
    found = list(watching)
    assert _words(found) == ["one", "two"]
    assert [digest for digest, _ in found] == sealed
    assert list(store.watch(timeout=0)) == []


def test_a_store_without_history_is_watched_as_well(store: Store) -> None:
    watching = store.watch(timeout=0)
    _seal(store, "first")
    assert _words(list(watching)) == ["first"]


def test_writes_that_seal_nothing_are_passed_over(store: Store) -> None:
    watching = store.watch(timeout=0)
    store.put("blob", b"x")
    store.set_ref("executions-of-another-kind", store.put("blob", b"y"), expected=None, reason="")
    store.begin_run(["live"], {})
    assert list(watching) == []


def test_executions_come_while_one_waits(store: Store) -> None:
    watching = store.watch(timeout=LONG, poll=0.005)
    words = [str(number) for number in range(5)]

    def seal() -> None:
        for word in words:
            _seal(store, word)

    sealer = threading.Thread(target=seal)
    sealer.start()
    found = [next(watching) for _ in words]
    sealer.join()
    assert _words(found) == words


_OTHER = """
import sys
from redun.core.objects import Status
from redun.store import Batch, Store
for word in sys.argv[2:]:
    with Store.open(sys.argv[1]) as store:
        store.begin_run([word], {}).seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())
"""


@pytest.mark.parametrize("read_only", [False, True])
def test_executions_of_other_processes_are_seen(tmp_path: Path, read_only: bool) -> None:
    Store.init(tmp_path / "s").close()
    with Store.open(tmp_path / "s", read_only=read_only) as store:
        watching = store.watch(timeout=LONG, poll=0.01)
        words = ["a", "b", "c"]
        with subprocess.Popen([sys.executable, "-c", _OTHER, str(tmp_path / "s"), *words]) as other:
            assert _words([next(watching) for _ in words]) == words
        assert other.returncode == 0


def test_two_who_watch_see_the_same(store: Store) -> None:
    first, second = store.watch(timeout=0), store.watch(timeout=0)
    _seal(store, "one")
    assert list(first) == list(second) != []


def test_it_ends_when_none_has_come_for_so_long(store: Store) -> None:
    watching = store.watch(timeout=0.05, poll=0.01)
    _seal(store, "one")
    assert _words(list(watching)) == ["one"]


def test_it_ends_when_the_store_is_closed_by_another_thread(store: Store) -> None:
    watching = store.watch(poll=LONG)
    found: list[tuple[Digest, ExecRecord]] = []
    watcher = threading.Thread(target=lambda: found.extend(watching))
    watcher.start()
    store.close()
    watcher.join(LONG)
    assert not watcher.is_alive()
    assert found == []
    with pytest.raises(StoreError, match="was closed"):
        store.watch()


def test_no_transaction_is_open_while_one_waits(store: Store) -> None:
    watching = store.watch(timeout=LONG)
    _seal(store, "one")
    next(watching)
    assert store.readers() == []


def test_a_chain_that_is_set_back_has_nothing_new_and_what_comes_then_is(store: Store) -> None:
    name = f"executions/{store.id.hex()}"
    first, second = _seal(store, "first"), _seal(store, "second")
    watching = store.watch(timeout=LONG, poll=0.001)
    store.set_ref(name, first, expected=second, reason="back")
    set_back = store.watch(timeout=0)
    assert list(set_back) == []
    third = _seal(store, "third")
    assert next(watching)[0] == third
    store.set_ref(name, None, expected=third, reason="gone")
    fourth = _seal(store, "fourth")
    assert next(watching)[0] == fourth


def test_a_chain_that_arrives_from_another_store_is_new_from_its_oldest_on(store: Store) -> None:
    with Store.memory(store.format.name) as other:
        chain = [_seal(other, "a"), _seal(other, "b")]
        watching = store.watch(timeout=0)
        with store.transaction() as txn:
            for digest in chain:
                txn.put(*other.get(digest))
            txn.set_ref(f"executions/{other.id.hex()}", chain[-1], expected=None, reason="pull")
    assert _words(list(watching)) == ["a", "b"]
    watching = store.watch(timeout=0)
    _seal(store, "own")
    assert _words(list(watching)) == ["own"]


def test_a_chain_whose_beginning_is_not_kept_is_given_as_far_as_it_is(store: Store) -> None:
    with Store.memory(store.format.name) as other:
        _seal(other, "lost")
        newest = _seal(other, "kept")
        watching = store.watch(timeout=0)
        digest = store.put(*other.get(newest))
        store.set_ref(f"executions/{other.id.hex()}", digest, expected=None, reason="pull")
    assert _words(list(watching)) == ["kept"]


def test_chains_of_many_stores_are_watched_among_refs_of_other_tools(store: Store) -> None:
    arrived = []
    with store.transaction() as txn:
        for number in range(40):
            with Store.memory(store.format.name) as other:
                digest = _seal(other, str(number))
                arrived.append((f"executions/{other.id.hex()}", txn.put(*other.get(digest))))
                txn.set_ref(f"f/{number}", digest, expected=None, reason="")
                txn.set_ref(f"a/{number}", digest, expected=None, reason="")
    watching, later = store.watch(timeout=0), store.watch(timeout=0)
    with store.transaction() as txn:
        for name, digest in arrived[:30]:
            txn.set_ref(name, digest, expected=None, reason="pull")
    found = list(watching)
    assert sorted(digest for digest, _ in found) == sorted(digest for _, digest in arrived[:30])
    assert [record.start for _, record in found] == sorted(record.start for _, record in found)
    with store.transaction() as txn:
        for name, digest in arrived[30:]:
            txn.set_ref(name, digest, expected=None, reason="pull")
    assert len(list(later)) == 40
