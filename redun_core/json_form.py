"""Stored objects as JSON: every value of the format has one form, and what JSON lacks carries a tag.

`None bool int float str list` and dicts with text keys are themselves. Anything else is an object with one key that
begins with `$` and says what it is, such as `{"$tuple": [1, 2]}`; a dict that JSON cannot hold, or that has such a key
itself, is `{"$dict": [[key, value], ...]}`. Nothing is instantiated, and pointers are not followed.
"""

from __future__ import annotations

import enum
import math
from typing import Any, Final

from redun.core import codes
from redun.core.codec import Pointer, unpack
from redun.core.errors import MalformedObject
from redun.core.expression_table import Table
from redun.core.files.kept import blob_of, parts_of
from redun.core.frame import KIND_CODES
from redun.core.limits import VALUE_DEPTH
from redun.core.objects import parse

#: Beyond this, readers of JSON other than Python's lose digits.
_EXACT: Final = 2**53
_DECIMAL_BITS: Final = 4096
#: Containers inside containers; a stored value has at most VALUE_DEPTH, each of up to three levels of arrays here.
_DEPTH: Final = 4 * VALUE_DEPTH


class _Slot:
    """Where a JSON item goes once it is made: a place in a list or an object."""

    __slots__ = ("depth", "holder", "item", "key")

    def __init__(self, holder: Any, key: Any, item: Any, depth: int) -> None:
        self.holder = holder
        self.key = key
        self.item = item
        self.depth = depth


def to_json(payload: bytes | memoryview) -> Any:
    """Returns a value's payload as plain data for `json.dumps`.

    Raises:
        MalformedObject: if it is not a value.
    """
    return _plain(unpack(payload))


#: What a node of an expression is, by its op.
_OPS: Final = ("task", "operation", "scheduler_task")


def expr_to_json(payload: bytes | memoryview) -> Any:
    """Returns an expression's payload as plain data for `json.dumps`: its nodes by number, and its root.

    Raises:
        MalformedObject: if it is not an expression.
    """
    table = Table(payload)
    shown: list[dict[str, Any]] = []
    for op, name, args, kwargs, options in table.nodes():
        entry: dict[str, Any] = {_OPS[op]: name, "args": _plain(args)}
        if op != 1:
            entry |= {"kwargs": _plain(kwargs), "options": _plain(options)}
        shown.append(entry)
    return {"nodes": shown, "root": _plain(table.root)}


def record_to_json(record: Any) -> Any:
    """Returns a structural record as plain data for `json.dumps`: fields by name, ids and bytes in hexadecimal."""
    if isinstance(record, enum.Enum):
        return record.name.lower()
    if isinstance(record, bytes):
        return record.hex()
    if isinstance(record, tuple):
        names = getattr(record, "_fields", None)
        if names is None:
            return [record_to_json(part) for part in record]
        return {name: record_to_json(part) for name, part in zip(names, record, strict=True)}
    return record


def object_to_json(kind: str, payload: bytes) -> Any:
    """Returns the content of an object of any kind as plain data for `json.dumps`; a blob as its bytes.

    Raises:
        MalformedObject: if the bytes are not an object of that kind.
    """
    if kind == "value" or kind not in KIND_CODES:  # a kind of another tool: plain data and pointers, as a value is
        return to_json(payload)
    if kind == "expr":
        return expr_to_json(payload)
    if kind == "blob":
        return {"$bytes": payload.hex()}
    return record_to_json(parse(kind, payload))


def _plain(item: Any) -> Any:
    top: list[Any] = [None]
    stack = [_Slot(top, 0, item, 0)]
    try:
        while stack:
            slot = stack.pop()
            if slot.depth > _DEPTH:
                raise MalformedObject("a value is nested too deep")
            slot.holder[slot.key] = _made(slot.item, slot.depth + 1, stack)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise MalformedObject(f"a value that makes no sense: {error}") from None
    return top[0]


def _made(item: Any, depth: int, stack: list[_Slot]) -> Any:
    kind = type(item)
    if item is None or kind is bool or kind is str:
        return item
    if kind is int:
        return item if -_EXACT <= item <= _EXACT else _integer(item)
    if kind is float:
        return item if math.isfinite(item) else {"$float": repr(item)}
    if kind is bytes:
        return {"$bytes": item.hex()}
    if kind is list:
        return _list(item, depth, stack)
    if kind is dict:
        if all(type(key) is str and not key.startswith("$") for key in item):
            return _object(item, depth, stack)
        return {"$dict": _list([list(pair) for pair in item.items()], depth, stack)}
    if kind is Pointer:
        return {"$value": item.hex()}
    return _extension(item.code, item.data, depth, stack)


