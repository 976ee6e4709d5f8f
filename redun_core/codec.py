"""Canonical msgpack, and the one pointer type.

Two layers share it. *Records* (task, call, exec, ...) are arrays of plain data and `Pointer`s, packed and unpacked
here. *Values* (what users compute) add extension types of their own, in `values.py`; here those are opaque `ExtType`s.

Extension codes: 1 to 63 are *structured*, their data is exactly one msgpack array, so pointers inside them are found
without knowing what they mean; 64 to 127 are *opaque*. `references` depends on nothing else.

Canonical means: shortest integers, 64-bit floats, valid UTF-8, no trailing bytes. Strict decoding packs again and
compares.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, cast

import msgpack

from redun.core import limits
from redun.core.digest import Digest
from redun.core.errors import MalformedObject

POINTER_CODE: Final = 64
FIRST_OPAQUE_CODE: Final = 64
#: How a pointer to an id of that size begins.
POINTER_HEADS: Final = {16: b"\xd8\x40", 32: b"\xc7\x20\x40"}
#: Structured extensions inside structured extensions: as deep as values go, and what wraps them in a payload.
_EXTENSION_DEPTH: Final = limits.VALUE_DEPTH + 50

ExtType = msgpack.ExtType
#: Makes an `ExtType` without the checks of its constructor, for what is known to pass them.
_new: Final = tuple.__new__


class Pointer(bytes):
    """A digest inside a record: an edge of the graph of objects."""

    __slots__ = ()

    # A pointer is never equal to the same bytes: in a map the two are different keys.
    def __eq__(self, other: object) -> bool:
        return type(other) is Pointer and bytes.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = bytes.__hash__

    def __repr__(self) -> str:
        return f"Pointer({self.hex()})"

    @property
    def digest(self) -> Digest:
        """The id that it points to."""
        return Digest(bytes(self))


#: What holds no extensions.
_SIMPLE: Final = frozenset({type(None), bool, int, float, str, bytes, Pointer})


def _default(obj: Any) -> Any:
    if type(obj) is Pointer:
        return _new(ExtType, (POINTER_CODE, bytes(obj)))
    raise TypeError(f"a record holds no {type(obj).__name__}")


class _Packer(Protocol):
    def pack(self, obj: Any, /) -> bytes: ...


class _Thread(threading.local):
    """A packer a thread: making one costs more than packing a small record."""

    def __init__(self) -> None:
        self.packer: _Packer = msgpack.Packer(strict_types=True, default=_default)


_thread: Final = _Thread()


def pointer_bytes(digest: bytes) -> bytes:
    """Returns the encoded form of a pointer, for writers that join bytes by hand (the call of every job)."""
    return POINTER_HEADS[len(digest)] + digest


def pack(record: Any) -> bytes:
    """Returns the canonical bytes of plain data (None, bool, int, float, str, bytes, list, dict) and Pointers."""
    return _thread.packer.pack(record)


def storable(text: str) -> str:
    """Returns the text as records can hold it: a lone surrogate (a byte of a path that is not UTF-8, say) is written as
    its escape. Values keep them as they are."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def packed(data: Any) -> bytes:
    """Returns the msgpack of what is no record: rows of the store's own tables, where ids are plain bytes."""
    return cast(bytes, msgpack.packb(data))


def _ext_hook(code: int, data: bytes) -> Any:
    if code == POINTER_CODE:
        if len(data) not in POINTER_HEADS:
            raise MalformedObject(f"a pointer of {len(data)} bytes")
        return Pointer(data)
    return _new(ExtType, (code, data))


#: Where the code of an extension stands, by the first byte of its msgpack.
_CODE_AT: Final = {0xC7: 2, 0xC8: 3, 0xC9: 5} | dict.fromkeys(range(0xD4, 0xD9), 1)


def extension_code(payload: bytes | memoryview) -> int | None:
    """Returns the code of the extension that a payload is; None where it is none."""
    place = _CODE_AT.get(payload[0]) if payload else None
    return None if place is None or place >= len(payload) else payload[place]


