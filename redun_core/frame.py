"""Frames: `kind SP decimal-size NUL payload`. The id of an object is the hash of its frame (git's rule).

The id depends on nothing else: not on compression, not on where the bytes lie.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject

#: Every kind of object. The order is part of the store's envelope (a kind is one byte there): append only.
KINDS: Final = (
    "value",
    "blob",
    "tree",
    "task",
    "source",
    "expr",
    "call",
    "footprint",
    "jobs",
    "exec",
    "trace",
    "note",
)
KIND_CODES: Final[dict[str, int]] = {kind: code for code, kind in enumerate(KINDS)}
_HEADS: Final[dict[str, bytes]] = {kind: kind.encode() + b" %d\0" for kind in KINDS}
_LONGEST_HEAD: Final = max(map(len, KINDS)) + 22


def header(kind: str, size: int) -> bytes:
    """Returns the frame's header for a payload of `size` bytes."""
    return _HEADS[kind] % size


def frame(kind: str, payload: bytes) -> bytes:
    """Returns the framed bytes whose hash is the object's id."""
    return _HEADS[kind] % len(payload) + payload


def object_id(fmt: ObjectFormat, kind: str, payload: bytes) -> Digest:
    """Returns the id of the object of that kind and payload."""
    return Digest(fmt.hash(_HEADS[kind] % len(payload) + payload))


def stream_id(fmt: ObjectFormat, kind: str, size: int, parts: Iterable[bytes | bytearray | memoryview]) -> Digest:
    """Returns the id of an object whose payload of `size` bytes arrives in parts, without joining them."""
    hasher = fmt.new()
    hasher.update(header(kind, size))
    for part in parts:
        hasher.update(part)
    return Digest(hasher.digest())


def unframe(data: bytes) -> tuple[str, bytes]:
    """Returns (kind, payload) of framed bytes.

    Raises:
        MalformedObject: if the header is not exactly the one that `frame` writes for that payload.
    """
    end = data.find(b"\0", 0, _LONGEST_HEAD)
    name, _, digits = data[: max(end, 0)].partition(b" ")
    kind = name.decode("ascii", "replace")
    if end < 0 or kind not in KIND_CODES:
        raise MalformedObject("not a frame: no known kind at its start")
    payload = data[end + 1 :]
    if digits != b"%d" % len(payload):
        raise MalformedObject(f"frame of a {kind} says {digits!r} bytes and holds {len(payload)}")
    return kind, payload
