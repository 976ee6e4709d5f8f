"""What is inside a stored value or expression, found from its bytes: files, and names of the user's code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from redun.core import codes
from redun.core.codec import FIRST_OPAQUE_CODE, ExtType, Pointer, unpack
from redun.core.display import Fetch
from redun.core.errors import MalformedObject, RedunError
from redun.core.objects import TreeRecord

#: Items looked at.
_ITEMS: Final = 20_000
_CLASSED: Final = frozenset(
    {codes.DATACLASS, codes.NAMEDTUPLE, codes.ENUM, codes.INSTANCE, codes.ERROR, codes.FUNCTION, codes.CLASS}
)


def _extensions(payload: bytes | None, fetch: Fetch) -> Iterator[Any]:
    """Yields the extensions inside a payload, those that lie in objects of their own included; bounded."""
    try:
        stack: list[Any] = [] if payload is None else [unpack(payload)]
        for _ in range(_ITEMS):
            if not stack:
                return
            item = stack.pop()
            kind = type(item)
            if kind is list:
                stack += reversed(item)
            elif kind is dict:
                stack += [part for pair in item.items() for part in pair]
            elif kind is Pointer:
                stack += _pointed(item, fetch)
            elif kind is ExtType:
                yield item
                if item.code < FIRST_OPAQUE_CODE:
                    stack.append(unpack(item.data))
    except (MalformedObject, TypeError):
        return


def _pointed(item: Pointer, fetch: Fetch) -> list[Any]:
    try:
        kind, payload = fetch(item.digest)
        if kind == "tree":
            return [Pointer(child) for child in reversed(TreeRecord.parse(bytes(payload)).children)]
        return [unpack(payload)] if kind == "value" else []
    except RedunError:
        return []


def files_in(payload: bytes | None, fetch: Fetch) -> dict[str, bytes | None]:
    """Returns the files in a payload: path -> hash of the content, None where the file was missing."""
    found: dict[str, bytes | None] = {}
    for item in _extensions(payload, fetch):
        if item.code == codes.FILE:
            _, path, content = unpack(item.data)[:3]
            found[path] = content
    return found


def code_names(payload: bytes | None, fetch: Fetch) -> list[str]:
    """Returns the classes and functions that a payload names, each once, as `module:qualname`."""
    found: dict[str, None] = {}
    for item in _extensions(payload, fetch):
        if item.code in _CLASSED:
            name = unpack(item.data)[0]
            if type(name) is str:
                found[name] = None
    return list(found)
