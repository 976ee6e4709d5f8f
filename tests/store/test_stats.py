from __future__ import annotations

import pytest

from redun.core.codec import pack
from redun.core.digest import Digest
from redun.store import Batch, Store
from redun.store.checksums import with_checksum

STATUS = (10, -1, 1_700_000_000_000_000_000, 2**64 - 1, b"s" * 32)


@pytest.mark.parametrize("path", ["/a", "", "relative/Größe", "/" + "x" * 4000, "/not-\udcffutf8"])
def test_a_status_of_any_path_is_remembered(store: Store, path: str) -> None:
    assert store.stat_memo_get(path) is None
    store.commit(Batch(stats={path: STATUS, "/other": (0, 0, 0, 0, bytes(32))}))
    assert store.stat_memo_get(path) == STATUS


def test_a_newer_status_replaces_the_one_before(store: Store) -> None:
    store.commit(Batch(stats={"/a": STATUS}))
    store.commit(Batch(stats={"/a": (1, 2, 3, 4, b"t" * 32)}))
    assert store.stat_memo_get("/a") == (1, 2, 3, 4, b"t" * 32)


def test_a_row_of_another_shape_is_as_good_as_none(store: Store) -> None:
    store.commit(Batch(stats={"/a": STATUS}))
    key = store._backend.read(lambda txn: txn.scan_keys("stat", b"", 1))[0]
    row = store._backend.read(lambda txn: txn.get("stat", key))
    assert row is not None
    for damaged in (b"", b"short", row[:-1], b"\1" + row[1:], with_checksum(key, b"short")):
        store._backend.write(lambda txn, data=damaged: txn.put("stat", key, data))  # type: ignore[misc]
        assert store.stat_memo_get("/a") is None
        assert store.stat_memo_get_many(["/a", "/b"]) == [None, None]


def test_tallies_are_kept_and_damaged_ones_forgotten(store: Store) -> None:
    call, other = Digest(b"c" * store.format.size), Digest(b"o" * store.format.size)
    store.commit(Batch(tallies={call: [1, 2**40, 0], other: []}))
    assert store.tally(call) == [1, 2**40, 0]
    assert store.tally(other) == []
    assert store.tally(Digest(b"x" * store.format.size)) is None
    bodies = (b"", b"\xc1", b"\x01", b"\x91\xff", b"\x91\xc3")
    for damaged in (*(with_checksum(call, body) for body in bodies), b"", pack([1, 2**40, 0])):
        store._backend.write(lambda txn, data=damaged: txn.put("tally", call, data))  # type: ignore[misc]
        assert store.tally(call) is None