def _integer(number: int) -> dict[str, str]:
    """Its digits as text; `int(text, 0)` reads both forms. Decimals of a very long integer take quadratic time."""
    return {"$int": str(number) if number.bit_length() <= _DECIMAL_BITS else hex(number)}


def _list(items: list[Any], depth: int, stack: list[_Slot]) -> list[Any]:
    made: list[Any] = [None] * len(items)
    stack += [_Slot(made, index, item, depth) for index, item in enumerate(items)]
    return made


def _object(items: dict[str, Any], depth: int, stack: list[_Slot]) -> dict[str, Any]:
    made: dict[str, Any] = dict.fromkeys(items)
    stack += [_Slot(made, key, item, depth) for key, item in items.items()]
    return made


def _extension(code: int, data: bytes, depth: int, stack: list[_Slot]) -> Any:
    if code == codes.NODE:
        return {"$node": int.from_bytes(data, "big")}
    if code == codes.BIGINT:
        return _integer(int.from_bytes(data, "big", signed=True))
    if code == codes.BYTEARRAY:
        return {"$bytearray": data.hex()}
    if code == codes.SURROGATES:
        return data.decode("utf-8", "surrogatepass")
    tag = _TAGS.get(code)
    if tag is None:
        return {"$extension": code, "data": data.hex()}
    items = unpack(data)
    if code in _LISTS:
        return {tag: _list(items, depth, stack)}
    made: dict[str, Any] = {tag: items[0]}
    for name, item in _fields(code, items):
        made[name] = None
        if code in _POINTING and type(item) is Pointer:
            made[name] = item.hex()
        else:
            stack.append(_Slot(made, name, item, depth))
    return made


def _fields(code: int, items: list[Any]) -> list[tuple[str, Any]]:
    if code in (codes.DATACLASS, codes.NAMEDTUPLE):
        return [("fields", dict(zip(items[1], items[2], strict=True)))]
    if code == codes.FILE:
        return [
            ("path", items[1]),
            ("hash", None if items[2] is None else items[2].hex()),
            *_archive(items[3:]),
        ]
    if code == codes.FILESET:
        _, pattern, hidden, digest, count, members = items[:6]
        listed = [("path", pattern), ("hidden", hidden), ("hash", digest.hex()), ("count", count), ("members", members)]
        return [*listed, *_archive(items[6:])]
    return list(zip(_FIELDS[code], items[1:], strict=True))


def _archive(items: list[Any]) -> list[tuple[str, Any]]:
    """What is said of the bytes of files that are kept: the blob of a file, or the values that name those of a set."""
    if not items:
        return []
    blob, _ = blob_of(items[0])
    return [("archive", [part.hex() for part in parts_of(items[0])] if blob is None else blob.hex())]


_LISTS: Final = frozenset({codes.TUPLE, codes.SET, codes.FROZENSET})
#: Their pointer leads to a blob or a tree, and the field's name says so.
_POINTING: Final = frozenset({codes.LARGE, codes.SEGMENTED})
_TAGS: Final = {
    codes.TUPLE: "$tuple",
    codes.SET: "$set",
    codes.FROZENSET: "$frozenset",
    codes.ADAPTED: "$adapted",
    codes.DATACLASS: "$dataclass",
    codes.NAMEDTUPLE: "$namedtuple",
    codes.ENUM: "$enum",
    codes.INSTANCE: "$instance",
    codes.ERROR: "$error",
    codes.FUNCTION: "$function",
    codes.CLASS: "$class",
    codes.TASK: "$task",
    codes.PARTIAL: "$partial",
    codes.QUOTED: "$quote",
    codes.FILE: "$file",
    codes.FILESET: "$fileset",
    codes.LARGE: "$large",
    codes.SEGMENTED: "$segmented",
}
_FIELDS: Final[dict[int, tuple[str, ...]]] = {
    codes.ADAPTED: ("state",),
    codes.ENUM: ("member",),
    codes.INSTANCE: ("args", "state"),
    codes.ERROR: ("args", "notes", "cause", "state"),
    codes.FUNCTION: (),
    codes.CLASS: (),
    codes.TASK: (),
    codes.PARTIAL: ("args", "kwargs", "options"),
    codes.QUOTED: (),
    codes.LARGE: ("blob", "size"),
    codes.SEGMENTED: ("tree", "count"),
}
