"""The memo of files: what a file's status and content hash were. Disposable; saves reading what did not change."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final
from zlib import crc32

from redun.core.digest import ObjectFormat
from redun.store.checksums import body_of, with_checksum
from redun.store.ports import ReadTransaction, WriteTransaction

_ROW: Final = struct.Struct(">QqqQ32s")
#: With its checksum: see `checksums`.
_CHECKED: Final = struct.Struct(">QqqQ32sI")

Status = tuple[int, int, int, int, bytes]


def _key(fmt: ObjectFormat, path: str) -> bytes:
    return fmt.hash(path.encode("utf-8", "surrogateescape"))  # a path may be longer than a key


def get(txn: ReadTransaction, fmt: ObjectFormat, path: str) -> Status | None:
    """Returns (size, mtime_ns, ctime_ns, inode, sha256) of a path, or None where nothing is remembered."""
    key = _key(fmt, path)
    data = txn.get("stat", key)
    return None if data is None else _status(key, data)


def get_many(txn: ReadTransaction, fmt: ObjectFormat, paths: Sequence[str]) -> list[Status | None]:
    """Returns what `get` does for each path."""
    hashed = fmt.hash
    keys = [hashed(path.encode("utf-8", "surrogateescape")) for path in paths]
    found = dict(txn.get_many("stat", sorted(keys)))
    # what `_status` does, but written out: there may be 100,000
    statuses: list[Status | None] = []
    for key in keys:
        data = found.get(key)
        if data is None or len(data) != _CHECKED.size:
            statuses.append(None)
        else:
            size, mtime, ctime, inode, sha, checksum = _CHECKED.unpack(data)
            holds = crc32(data[: _ROW.size], crc32(key)) == checksum
            statuses.append((size, mtime, ctime, inode, sha) if holds else None)
    return statuses


def _status(key: bytes, data: bytes) -> Status | None:
    body = body_of(key, data)
    if body is None or len(body) != _ROW.size:
        return None
    size, mtime, ctime, inode, sha = _ROW.unpack(body)
    return size, mtime, ctime, inode, sha


def put(txn: WriteTransaction, fmt: ObjectFormat, statuses: Mapping[str, Status]) -> None:
    """Remembers statuses."""
    rows = ((_key(fmt, path), _ROW.pack(*status)) for path, status in statuses.items())
    txn.put_many("stat", sorted((key, with_checksum(key, body)) for key, body in rows))
