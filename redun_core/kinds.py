"""Kinds of objects that other tools add to a store, by registration.

Nothing needs to be registered for an object to be stored, read, walked, checked or sent: its payload is canonical
msgpack and every pointer in it is the one extension type. A parser adds that what is put, and what comes from
elsewhere, is what the kind is meant to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from redun.core.codec import unpack_strict
from redun.core.errors import CodecError, MalformedObject, RedunError
from redun.core.frame import KIND_CODES, check_kind

Parser = Callable[[bytes], Any]

_parsers: dict[str, Parser] = {}


def register_kind(name: str, parse: Parser) -> None:
    """Registers how payloads of a kind are read, for this process.

    Args:
        name: the kind, `tool.thing`: at least two words of a-z, 0-9, _ and - joined by dots, at most 64 characters.
        parse: returns what a payload means, and raises whatever it likes where it is not one of that kind. It is called
            for each object of the kind that is put or checked. It must take all that it ever took: objects are not
            rewritten, so give payloads a version and keep reading the old ones.

    Raises:
        CodecError: if the kind is one of the format's own or no name for a kind, or has another parser already.
    """
    if name in KIND_CODES:
        raise CodecError(f"{name!r} is a kind of the format, which has its own parser", hint="call yours tool.thing")
    check_kind(name)
    if _parsers.setdefault(name, parse) is not parse:
        raise CodecError(f"the kind {name!r} has another parser already", hint="register it once, where it is defined")


def parse(kind: str, payload: bytes) -> Any:
    """Returns what the parser of a kind makes of a payload.

    Raises:
        MalformedObject: if it does not take it, or nobody has registered one.
    """
    parser = _parsers.get(kind)
    if parser is None:
        raise MalformedObject(f"no parser is registered for the kind {kind!r}", hint="register_kind(name, parse)")
    return _parsed(parser, kind, payload)


def check(kind: str, payload: bytes) -> None:
    """Checks the payload of a kind that is none of the format's own.

    Raises:
        MalformedObject: if it is not canonical msgpack, its parser does not take it, or there can be no such kind.
    """
    check_kind(kind)
    unpack_strict(payload)
    parser = _parsers.get(kind)
    if parser is not None:
        _parsed(parser, kind, payload)


def check_others(items: Iterable[tuple[str, bytes]]) -> None:
    """Checks those of (kind, payload) pairs that are of no kind of the format: their writers are not ours.

    Raises:
        MalformedObject: as `check`.
    """
    for kind, payload in items:
        if kind not in KIND_CODES:
            check(kind, payload)


def _parsed(parser: Parser, kind: str, payload: bytes) -> Any:
    try:
        return parser(payload)
    except RedunError:
        raise
    except Exception as error:
        raise MalformedObject(f"not a {kind}: {type(error).__name__}: {error}") from error