def unpack(payload: bytes | memoryview) -> Any:
    """Returns the plain data of a payload: Pointers as such, every other extension as an opaque `ExtType`.

    Lenient: use it only on bytes whose hash was checked. `unpack_strict` is for bytes from elsewhere.

    Raises:
        MalformedObject: if the bytes are not one msgpack value.
    """
    return _unpacked(payload, _ext_hook)


def _unpacked(payload: bytes | memoryview, hook: Callable[[int, bytes], Any]) -> Any:
    try:
        return msgpack.unpackb(payload, ext_hook=hook, strict_map_key=False)
    except MalformedObject:
        raise
    except RecursionError:
        raise MalformedObject("payload is nested too deep") from None
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedObject(f"payload is not msgpack: {error}") from None


def unpack_strict(payload: bytes | memoryview) -> Any:
    """Returns what `unpack` returns, after checking that the bytes are canonical, extensions included.

    Raises:
        MalformedObject: if packing the result again gives other bytes.
    """
    record = _canonical(payload)
    if type(record) in _SIMPLE:
        return record
    pending = [(record, 0)]
    while pending:
        item, depth = pending.pop()
        for code, data in _extensions(item):
            if not 0 < code <= 127:
                raise MalformedObject(f"extension code {code}")
            if code >= FIRST_OPAQUE_CODE:
                continue
            if depth >= _EXTENSION_DEPTH:
                raise MalformedObject("payload is nested too deep")
            inner = _canonical(data)
            if type(inner) is not list:
                raise MalformedObject(f"extension {code} does not hold an array")
            pending.append((inner, depth + 1))
    return record


def _canonical(payload: bytes | memoryview) -> Any:
    record = unpack(payload)
    try:
        again = pack(record)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MalformedObject(f"payload cannot be packed again: {error}") from None
    if again != payload:
        raise MalformedObject("payload is not canonical msgpack")
    return record


def _extensions(record: Any) -> Iterator[tuple[int, bytes]]:
    stack = [record]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is list:
            stack.extend(item)
        elif kind is dict:
            stack.extend(item)
            stack.extend(item.values())
        elif kind is ExtType:
            yield item.code, item.data
        elif kind is msgpack.Timestamp:
            # msgpack's own extension never comes to the hook; it has no place here.
            yield -1, b""


def references(payload: bytes | memoryview) -> list[Digest]:
    """Returns every pointer in a payload in the order of its bytes, repeated ones too, whatever the kind of object.

    Raises:
        MalformedObject: if the bytes are not one msgpack value, or structured extensions nest without end.
    """
    found, is_plain = _collected(payload)
    if is_plain:
        return found  # type: ignore[return-value]  # nothing but ids
    pointers: list[Digest] = []
    # Not from inside the hook: each unpacking takes room on the C stack, and these may nest hundreds of times.
    pending = [iter(found)]
    while pending:
        item = next(pending[-1], None)
        if item is None:
            pending.pop()
        elif type(item) is tuple:
            if len(pending) > _EXTENSION_DEPTH:
                raise MalformedObject("payload is nested too deep")
            pending.append(iter(_collected(item[0])[0]))
        else:
            pointers.append(cast(Digest, item))
    return pointers


def _collected(payload: bytes | memoryview) -> tuple[list[bytes | tuple[bytes]], bool]:
    """Returns the pointers in a payload and, each in a tuple, the data of its structured extensions, in the order of
    its bytes; and whether there are pointers alone."""
    found: list[bytes | tuple[bytes]] = []
    is_plain = True

    def note(code: int, data: bytes) -> None:
        nonlocal is_plain
        if code == POINTER_CODE:
            if len(data) not in POINTER_HEADS:
                raise MalformedObject(f"a pointer of {len(data)} bytes")
            found.append(data)
        elif code < FIRST_OPAQUE_CODE:
            is_plain = False
            found.append((data,))

    _unpacked(payload, note)
    return found, is_plain


def array_header(count: int) -> bytes:
    """Returns the header of an array of that many items, for writers that join bytes by hand."""
    if count < 16:
        return bytes((0x90 | count,))
    head: bytes = msgpack.Packer().pack_array_header(count)
    return head
