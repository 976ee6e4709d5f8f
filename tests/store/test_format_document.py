"""A reader that knows only what FORMAT.md says reads what the store has written: nothing of ours is imported by it."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgpack
import pytest
import xxhash

from redun.core.codec import Pointer, pack
from redun.core.digest import OBJECT_FORMATS, Key
from redun.core.objects import CallRecord, How, JobRow, Outcome, Status, TaskCount, Why
from redun.store import Batch, MemoUpdate, RunUpdate, Store

KINDS = ["value", "blob", "tree", "task", "source", "expr", "call", "footprint", "jobs", "exec", "trace", "note"]
HASHES: dict[str, Callable[[bytes], bytes]] = {
    "xxh3-128": lambda data: xxhash.xxh3_128(data).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}


class _Reader:
    """FORMAT.md in code."""

    def __init__(self, directory: Path) -> None:
        first, *facts = (directory / "FORMAT").read_text().splitlines()
        self.facts = dict(fact.split(" ") for fact in facts)
        assert first == "redun store"
        assert (self.facts["layout"], self.facts["engine"]) == ("1", "lmdb-0.9")
        self.directory = directory
        self.hash = HASHES[self.facts["objects"]]
        self.size = len(self.hash(b""))
        self.env = lmdb.open(str(directory), readonly=True, max_dbs=64, lib_version=0)

    def table(self, name: str) -> dict[bytes, bytes]:
        handle = self.env.open_db(name.encode(), create=False)
        with self.env.begin(db=handle) as txn:
            return dict(txn.cursor())

    def objects(self) -> dict[bytes, tuple[str, bytes]]:
        found = {}
        for digest, envelope in self.table("objects").items():
            payload = envelope[2:]
            if envelope[0] == 2:
                name = digest.hex()
                payload = (self.directory / "blobs" / name[:2] / name).read_bytes()
                assert len(payload) == int.from_bytes(envelope[2:], "big")
            kind = KINDS[envelope[1]]
            assert self.hash(b"%s %d\0%s" % (kind.encode(), len(payload), payload)) == digest
            found[digest] = (kind, payload)
        return found

    def checked(self, name: str) -> dict[bytes, bytes]:
        rows = self.table(name)
        assert all(zlib.crc32(key + row[:-4]) == int.from_bytes(row[-4:], "big") for key, row in rows.items())
        return {key: row[:-4] for key, row in rows.items()}

    def memo(self, key: bytes) -> tuple[bool, bytes, list[tuple[bytes, bytes, int]]]:
        row = self.table("memo")[key]
        assert zlib.crc32(key + row[:-4]) == int.from_bytes(row[-4:], "big")
        size, at, calls = self.size, 1 + self.size, []
        for _ in range(row[0] & 0x7F):
            call, head = row[at : at + size], row[at + size : at + 2 * size]
            calls.append((call, head, int.from_bytes(row[at + 2 * size : at + 2 * size + 8], "big")))
            at += 2 * size + 8
        assert at + 4 == len(row)
        return row[0] >= 0x80, row[1 : 1 + size], calls


def _record(payload: bytes) -> Any:
    return msgpack.unpackb(payload, strict_map_key=False)


def _pointers(item: Any) -> Iterator[bytes]:
    if isinstance(item, (list, tuple)):
        if isinstance(item, msgpack.ExtType):
            if item.code == 64:
                yield item.data
            elif item.code < 64:
                yield from _pointers(_record(item.data))
            return
        for part in item:
            yield from _pointers(part)
    elif isinstance(item, dict):
        for key, value in item.items():
            yield from _pointers(key)
            yield from _pointers(value)


KEY = Key(b"the key")
LARGE = bytes(range(256)) * 5000
ROW = JobRow(0, None, -1, Status.DONE, How.RAN, Why.FIRST, 7, 5)
COUNTS = (TaskCount("task", done=1),)


class _Written:
    """A store with one of everything, closed, and what was put there."""

    def __init__(self, path: Path, name: str) -> None:
        with Store.init(path, object_format=name) as store:
            self.id = store.id
            self.value = store.put("value", pack({"a": [1, "two"]}))
            self.blob = store.put("blob", LARGE)
            self.call = store.put(
                "call", CallRecord(self.value, (self.value, self.blob), None, Outcome.VALUE, self.value).payload()
            )
            nested = msgpack.ExtType(1, pack([Pointer(self.call), {Pointer(self.blob): 1}]))
            self.holder = store.put("value", msgpack.packb([nested]))
            self.update = MemoUpdate(KEY, "task", self.value, True, self.call, self.holder)
            self.run = store.begin_run(["word"], {"user": "ann"})
            self.sealed = self.run.seal(
                Batch(
                    memo=[self.update, self.update._replace(call=self.value)], stats={"/f": (1, -2, 3, 4, b"s" * 32)}
                ),
                root=self.call,
                status=Status.DONE,
                rows=1,
                counts=COUNTS,
                sources=[(self.call, self.value)],
                tail=[ROW._replace(call=self.call)],
            )
            self.live = store.begin_run(["second"], {})
            sources = ((self.call, self.value),)
            store.commit(Batch(run=RunUpdate(self.live.uuid, [self.value], (ROW,), (), self.call, 1, COUNTS, sources)))


@pytest.fixture(params=list(OBJECT_FORMATS))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> _Written:
    """A store in each object format, at `tmp_path`."""
    return _Written(tmp_path, request.param)


def test_objects_and_their_pointers_are_read(written: _Written, tmp_path: Path) -> None:
    objects = _Reader(tmp_path).objects()
    assert objects[written.blob] == ("blob", LARGE)
    assert _record(objects[written.value][1]) == {"a": [1, "two"]}
    schema, task, arguments, reduction, outcome, result, children, extras = _record(objects[written.call][1])
    assert (schema, reduction, outcome, children, extras) == (1, None, 0, [], [])
    assert [task.data, *(a.data for a in arguments), result.data] == [
        written.value,
        written.value,
        written.blob,
        written.value,
    ]
    assert list(_pointers(_record(objects[written.holder][1]))) == [written.call, written.blob]


def test_memo_rows_are_read(written: _Written, tmp_path: Path) -> None:
    is_expr, reduction, calls = _Reader(tmp_path).memo(KEY)
    assert (is_expr, reduction) == (True, written.value)
    assert [call[:2] for call in calls] == [(written.value, written.holder), (written.call, written.holder)]
    assert calls[0][2] > calls[1][2] > 0


def test_a_replaced_reduction_is_marked(written: _Written, tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.commit(Batch(memo=[written.update._replace(reduction=written.blob, call=None, head=None, caused=False)]))
    reader = _Reader(tmp_path)
    assert reader.memo(KEY) == (True, written.blob, [])
    mark = reader.checked("superseded")[reader.hash(b"task")]
    assert mark[8:] == b"task"
    assert 0 < int.from_bytes(mark[:8], "big") <= int.from_bytes(reader.table("meta")[b"seq"], "big")


def test_refs_their_log_and_the_chain_are_read(written: _Written, tmp_path: Path) -> None:
    reader = _Reader(tmp_path)
    name = b"executions/" + reader.facts["id"].encode()
    assert reader.checked("refs") == {name: written.sealed}
    ((key, entry),) = reader.checked("reflog").items()
    assert (key[: len(name) + 1], len(key)) == (name + b"\0", len(name) + 9)
    assert msgpack.unpackb(entry)[1:] == [None, written.sealed, "run"]
    objects = reader.objects()
    kind, payload = objects[written.sealed]
    record = _record(payload)
    assert (kind, record[:4]) == ("exec", [1, written.run.uuid, written.id, None])
    assert (record[5], record[8], record[11], record[12]) == (1, ["word"], 1, [["task", 0, 0, 0, 0, 1]])
    kind, payload = objects[record[10][0].data]
    page = _record(payload)
    assert (kind, page[1], page[2]) == ("jobs", written.run.uuid, [0])
    assert [page[3][0].data, *page[5:8]] == [written.call, b"\1", b"\0", b"\1"]


def test_live_runs_are_read(written: _Written, tmp_path: Path) -> None:
    rows = _Reader(tmp_path).checked("live")
    live = {key[16:]: value for key, value in rows.items() if key[:16] == written.live.uuid}
    assert sorted(live) == [b"h", b"p", b"r", b"s", b"t"]
    version, words, facts, start = msgpack.unpackb(live[b"h"])
    assert (version, words, start) == (1, ["second"], written.live.start)
    assert [fact for fact, _ in facts] == ["boot", "host", "pid"]
    assert (live[b"p"], live[b"r"]) == (written.value, b"")
    assert _record(live[b"t"])[1:3] == [written.live.uuid, [0]]
    sources = [[written.call, written.value]]
    assert msgpack.unpackb(live[b"s"]) == [1, written.call, 1, [["task", 0, 0, 0, 0, 1]], sources]
    assert (tmp_path / "runs" / f"{written.live.uuid.hex()}.lock").exists()


def test_identity_and_statuses_are_read(written: _Written, tmp_path: Path) -> None:
    reader = _Reader(tmp_path)
    meta = reader.table("meta")
    assert (meta[b"id"], meta[b"objects"].decode(), meta[b"layout"]) == (written.id, reader.facts["objects"], b"1")
    status = reader.checked("stat")[reader.hash(b"/f")]
    assert struct.unpack(">QqqQ32s", status) == (1, -2, 3, 4, b"s" * 32)
