from __future__ import annotations

import pytest

from redun.core.digest import Digest
from redun.core.errors import MalformedObject, StoreDamaged
from redun.core.objects import ExecRecord, Status
from redun.store import Store


def _chain(store: Store, owner: bytes, *starts: int) -> list[Digest]:
    """Puts a chain of executions that began at these times, oldest first, under its ref; returns their ids."""
    made: list[Digest] = []
    for start in starts:
        parent = made[-1] if made else None
        record = ExecRecord(
            owner * 8 + start.to_bytes(8, "big"), owner * 16, parent, None, Status.DONE, start, start, ()
        )
        made.append(store.put("exec", record.payload()))
    store.set_ref(f"executions/{(owner * 16).hex()}", made[-1], expected=None, reason="test")
    return made


def test_no_executions_are_an_empty_history(store: Store) -> None:
    assert list(store.executions()) == []


def test_chains_are_merged_newest_first(store: Store) -> None:
    a = _chain(store, b"a", 1, 4, 5)
    b = _chain(store, b"b", 2, 3, 6)
    assert [d for d, _ in store.executions()] == [b[2], a[2], a[1], b[1], b[0], a[0]]


def test_inside_a_chain_its_order_wins_over_the_clock(store: Store) -> None:
    chain = _chain(store, b"a", 10, 2, 7)
    assert [d for d, _ in store.executions()] == chain[::-1]


def test_an_execution_that_two_refs_reach_is_listed_once(store: Store) -> None:
    chain = _chain(store, b"a", 1, 2, 3)
    store.set_ref("executions/other", chain[1], expected=None, reason="test")
    assert [d for d, _ in store.executions()] == chain[::-1]


def test_other_refs_are_no_history(store: Store) -> None:
    (only,) = _chain(store, b"a", 1)
    store.set_ref("tags/x", only, expected=None, reason="test")
    assert [d for d, _ in store.executions()] == [only]


def test_the_newest_come_without_reading_the_rest(store: Store) -> None:
    missing = Digest(b"m" * store.format.size)
    record = ExecRecord(b"u" * 16, b"s" * 16, missing, None, Status.DONE, 5, 5, ())
    store.set_ref("executions/x", store.put("exec", record.payload()), expected=None, reason="test")
    history = store.executions()
    assert next(history)[1] == record
    with pytest.raises(StoreDamaged, match=missing.hex()):
        next(history)


def test_a_parent_that_is_no_execution_is_damage(store: Store) -> None:
    wrong = store.put("value", b"\x01")
    record = ExecRecord(b"u" * 16, b"s" * 16, wrong, None, Status.DONE, 5, 5, ())
    store.set_ref("executions/x", store.put("exec", record.payload()), expected=None, reason="test")
    with pytest.raises(StoreDamaged, match="value"):
        list(store.executions())


def test_something_else_among_job_pages_is_malformed(store: Store) -> None:
    with pytest.raises(MalformedObject, match="value"):
        list(store.job_pages([store.put("value", b"\x01")]))
