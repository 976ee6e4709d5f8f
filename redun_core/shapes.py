"""Shapes of records: what a field may hold, said once, checked on bytes from elsewhere.

A record is an array whose first item is the schema version and whose other items are the fields, in fixed order. Bytes
that were stored here are known by their hash and read without a look at the shape (the call of every job is); bytes
from elsewhere are read strictly, and then every field has the type, the length and the order that the writer gives it,
so that whoever prints or walks a record later meets no surprise.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final, TypeVar

from redun.core.codec import POINTER_HEADS, Pointer, unpack, unpack_strict
from redun.core.digest import Digest
from redun.core.errors import MalformedObject

SCHEMA: Final = 1

Record = TypeVar("Record")
Shape = Callable[[Any], bool]
Shapes = Mapping[str, Shape]
"""The fields of a record by name, in their order, the schema version left out."""

_UNFIT: Final = (TypeError, ValueError, AttributeError, IndexError, KeyError, OverflowError)


# -- shapes -----------------------------------------------------------------------------------------------------------


def text(item: object) -> bool:
    """Returns whether it is a string."""
    return type(item) is str


def natural(item: object) -> bool:
    """Returns whether it is an integer from 0 on."""
    return type(item) is int and item >= 0


def integer(item: object) -> bool:
    """Returns whether it is an integer."""
    return type(item) is int


def raw(item: object) -> bool:
    """Returns whether it is a byte string."""
    return type(item) is bytes


def identity(item: object) -> bool:
    """Returns whether it is the 16 bytes of a uuid or of a store's id."""
    return type(item) is bytes and len(item) == 16


def pointer(item: object) -> bool:
    """Returns whether it is a pointer."""
    return type(item) is Pointer


def weak(item: object) -> bool:
    """Returns whether it is an id as plain bytes: it names an object that may be gone, and does not keep it."""
    return type(item) is bytes and len(item) in POINTER_HEADS


def anything(item: object) -> bool:
    """Returns True: the field belongs to another layer, which checks it."""
    del item
    return True


def tag(word: str) -> Shape:
    """Returns the shape that only that word has."""
    return lambda item: type(item) is str and item == word


def member(members: type[enum.IntEnum]) -> Shape:
    """Returns the shape of the numbers of an enumeration."""
    numbers = frozenset(int(item) for item in members)
    return lambda item: type(item) is int and item in numbers


def maybe(shape: Shape) -> Shape:
    """Returns the shape that nil has too."""
    return lambda item: item is None or shape(item)


def either(one: Shape, other: Shape) -> Shape:
    """Returns the shape that both have."""
    return lambda item: one(item) or other(item)


def row(*shapes: Shape) -> Shape:
    """Returns the shape of an array with just these items."""

    def fits(item: object) -> bool:
        return (
            type(item) is list
            and len(item) == len(shapes)
            and all(shape(part) for shape, part in zip(shapes, item, strict=True))
        )

    return fits


def many(shape: Shape, most: int | None = None) -> Shape:
    """Returns the shape of an array of such items, no longer than `most`."""

    def fits(item: object) -> bool:
        return type(item) is list and (most is None or len(item) <= most) and all(map(shape, item))

    return fits


def ascending(shape: Shape, key: Callable[[Any], Any] | None = None) -> Shape:
    """Returns the shape of an array of such items that never fall: what has no order of its own is written sorted."""
    several = many(shape)

    def fits(item: Any) -> bool:
        if not several(item):
            return False
        keys = item if key is None else [key(part) for part in item]
        return all(a <= b for a, b in pairwise(keys))

    return fits


# -- reading ----------------------------------------------------------------------------------------------------------


def open_record(payload: bytes, kind: str, *, strict: bool) -> list[Any]:
    """Returns the array of a record, the schema version first.

    Raises:
        MalformedObject: if the bytes are not an array of a known schema (strict: or not canonical).
    """
    record = unpack_strict(payload) if strict else unpack(payload)
    if type(record) is not list or not record:
        raise MalformedObject(f"a {kind} is an array")
    if type(record[0]) is not int:
        raise MalformedObject(f"a {kind} begins with the number of its schema")
    if record[0] != SCHEMA:
        raise MalformedObject(f"{kind} of schema {record[0]}", hint="a newer redun wrote this store; upgrade")
    return record


def fit_record(
    record: list[Any], kind: str, shapes: Shapes, build: Callable[[list[Any]], Record], *, strict: bool
) -> Record:
    """Returns what `build` makes of an opened record.

    Raises:
        MalformedObject: if it has another number of fields or one does not fit.
    """
    if len(record) != len(shapes) + 1:
        raise MalformedObject(f"a {kind} has {len(shapes) + 1} fields, this one {len(record)}")
    if strict:
        for (name, shape), item in zip(shapes.items(), record[1:], strict=True):
            if not shape(item):
                raise MalformedObject(f"a {kind} whose field {name!r} does not fit")
    try:
        return build(record)
    except _UNFIT as error:
        raise MalformedObject(f"a {kind} whose fields do not fit: {error}") from None


def read_record(
    payload: bytes, kind: str, shapes: Shapes, build: Callable[[list[Any]], Record], *, strict: bool
) -> Record:
    """Returns the record of canonical bytes: opens it and fits it.

    Raises:
        MalformedObject: if the bytes are not a record of that kind.
    """
    return fit_record(open_record(payload, kind, strict=strict), kind, shapes, build, strict=strict)


# -- pointers in fields -----------------------------------------------------------------------------------------------


def to_pointer(digest: Digest | None) -> Pointer | None:
    """Returns the pointer to an object, or None for none."""
    return None if digest is None else Pointer(digest)


def to_pointers(digests: tuple[Digest, ...]) -> list[Pointer]:
    """Returns the pointers to objects."""
    return [Pointer(digest) for digest in digests]


def of_pointer(item: Any) -> Digest:
    """Returns the id that a field points to.

    Raises:
        MalformedObject: if the field is no pointer.
    """
    if type(item) is not Pointer:
        raise MalformedObject(f"a {type(item).__name__} where a pointer belongs")
    plain: Any = item[:]  # a slice of a subclass is plain bytes; three times as fast as asking for them by name
    digest: Digest = plain
    return digest


def of_optional(item: Any) -> Digest | None:
    """Returns the id that a field points to, or None where it is nil.

    Raises:
        MalformedObject: if the field is neither.
    """
    return None if item is None else of_pointer(item)


def of_pointers(items: Any) -> tuple[Digest, ...]:
    """Returns the ids that an array points to.

    Raises:
        MalformedObject: if one of its items is no pointer.
    """
    return tuple([of_pointer(item) for item in items])


def of_weak(item: Any) -> Digest | None:
    """Returns the id that a field names without pointing to it, or None where it is nil.

    Raises:
        MalformedObject: if the field is neither.
    """
    if item is None or weak(item):
        digest: Digest | None = item
        return digest
    raise MalformedObject(f"a {type(item).__name__} where an id belongs")
