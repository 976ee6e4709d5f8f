"""What lies in a bucket beside packs, as bytes: the marker, refs and indexes. `FORMAT.md` section 13 has them.

All of it was written by others: it is checked before anything is made of it."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from redun.core import limits
from redun.core.codec import pack, unpack_strict
from redun.core.digest import OBJECT_FORMATS, Digest, ObjectFormat
from redun.core.errors import MalformedObject
from redun.core.frame import is_kind
from redun.store.gc.shallow import Missing

VERSION: Final = 1
MARKER: Final = "redun"
PACKS: Final = "packs"
REFS: Final = "refs"
PACK_SUFFIX: Final = ".pack"
INDEX_SUFFIX: Final = ".index"
#: What a marker, a ref and an index may have.
SMALL_BYTES: Final = 4 * limits.KIB
INDEX_BYTES: Final = 64 * limits.MIB

_INDEX_MAGIC: Final = b"\x89redun index\r\n\x1a\n"
_MARKER_WORD: Final = "redun object storage"
_NAME: Final = re.compile(r"[0-9a-f]{64}")
_SHA: Final = 32


class Marker(NamedTuple):
    """What says that there is a store: how it names objects, and its id."""

    format: ObjectFormat
    store_id: bytes


class RefRecord(NamedTuple):
    """Where a ref is, and the id of the write that moved it there, by which a writer knows its own."""

    digest: Digest
    write_id: bytes


class Execution(NamedTuple):
    """Of an execution: the one before it, and what of it is missing on purpose."""

    digest: Digest
    parent: Digest | None
    missing: Missing


class Place(NamedTuple):
    """Where an object is in its pack."""

    kind: str
    offset: int
    size: int


class Index(NamedTuple):
    """What is in a pack.

    Attributes:
        pack: SHA-256 of the pack, in hex: its name.
        size: bytes of the pack.
        executions: those of its executions, in their order.
        kinds: kinds that occur.
        ids: ids of its objects in their order, one after the other.
        kind_of: a byte each, a number in `kinds`.
        offsets, sizes: of the payload of each.
    """

    pack: str
    size: int
    executions: Sequence[Execution]
    kinds: Sequence[str]
    ids: bytes
    kind_of: bytes
    offsets: Sequence[int]
    sizes: Sequence[int]

    def digests(self, width: int) -> list[Digest]:
        """Returns the ids, each of `width` bytes."""
        return [Digest(self.ids[start : start + width]) for start in range(0, len(self.ids), width)]

    def places(self, width: int) -> dict[Digest, Place]:
        """Returns where each object is."""
        kinds = [self.kinds[number] for number in self.kind_of]
        return dict(zip(self.digests(width), map(Place, kinds, self.offsets, self.sizes), strict=True))


def is_pack_name(name: str) -> bool:
    """Returns whether a pack can be named so."""
    return _NAME.fullmatch(name) is not None


def marker_bytes(marker: Marker) -> bytes:
    """Returns a marker as it is written."""
    return pack([_MARKER_WORD, VERSION, marker.format.name, marker.store_id])


def parse_marker(data: bytes) -> Marker:
    """Returns a marker.

    Raises:
        MalformedObject: if it is none, or one of a version or object format that is not known here.
    """
    found = unpack_strict(data)
    if not isinstance(found, list) or len(found) != 4 or found[0] != _MARKER_WORD:
        raise MalformedObject("what is there is no store of redun's")
    _, version, name, store_id = found
    if version != VERSION or name not in OBJECT_FORMATS:
        raise MalformedObject(f"it has version {version!r:.20} and object format {name!r:.20}: upgrade")
    if not isinstance(store_id, bytes) or len(store_id) != 16:
        raise MalformedObject("what is there is no store of redun's")
    return Marker(OBJECT_FORMATS[name], store_id)


def ref_bytes(record: RefRecord) -> bytes:
    """Returns a ref as it is written."""
    return pack([VERSION, record.digest, record.write_id])


def parse_ref(data: bytes, width: int) -> RefRecord:
    """Returns a ref.

    Raises:
        MalformedObject: if it is none.
    """
    found = unpack_strict(data)
    if not isinstance(found, list) or len(found) != 3 or found[0] != VERSION:
        raise MalformedObject("it is no ref")
    _, digest, write_id = found
    if not isinstance(digest, bytes) or len(digest) != width or not isinstance(write_id, bytes):
        raise MalformedObject("it is no ref")
    return RefRecord(Digest(digest), write_id)


def index_bytes(index: Index, fmt: ObjectFormat) -> bytes:
    """Returns an index as it is written."""
    body = pack(
        [
            VERSION,
            fmt.name,
            bytes.fromhex(index.pack),
            index.size,
            [[one.digest, one.parent, int(one.missing)] for one in index.executions],
            list(index.kinds),
            index.ids,
            index.kind_of,
            list(index.offsets),
            list(index.sizes),
        ]
    )
    return b"".join((_INDEX_MAGIC, body, hashlib.sha256(_INDEX_MAGIC + body).digest()))


def parse_index(data: bytes, name: str, fmt: ObjectFormat) -> Index:
    """Returns an index.

    Args:
        name: of the pack that it is about.

    Raises:
        MalformedObject: if it is none, is damaged, or is about another pack.
    """
    if not data.startswith(_INDEX_MAGIC) or hashlib.sha256(data[:-_SHA]).digest() != data[-_SHA:]:
        raise MalformedObject("it is no index, or damaged")
    found = unpack_strict(data[len(_INDEX_MAGIC) : -_SHA])
    if not isinstance(found, list) or len(found) != 10 or found[0] != VERSION or found[1] != fmt.name:
        raise MalformedObject("it is an index of another version or object format")
    _, _, named, size, executions, kinds, ids, kind_of, offsets, sizes = found
    if named != bytes.fromhex(name) or type(size) is not int:
        raise MalformedObject("it is about another pack")
    some = _executions(executions, fmt.size)
    index = Index(name, size, some, kinds, ids, kind_of, _numbers(offsets), _numbers(sizes))
    _check(index, fmt.size)
    return index


def _numbers(found: Any) -> array[int]:
    try:
        return array("Q", found)
    except (TypeError, OverflowError, ValueError):
        raise MalformedObject("it has places that are none") from None


def _executions(found: Any, width: int) -> list[Execution]:
    some = []
    if not isinstance(found, list):
        raise MalformedObject("it has no executions")
    one: Any
    for one in found:
        fits = (
            isinstance(one, list)
            and len(one) == 3
            and isinstance(one[0], bytes)
            and len(one[0]) == width
            and (one[1] is None or (isinstance(one[1], bytes) and len(one[1]) == width))
            and type(one[2]) is int
            and 0 <= one[2] <= 3
        )
        if not fits:
            raise MalformedObject("it has executions that are none")
        some.append(Execution(Digest(one[0]), None if one[1] is None else Digest(one[1]), Missing(one[2])))
    return some


def _check(index: Index, width: int) -> None:
    kinds, ids, kind_of = index.kinds, index.ids, index.kind_of
    fits = (
        isinstance(kinds, list)
        and all(isinstance(kind, str) and is_kind(kind) for kind in kinds)
        and isinstance(ids, bytes)
        and isinstance(kind_of, bytes)
        and len(ids) == len(kind_of) * width
        and len(kind_of) == len(index.offsets) == len(index.sizes)
        and max(kind_of, default=0) < max(len(kinds), 1)
    )
    if not fits or any(map(lambda offset, size: offset + size > index.size, index.offsets, index.sizes)):
        raise MalformedObject("it names what its pack cannot have")
