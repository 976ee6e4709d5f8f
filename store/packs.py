"""Packs: objects and names as one stream of bytes, the portable form of a store. `FORMAT.md` section 11 has the bytes.

A pack is written and read from its first byte to its last, through a pipe too. Nothing in it becomes a path, and
nothing is to be believed before its last byte has come and the SHA-256 of all bytes before it fits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple, Protocol

from redun.core import limits
from redun.core.codec import pack, unpack_strict
from redun.core.digest import OBJECT_FORMATS, Digest, ObjectFormat
from redun.core.errors import MalformedObject, StoreDamaged, StoreFormatError
from redun.core.frame import KIND_BYTES, is_kind
from redun.store.ports import KEY_BYTES

#: A byte that is no text, so that nothing takes it for text; line ends of both kinds, which a transfer as text changes.
MAGIC: Final = b"\x89redun pack\r\n\x1a\n"
VERSION: Final = 1
_ROW, _OBJECT, _SIGNATURE, _END = b"r", b"o", b"s", b"e"
#: How a payload is written: as it is. Others are reserved.
_RAW: Final = 0

_HEADER_BYTES: Final = 64 * limits.KIB
#: What the store keeps to.
_VALUE_BYTES: Final = 2 * limits.MIB
_TABLE_BYTES: Final = 32
_STORE_ID_BYTES: Final = 16
#: Packs for that purpose may be signed, by ed25519.
_SIGNED: Final = "bundle"
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
#: A payload of that many bytes or fewer is one part.
_PART_BYTES: Final = limits.MIB

_u16: Final = Struct(">H")
_u32: Final = Struct(">I")
_u64: Final = Struct(">Q")
_counts: Final = Struct(">QQ")


class Writable(Protocol):
    """What a pack is written to."""

    def write(self, data: bytes | memoryview, /) -> object: ...


class Readable(Protocol):
    """What a pack is read from: a file, or a pipe."""

    def read(self, size: int, /) -> bytes: ...


class Header(NamedTuple):
    """What a pack says of itself.

    Attributes:
        format: how its objects are named.
        purpose: `backup`: all of a store; `bundle`: some of its history.
        store_id: the store that it was made from.
        time: when, in microseconds since the epoch.
        needs: ids of objects that are not in it, which whoever takes it has to have.
    """

    format: ObjectFormat
    purpose: str
    store_id: bytes
    time: int
    needs: tuple[Digest, ...] = ()


class Row(NamedTuple):
    """A row of a table, as it lies there."""

    table: str
    key: bytes
    value: bytes


class Entry(NamedTuple):
    """The beginning of an object; its payload is read next, by `Reader.parts`."""

    digest: Digest
    kind: str
    size: int


class Signature(NamedTuple):
    """A signature by ed25519: the public key, the signature, and the SHA-256 of all bytes before both."""

    key: bytes
    value: bytes
    digest: bytes


def is_pack(path: str) -> bool:
    """Returns whether there is a file that begins as packs do."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


class Writer:
    """Writes a pack. What is written is one only once `end` was called.

    Args:
        target: takes the bytes.
    """

    def __init__(self, target: Writable, header: Header) -> None:
        self._target = target
        self._hasher = hashlib.sha256()
        self.objects = 0
        self.rows = 0
        self.size = 0
        record = pack(
            [header.format.name, header.purpose, header.store_id, header.time, [bytes(need) for need in header.needs]]
        )
        self._write(b"".join((MAGIC, bytes((VERSION,)), _u32.pack(len(record)), record)))

    def _write(self, data: bytes | memoryview) -> None:
        self._hasher.update(data)
        self.size += len(data)
        self._target.write(data)

    def row(self, row: Row) -> None:
        """Writes a row of a table."""
        name = row.table.encode()
        front = (_ROW, bytes((len(name),)), name, _u16.pack(len(row.key)), row.key, _u32.pack(len(row.value)))
        self._write(b"".join((*front, row.value)))
        self.rows += 1

    def object(self, digest: Digest, kind: str, payload: bytes | memoryview) -> None:
        """Writes an object, of any size: a view of a file is read as it is written."""
        front = _front(digest, kind, len(payload))
        if len(payload) <= _PART_BYTES:
            self._write(front + payload)
        else:
            self._write(front)
            for start in range(0, len(payload), _PART_BYTES):
                self._write(payload[start : start + _PART_BYTES])
        self.objects += 1

    def stream(self, digest: Digest, kind: str, size: int, parts: Iterable[bytes | memoryview]) -> None:
        """Writes an object whose payload of `size` bytes comes in parts."""
        self._write(_front(digest, kind, size))
        for part in parts:
            self._write(part)
        self.objects += 1

    def sign(self, sign: Callable[[bytes], tuple[bytes, bytes]]) -> None:
        """Writes a signature of all that was written; the end comes next.

        Args:
            sign: is given a SHA-256, and returns a public key and a signature.
        """
        self._write(_SIGNATURE)
        key, signature = sign(self._hasher.digest())
        self._write(key + signature)

    def end(self) -> None:
        """Writes the end."""
        self._write(_END + _counts.pack(self.objects, self.rows))
        self._target.write(self._hasher.digest())
        self.size += self._hasher.digest_size


