"""Digests: the names of objects. Two object formats, fixed per store.

`xxh3-128` (16 bytes, the default) detects damage, not malice: two different messages with one digest can be built on
purpose. `sha256` (32 bytes) is for stores that take objects from strangers. Nothing else in the code knows which is
used.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, NewType, Protocol

import xxhash

from redun.core.errors import InternalError, StoreFormatError

Digest = NewType("Digest", bytes)
"""The id of an object: the hash of its frame. 16 or 32 raw bytes; hexadecimal wherever people see it."""

Key = NewType("Key", bytes)
"""The cache key of a call: the hash of what would run and what it would run on. Never the id of an object."""


class Hasher(Protocol):
    """A hash that takes its input in parts."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


class ObjectFormat(NamedTuple):
    """One way to name objects: how many bytes a digest has and how it is computed, at once or in parts."""

    name: str
    size: int
    hash: Callable[[bytes], bytes]
    new: Callable[[], Hasher]

    def __repr__(self) -> str:
        return f"ObjectFormat({self.name})"


def _new_sha256() -> Hasher:
    import hashlib  # here: it loads OpenSSL (4 ms), which a store of the default format never needs

    return hashlib.sha256()


def _sha256(data: bytes) -> bytes:
    hasher = _new_sha256()
    hasher.update(data)
    return hasher.digest()


XXH3_128: Final = ObjectFormat("xxh3-128", 16, xxhash.xxh3_128_digest, xxhash.xxh3_128)
SHA256: Final = ObjectFormat("sha256", 32, _sha256, _new_sha256)

OBJECT_FORMATS: Final[dict[str, ObjectFormat]] = {f.name: f for f in (XXH3_128, SHA256)}
DEFAULT_FORMAT: Final = XXH3_128

_KNOWN_ANSWERS: Final = {
    "xxh3-128": ((b"", "99aa06d3014798d86001c324468d497f"), (b"abc", "06b05ab6733a618578af5f94892f3950")),
    "sha256": ((b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),),
}


def object_format(name: str) -> ObjectFormat:
    """Returns the object format of that name.

    Raises:
        StoreFormatError: if this program does not know it.
    """
    try:
        return OBJECT_FORMATS[name]
    except KeyError:
        known = ", ".join(OBJECT_FORMATS)
        raise StoreFormatError(f"unknown object format {name!r}", hint=f"this program knows {known}") from None


def self_test(formats: Iterable[ObjectFormat] = tuple(OBJECT_FORMATS.values())) -> None:
    """Checks the hash libraries against known answers; a store that is named wrongly is worse than none.

    Args:
        formats: those to check. A store needs its own only.

    Raises:
        InternalError: if a library answers otherwise.
    """
    for fmt in formats:
        for message, answer in _KNOWN_ANSWERS[fmt.name]:
            hasher = fmt.new()
            hasher.update(message)
            if fmt.hash(message).hex() != answer or hasher.digest().hex() != answer:
                raise InternalError(f"the {fmt.name} hash of this installation gives wrong answers")
