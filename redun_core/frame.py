"""Frames: `kind SP decimal-size NUL payload`. The id of an object is the hash of its frame (git's rule).

The id depends on nothing else: not on compression, not on where the bytes lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject

#: Every kind of object of the format. The order is part of the envelope (a kind is one byte there): append only.
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
#: Longest name of a kind of someone else's.
KIND_BYTES: Final = 64
#: A kind of someone else's has a dot in its name, which none of ours ever will: the two cannot meet.
_OTHER: Final = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z][a-z0-9_-]*)+")
#: Up to here joining header and payload costs less than hashing them in two steps.
_JOINED_BYTES: Final = 16 * 1024
_LONGEST_HEAD: Final = KIND_BYTES + 22


class _Heads(dict[str, bytes]):
    """The start of the frame's header by kind. Those of other kinds are made each time: there is no end to them."""

    def __missing__(self, kind: str) -> bytes:
        check_kind(kind)
        return kind.encode() + b" %d\0"


def is_kind(name: str) -> bool:
    """Returns whether it is one of `KINDS`, or can be the name of a kind of someone else's.

    Such a name has at most 64 characters and at least two words, joined by dots (`tool.thing`), each of a-z, 0-9, _ and
    - and with a letter at its start.
    """
    return name in KIND_CODES or (len(name) <= KIND_BYTES and _OTHER.fullmatch(name) is not None)


def check_kind(name: str) -> None:
    """Checks that objects may be of a kind.

    Raises:
        MalformedObject: if `is_kind` says no.
    """
    if not is_kind(name):
        raise MalformedObject(
            f"no kind of object is called {name!r}",
            hint="yours has at least two words of a-z, 0-9, _ and -, joined by dots, as in `tool.thing`",
        )


_HEADS: Final = _Heads({kind: kind.encode() + b" %d\0" for kind in KINDS})


def header(kind: str, size: int) -> bytes:
    """Returns the frame's header for a payload of `size` bytes.

    Raises:
        MalformedObject: if there can be no such kind; so do `frame`, `object_id` and `stream_id`.
    """
    return _HEADS[kind] % size


def head(kind: str) -> bytes:
    """Returns the frame's header of a kind with `%d` in the place of the size, for who makes a great many."""
    return _HEADS[kind]


def frame(kind: str, payload: bytes) -> bytes:
    """Returns the framed bytes whose hash is the object's id."""
    return _HEADS[kind] % len(payload) + payload


def object_id(fmt: ObjectFormat, kind: str, payload: bytes) -> Digest:
    """Returns the id of the object of that kind and payload."""
    if len(payload) > _JOINED_BYTES:
        return stream_id(fmt, kind, len(payload), (payload,))
    # Not through `Digest`: calling a NewType costs a tenth of this.
    return fmt.hash(_HEADS[kind] % len(payload) + payload)  # type: ignore[return-value]


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
    if end < 0 or not is_kind(kind):
        raise MalformedObject("not a frame: no known kind at its start")
    payload = data[end + 1 :]
    if digits != b"%d" % len(payload):
        raise MalformedObject(f"frame of a {kind} says {digits!r} bytes and holds {len(payload)}")
    return kind, payload
