"""Writing a payload anew with other ids in it: what another object format makes of an object.

Ids are pointers, which are found without knowing what a payload means. What else needs to be known:
what is sorted by ids, or by bytes that hold some, is sorted anew; the value that stands for code (`redun.code`)
holds its id as bytes; and so do pages of jobs those of the calls that jobs were compared with, and what an async body
returned those of the values that it was given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

from redun.core import limits
from redun.core.codec import FIRST_OPAQUE_CODE, ExtType, Pointer, pack, unpack
from redun.core.digest import Digest
from redun.core.errors import MalformedObject

#: The scheduler task in what async bodies return: expression, id of its value, whether it failed, and so on.
_AWAITS: Final = "redun.awaits"
_AWAITS_BYTES: Final = _AWAITS.encode()
#: Places in an `expr`, and in a row of its table.
_NAMES, _NODES = 1, 2
_NODE_NAME, _NODE_ARGS = 1, 2

NewId = Callable[[bytes], Digest]
"""Gives the id that stands for an old one."""

NONE: Final[Mapping[bytes, Digest]] = MappingProxyType({})

#: Values whose items are sorted by their encoded bytes.
_SETS: Final = (2, 3)
_ADAPTED: Final = 4
#: A scheduler task, among the nodes of an expression.
_CONTROL: Final = 2
#: Those that begin with the name of a class, function or task.
_NAMING: Final = (5, 6, 7, 8, 9, 10, 11, 12, 13)
_CODE: Final = "redun.code"
_CODE_BYTES: Final = _CODE.encode()
#: Places in records of what is sorted by ids.
_TASK_INCLUDES: Final = 8
_EXEC_SOURCES: Final = 13
_TASK_SET: Final = ("tasks", 2)
_JOBS_RARE: Final = 14
#: In a row of these, after its offset.
_COMPARED: Final = 2
_COMMON: Final[list[Any]] = [1, None, None, "", [], []]
#: Python's frames for a level of a value.
_FRAMES: Final = 8


def may_change(kind: str, payload: bytes, pointer_head: bytes) -> bool:
    """Returns whether there may be an id in a payload. There is none in most, and searching costs next to nothing."""
    return pointer_head in payload or _CODE_BYTES in payload or kind == "jobs" or _AWAITS_BYTES in payload


def rewritten(kind: str, payload: bytes, new_id: NewId, known: Mapping[bytes, Digest] = NONE) -> bytes:
    """Returns the payload with new ids in the place of the old.

    Args:
        known: those new ids that are known. What a page of jobs names without pointing to it is left out where it is
            not among them; what an async body was given stays as it is, so that the body runs again.

    Raises:
        MalformedObject: if it cannot be read.
    """
    try:
        return _rewritten(kind, payload, new_id, known)
    except RecursionError:
        with _deeper():
            return _rewritten(kind, payload, new_id, known)


def _rewritten(kind: str, payload: bytes, new_id: NewId, known: Mapping[bytes, Digest]) -> bytes:
    record = _mapped(unpack(payload), new_id)
    if kind == "task":
        record[_TASK_INCLUDES].sort()
    elif kind == "exec":
        record[_EXEC_SOURCES].sort()
    elif kind == "footprint" and record[1] == _TASK_SET[0]:
        record[_TASK_SET[1]].sort()
    elif kind == "expr":
        for args, at in _awaited(record):
            args[at] = bytes(known.get(args[at], args[at]))
    elif kind == "jobs":
        for row in record[_JOBS_RARE]:
            row[_COMPARED] = known.get(row[_COMPARED])
        record[_JOBS_RARE] = [row for row in record[_JOBS_RARE] if row[1:] != _COMMON]
    return pack(record)


def _mapped(item: Any, new_id: NewId) -> Any:
    kind = type(item)
    if kind is Pointer:
        return Pointer(new_id(bytes(item)))  # a pointer is never equal to the same bytes
    if kind is list:
        return [_mapped(inner, new_id) for inner in item]
    if kind is dict:
        return {_mapped(key, new_id): _mapped(value, new_id) for key, value in item.items()}
    if kind is ExtType and item.code < FIRST_OPAQUE_CODE:
        inner = _mapped(unpack(item.data), new_id)
        if item.code == _ADAPTED and inner[:1] == [_CODE]:
            inner[1][1] = bytes(new_id(inner[1][1]))
        data = pack(inner)
        if item.code in _SETS and data != item.data:
            data = pack(sorted(inner, key=pack))
        return ExtType(item.code, data)
    return item


def _awaited(record: Any) -> Iterator[tuple[list[Any], int]]:
    """Yields where in an `expr` the ids of values stand that an async body was given: a list, and the place in it."""
    names = record[_NAMES]
    for row in record[_NODES]:
        if row[0] == _CONTROL and names[row[_NODE_NAME]] == _AWAITS:
            args = row[_NODE_ARGS]
            yield from ((args, at) for at in range(1, len(args) - 1, 3) if type(args[at]) is bytes)


def awaited_in(payload: bytes) -> list[Digest]:
    """Returns the ids of the values that an async body was given, in what it returned.

    Raises:
        MalformedObject: if it cannot be read.
    """
    if _AWAITS_BYTES not in payload:
        return []
    try:
        return [Digest(args[at]) for args, at in _awaited(unpack(payload))]
    except (TypeError, IndexError, KeyError) as error:
        raise MalformedObject(f"an expr whose fields do not fit: {error}") from None


def compared_in(payload: bytes) -> list[Digest]:
    """Returns the ids of the calls that jobs of a page were compared with."""
    return [Digest(row[_COMPARED]) for row in unpack(payload)[_JOBS_RARE] if row[_COMPARED] is not None]


def codes_in(payload: bytes) -> list[tuple[str, Digest]]:
    """Returns the name and id of each piece of code that a value stands for or has inside."""
    if _CODE_BYTES not in payload:
        return []
    pairs = (inner[1] for code, inner in _extensions(payload) if code == _ADAPTED and inner[:1] == [_CODE])
    return [(state[0], Digest(state[1])) for state in pairs]


def names_in(payload: bytes) -> set[str]:
    """Returns the names of the classes, functions and tasks that occur in a value."""
    return {inner[0] for code, inner in _extensions(payload) if code in _NAMING and type(inner[0]) is str}


def _extensions(payload: bytes) -> Iterator[tuple[int, list[Any]]]:
    waiting = [unpack(payload)]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is list:
            waiting += item
        elif kind is dict:
            waiting += [*item, *item.values()]
        elif kind is ExtType and item.code < FIRST_OPAQUE_CODE:
            inner = unpack(item.data)
            waiting.append(inner)
            if inner:
                yield item.code, inner


@contextmanager
def _deeper() -> Iterator[None]:
    """Admits as many calls inside each other as the deepest value needs."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES * limits.VALUE_DEPTH + before))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
