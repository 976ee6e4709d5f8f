"""Objects that come from elsewhere: checked, and what they point to, in one go."""

from __future__ import annotations

import re
from functools import cache
from typing import cast

from redun.core.codec import POINTER_HEADS, references
from redun.core.digest import Digest
from redun.core.objects import CallRecord, Outcome, check


def arrived(kind: str, payload: bytes, size: int) -> list[Digest]:
    """Returns what an object points to, after `objects.check` of it, or what comes to the same.

    Args:
        size: of ids in its store.

    Raises:
        MalformedObject: if the bytes are not an object of that kind.
    """
    if kind == "call":
        fits = _finished(payload, size)
        if fits is not None:
            return cast("list[Digest]", [found for found in fits.groups() if found is not None])
    check(kind, payload)
    return [] if kind == "blob" or POINTER_HEADS[size] not in payload else references(payload)


def call_of(payload: bytes, size: int) -> CallRecord:
    """Returns what `CallRecord.parse` does, in a third of the time for most.

    Raises:
        MalformedObject: if the bytes are not a call.
    """
    fits = _finished(payload, size)
    if fits is None:
        return CallRecord.parse(payload)
    task, *args, reduction, result = cast("tuple[Digest, ...]", fits.groups())
    outcome = Outcome.RAISED if payload[fits.start(len(args) + 3) - len(POINTER_HEADS[size]) - 1] else Outcome.VALUE
    return CallRecord(task, tuple(args), reduction, outcome, result)


def _finished(payload: bytes, size: int) -> re.Match[bytes] | None:
    at = 2 + len(POINTER_HEADS[size]) + size
    return _finished_call(size, payload[at] & 0x0F).fullmatch(payload) if len(payload) > at else None


@cache
def _finished_call(size: int, arguments: int) -> re.Pattern[bytes]:
    """Returns what the canonical bytes of a call look like that has ended and called no other, which nearly all are."""
    pointer = re.escape(POINTER_HEADS[size]) + b"(.{%d})" % size
    parts = [
        rb"\x98\x01",
        pointer,
        re.escape(bytes((0x90 | arguments,))),
        pointer * arguments,
        b"(?:\xc0|" + pointer + b")",  # the reduction
        rb"[\x00\x01]",  # the outcome: a value, or raised
        pointer,
        rb"\x90\x90",  # children and extras
    ]
    return re.compile(b"".join(parts), re.DOTALL)
