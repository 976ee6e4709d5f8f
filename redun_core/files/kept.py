"""What stored values say of the bytes of files that are kept: see `archive`."""

from __future__ import annotations

from typing import Any

from redun.core import codes
from redun.core.codec import ExtType, Pointer, unpack
from redun.core.digest import Digest


def blob_of(item: Any) -> tuple[Digest | None, bool]:
    """Returns (blob, whether the file could be executed) of what a stored value says of a file's bytes; no blob where
    it says nothing."""
    if not isinstance(item, ExtType) or item.code != codes.ARCHIVE:
        return None, False
    items = unpack(item.data)
    if not isinstance(items, list) or len(items) != 2 or type(items[1]) is not bool or type(items[0]) is not Pointer:
        return None, False
    return items[0].digest, items[1]


def parts_of(item: Any) -> list[Digest]:
    """Returns the values with what a stored set of files says of the bytes of its members."""
    items = unpack(item.data) if isinstance(item, ExtType) and item.code == codes.ARCHIVE else []
    return [pointer.digest for pointer in items if isinstance(pointer, Pointer)] if isinstance(items, list) else []