def _front(digest: Digest, kind: str, size: int) -> bytes:
    """Returns the beginning of an object, up to its payload."""
    name = kind.encode()
    return b"".join((_OBJECT, digest, bytes((len(name),)), name, bytes((_RAW,)), _u64.pack(size)))


class Reader:
    """Reads a pack: `header`, and by `entries` what is in it.

    Nothing is read into memory because a length says so: a lie costs no more than the bytes that come.

    Args:
        source: gives the bytes.
        name: what errors call it.

    Attributes:
        header: what it says of itself.
        objects, rows, size: how many were read, and bytes.
        signature: the one that stands before its end; whether it fits is for others to check.

    Raises:
        StoreFormatError: if it is no pack, or one of a version or object format that this program does not read.
        StoreDamaged: if it is cut off or damaged.
    """

    def __init__(self, source: Readable, name: str) -> None:
        self._source = source
        self._name = name
        self._hasher = hashlib.sha256()
        self._left = 0
        self.objects = 0
        self.rows = 0
        self.size = 0
        self.signature: Signature | None = None
        self.header = self._read_header()

    # -- errors --

    def damaged(self, why: str) -> StoreDamaged:
        """Returns the error for what is wrong at the entry that was read last."""
        place = self.objects + self.rows
        return StoreDamaged(
            f"{self._name} is damaged at entry {place:,}: {why}", path=self._name, hint="take another copy of it"
        )

    def _cut_off(self) -> StoreDamaged:
        return StoreDamaged(
            f"{self._name} ends after {self.size:,} bytes, in the middle",
            path=self._name,
            hint="it was not written or not copied to its end: take another copy of it",
        )

    # -- bytes --

    def _exactly(self, size: int) -> bytes:
        got = self._some(size)
        if len(got) == size:
            return got
        parts, have = [got], len(got)
        while have < size:
            parts.append(self._some(min(size - have, _PART_BYTES)))
            have += len(parts[-1])
        return b"".join(parts)

    def _some(self, size: int) -> bytes:
        data = self._source.read(min(size, _PART_BYTES))
        if not data and size:
            raise self._cut_off()
        self._hasher.update(data)
        self.size += len(data)
        return data

    # -- what they say --

    def _read_header(self) -> Header:
        magic = self._source.read(len(MAGIC))
        if magic != MAGIC:
            what = "is empty" if not magic else "is no backup and no bundle"
            if magic and MAGIC.startswith(magic):
                what = "is cut off"
            elif magic.startswith(MAGIC[1:11]) or magic[:11] == MAGIC[:11]:
                what = "was a backup or a bundle, and was changed by a transfer as text"
            hint = "redun backup FILE and redun bundle create FILE write some"
            raise StoreFormatError(f"{self._name} {what}", path=self._name, hint=hint)
        self._hasher.update(magic)
        self.size = len(magic)
        version = self._exactly(1)[0]
        if version != VERSION:
            raise StoreFormatError(
                f"{self._name} is a pack of version {version}, and this program knows {VERSION}",
                path=self._name,
                hint="a newer redun wrote it: upgrade",
            )
        (length,) = _u32.unpack(self._exactly(4))
        if length > _HEADER_BYTES:
            raise self.damaged(f"a header of {length:,} bytes")
        return self._parsed(self._exactly(length))

    def _parsed(self, data: bytes) -> Header:
        try:
            name, purpose, store_id, time, needs = unpack_strict(data)
        except (MalformedObject, TypeError, ValueError):
            raise self.damaged("its header cannot be read") from None
        if not isinstance(name, str) or name not in OBJECT_FORMATS:
            raise StoreFormatError(
                f"{self._name} has objects of format {name!r:.40}, which this program does not know", path=self._name
            )
        fmt = OBJECT_FORMATS[name]
        fits = (
            isinstance(purpose, str)
            and isinstance(store_id, bytes)
            and len(store_id) == _STORE_ID_BYTES
            and type(time) is int
            and isinstance(needs, list)
            and all(isinstance(need, bytes) and len(need) == fmt.size for need in needs)
        )
        if not fits:
            raise self.damaged("its header cannot be read")
        return Header(fmt, purpose, store_id, time, tuple(Digest(need) for need in needs))

    def entries(self) -> Iterator[Row | Entry]:
        """Returns what is in the pack, in its order. The payload of an object has to be read before the next entry.

        It ends after the last byte, when all of them have been found to be those that were written.

        Raises:
            StoreDamaged: if the pack is cut off or damaged.
            StoreFormatError: if an entry is of a kind that this program does not know.
        """
        while True:
            tag = self._exactly(1)
            if tag == _SIGNATURE and self.header.purpose == _SIGNED:
                digest = self._hasher.digest()
                key = self._exactly(_KEY_BYTES)
                self.signature = Signature(key, self._exactly(_SIGNATURE_BYTES), digest)
                tag = self._exactly(1)
                if tag != _END:
                    raise self.damaged("it goes on after its signature")
            if tag == _ROW:
                self.rows += 1
                yield self._row()
            elif tag == _OBJECT:
                self.objects += 1
                yield self._object()
                if self._left:
                    raise self.damaged("its payload was not read")
            elif tag == _END:
                return self._end()
            else:
                self.objects += 1
                raise self.damaged(f"no entry begins with {tag!r}")

    def _text(self, most: int) -> str:
        size = self._exactly(1)[0]
        if not 0 < size <= most:
            raise self.damaged(f"a name of {size} bytes")
        return self._exactly(size).decode("ascii", "replace")

    def _row(self) -> Row:
        table = self._text(_TABLE_BYTES)
        (size,) = _u16.unpack(self._exactly(2))
        if not 0 < size <= KEY_BYTES:
            raise self.damaged(f"a key of {size:,} bytes")
        key = self._exactly(size)
        (size,) = _u32.unpack(self._exactly(4))
        if size > _VALUE_BYTES:
            raise self.damaged(f"a row of {size:,} bytes")
        return Row(table, key, self._exactly(size) if size else b"")

    def _object(self) -> Entry:
        digest = Digest(self._exactly(self.header.format.size))
        kind = self._text(KIND_BYTES)
        if not is_kind(kind):
            raise self.damaged(f"no kind of object is called {kind!r}")
        codec = self._exactly(1)[0]
        if codec != _RAW:
            raise self.damaged(f"no way to write a payload has number {codec}")
        (self._left,) = _u64.unpack(self._exactly(8))
        return Entry(digest, kind, self._left)

    def parts(self) -> Iterator[bytes]:
        """Returns the payload of the object that was read last, in parts.

        Raises:
            StoreDamaged: if the pack is cut off.
        """
        while self._left:
            part = self._some(min(self._left, _PART_BYTES))
            self._left -= len(part)
            yield part

    def payload(self) -> bytes:
        """Returns the payload of the object that was read last, whole: only where it is known to be small."""
        parts: Iterable[bytes] = list(self.parts())
        return b"".join(parts)

    def _end(self) -> None:
        counts = _counts.unpack(self._exactly(_counts.size))
        if counts != (self.objects, self.rows):
            raise self.damaged(f"it should have {counts[0]:,} objects and {counts[1]:,} rows")
        expected, got = self._hasher.digest(), b""
        while len(got) < len(expected):
            part = self._source.read(len(expected) - len(got))
            if not part:
                raise self._cut_off()
            got += part
        self.size += len(got)
        if got != expected:
            raise StoreDamaged(
                f"the bytes of {self._name} are not those that were written",
                path=self._name,
                hint="take another copy of it",
            )
        if self._source.read(1):
            raise StoreDamaged(f"{self._name} goes on after its end", path=self._name, hint="take another copy of it")
