"""What an object says of others, read from its bytes without more work than it takes: there may be a million."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import msgpack

from redun.core.codec import POINTER_HEADS, references
from redun.core.digest import Digest
from redun.core.errors import MalformedObject
from redun.core.objects import CallRecord
from redun.core.shapes import SCHEMA
from redun.store.indexes.held_files import may_hold_files

#: How a call ends that made none: no children, no extras.
_NO_CALLS: Final = b"\x90\x90"
#: Makes a record without the constructor's own frame.
_new: Final = tuple.__new__
#: No value with fewer bytes holds a pointer or a file.
_LEAST: Final = 8


class CallEnds(NamedTuple):
    """A call without what happened inside it: its task, arguments (or the tree that lists them), and result; and
    whether it made no calls."""

    task: bytes
    args: Sequence[bytes]
    result: bytes | None
    leaf: bool


def call_ends(payload: bytes, size: int) -> CallEnds:
    """Returns the ends of a call, with ids of so many bytes.

    Raises:
        MalformedObject: if the bytes are not a call.
    """
    # By place: what `CallRecord.parse` does takes five times as long, and there may be 100,000 children.
    head = len(POINTER_HEADS[size])
    step = head + size
    at = 2 + step
    count = payload[at] - 0x90 if len(payload) > at else -1
    if 0 <= count < 16:
        end = at + 1 + count * step
        args = [payload[start + head : start + step] for start in range(at + 1, end, step)]
        end += 1 if payload[end : end + 1] == b"\xc0" else step  # the reduction
        end += 1  # the outcome
        result = None if payload[end : end + 1] == b"\xc0" else payload[end + head : end + step]
        end += 1 if result is None else step
        return _new(CallEnds, (payload[2 + head : 2 + step], args, result, payload[end:] == _NO_CALLS))
    call = CallRecord.parse(payload)
    return CallEnds(call.task, call.args, call.result, not call.children and not call.extras)


def inner_calls(payload: bytes) -> list[Digest]:
    """Returns the calls that a call made.

    Raises:
        MalformedObject: if the bytes are not a call.
    """
    call = CallRecord.parse(payload)
    return list(dict.fromkeys(child for child in (*call.extras, *call.children) if child is not None))


def may_hold(payload: bytes, size: int) -> bool:
    """Returns whether it is worth looking for pointers and files in a value: nearly none has any."""
    return len(payload) >= _LEAST and (POINTER_HEADS[size] in payload or may_hold_files(payload))


def pointers_of(payload: bytes) -> list[Digest]:
    """Returns what a value or tree points to, each once; nothing for bytes that are neither."""
    try:
        return list(dict.fromkeys(references(payload)))
    except MalformedObject:
        return []


class JobColumns(NamedTuple):
    """Columns of a page of jobs, one entry a job each: row numbers, calls, statuses, and how it was answered."""

    numbers: list[int]
    calls: list[bytes | None]
    statuses: bytes
    hows: bytes


def job_columns(payload: bytes) -> JobColumns:
    """Returns the columns of a page.

    Raises:
        MalformedObject: if the bytes are not a page of jobs.
    """
    try:
        record = msgpack.unpackb(payload, ext_hook=_bare)
        if record[0] != SCHEMA:
            raise MalformedObject(f"jobs of schema {record[0]!r}", hint="a newer redun wrote this store; upgrade")
        return JobColumns(list(accumulate(record[2])), record[3], record[5], record[6])
    except (ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise MalformedObject(f"a page of jobs whose columns do not fit: {error}") from None


def _bare(_: int, data: bytes) -> bytes:
    return data
