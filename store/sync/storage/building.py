"""Packs of objects that are to go to object storage, and their indexes. The same objects make the same pack."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Final, NamedTuple

from redun.core import limits
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject
from redun.core.frame import header
from redun.core.objects import ExecRecord
from redun.store.gc.shallow import Missing
from redun.store.packs import Header, Row, Writer
from redun.store.sync.peers import Large, Sent
from redun.store.sync.storage.records import Execution, Index

PURPOSE: Final = "storage"
#: A pack is closed when it has so many bytes or objects.
PACK_BYTES: Final = 8 * limits.MIB
PACK_OBJECTS: Final = 65_536
_SHA: Final = 32


class Built(NamedTuple):
    """A pack as bytes, and what is in it."""

    data: bytes
    contents: Index


class Building:
    """Gathers objects for a pack.

    Args:
        fmt, store_id: those of the store that is in the bucket.
    """

    def __init__(self, fmt: ObjectFormat, store_id: bytes) -> None:
        self._header = Header(fmt, PURPOSE, store_id, 0)
        self._items: list[Sent] = []
        self._executions: list[Execution] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether the pack is to be closed."""
        return self._bytes >= PACK_BYTES or len(self._items) >= PACK_OBJECTS

    def add(self, item: Sent, missing: Missing) -> None:
        """Adds an object, of which something may be missing on purpose."""
        self._items.append(item)
        self._bytes += len(item.payload)
        if item.kind == "exec":
            parent = ExecRecord.parse(item.payload).parent
            self._executions.append(Execution(item.digest, parent, missing))

    def build(self) -> Built | None:
        """Returns the pack of what was added since the last one, None if that is nothing."""
        if not self._items:
            return None
        target = BytesIO()
        writer = Writer(target, self._header)
        for one in self._executions:
            if one.missing:
                writer.row(Row("shallow", one.digest, bytes((one.missing,))))
        offsets, sizes = array("Q"), array("Q")
        for digest, kind, payload in self._items:
            writer.object(digest, kind, payload)
            offsets.append(writer.size - len(payload))
            sizes.append(len(payload))
        writer.end()
        data = target.getvalue()
        kinds = sorted({item.kind for item in self._items})
        number = {kind: place for place, kind in enumerate(kinds)}
        index = Index(
            data[-_SHA:].hex(),
            len(data),
            self._executions,
            kinds,
            b"".join([item.digest for item in self._items]),
            bytes([number[item.kind] for item in self._items]),
            offsets,
            sizes,
        )
        self._items, self._executions, self._bytes = [], [], 0
        return Built(data, index)


def write_large(fmt: ObjectFormat, store_id: bytes, item: Large, target: IO[bytes]) -> Index:
    """Writes a pack of one large object to a file; returns what is in it.

    Raises:
        MalformedObject: if its bytes do not fit its id.
    """
    hasher = fmt.new()
    hasher.update(header(item.kind, item.size))
    got = 0

    def hashed() -> Iterator[bytes | memoryview]:
        nonlocal got
        for part in item.parts:
            got += memoryview(part).nbytes
            if got > item.size:
                raise MalformedObject(f"it has more than {item.size:,} bytes")
            hasher.update(part)
            yield part

    writer = Writer(target, Header(fmt, PURPOSE, store_id, 0))
    writer.stream(item.digest, item.kind, item.size, hashed())
    start = writer.size - item.size
    writer.end()
    if got != item.size or Digest(hasher.digest()) != item.digest:
        raise MalformedObject("its bytes do not fit its id")
    target.flush()
    target.seek(-_SHA, 2)
    name = target.read(_SHA).hex()
    size = target.tell()
    target.seek(0)
    offsets, sizes = array("Q", [start]), array("Q", [item.size])
    return Index(name, size, (), [item.kind], bytes(item.digest), b"\0", offsets, sizes)
