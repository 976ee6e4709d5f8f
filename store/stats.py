"""The memo of files: what a file's status and content hash were. Disposable; saves reading what did not change."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from typing import Final

from redun.core.digest import ObjectFormat
from redun.store.ports import ReadTransaction, WriteTransaction

_ROW: Final = struct.Struct(">QqqQ32s")

Status = tuple[int, int, int, int, bytes]


def _key(fmt: ObjectFormat, path: str) -> bytes:
    return fmt.hash(os.fsencode(path))  # a path may be longer than a key


def get(txn: ReadTransaction, fmt: ObjectFormat, path: str) -> Status | None:
    """Returns (size, mtime_ns, ctime_ns, inode, sha256) of a path, or None where nothing is remembered."""
    data = txn.get("stat", _key(fmt, path))
    if data is None or len(data) != _ROW.size:
        return None
    size, mtime, ctime, inode, sha = _ROW.unpack(data)
    return size, mtime, ctime, inode, sha


def put(txn: WriteTransaction, fmt: ObjectFormat, statuses: Mapping[str, Status]) -> None:
    """Remembers statuses."""
    txn.put_many("stat", sorted((_key(fmt, path), _ROW.pack(*status)) for path, status in statuses.items()))
