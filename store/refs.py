"""Refs: mutable names for ids, moved by compare-and-swap, and the log of their moves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgpack

from redun.core.codec import packed
from redun.core.digest import Digest
from redun.core.errors import NotFound, RefMoved, StoreDamaged, StoreError
from redun.store.memo import next_seq
from redun.store.objects import kind_of
from redun.store.ports import Backend, WriteTransaction, scan_prefix

EXECUTIONS: Final = "executions/"
#: LMDB's keys end at 511 bytes; a reflog key is the name, a NUL and 8 bytes.
_NAME_BYTES: Final = 480


class RefLogEntry(NamedTuple):
    """One move of a ref: microseconds since the epoch, from what, to what (None: no such ref), and why."""

    time: int
    old: Digest | None
    new: Digest | None
    reason: str


def check_name(name: str) -> bytes:
    """Returns the key of a ref.

    A name is words joined by slashes. It never becomes a path, and is refused where it could be taken for one.

    Raises:
        StoreError: if it is not a name for a ref.
    """
    parts = name.split("/")
    if not all(parts) or any(part.startswith(".") for part in parts) or not name.isprintable() or " " in name:
        raise StoreError(
            f"{name!r} is not a name for a ref", hint="words joined by /, none empty or starting with a dot"
        )
    try:
        key = name.encode()
    except UnicodeEncodeError:
        raise StoreError(f"{name!r} is not a name for a ref") from None
    if len(key) > _NAME_BYTES:
        raise StoreError(f"a ref's name has at most {_NAME_BYTES} bytes")
    return key


def all_refs(backend: Backend) -> dict[str, Digest]:
    """Returns every ref, by name in order."""
    return {key.decode(): Digest(value) for key, value in scan_prefix(backend, "refs", b"")}


def move(txn: WriteTransaction, name: str, new: Digest | None, *, expected: Digest | None, reason: str) -> None:
    """Moves a ref from `expected` to `new`, where None stands for no ref, and logs the move.

    Raises:
        RefMoved: if the ref is not at `expected`.
        NotFound: if `new` names no object.
        StoreError: if it names one that may not be there, or the name is none.
    """
    key = check_name(name)
    now = txn.get("refs", key)
    if now != expected:
        is_at = "does not exist" if now is None else f"is at {now.hex()}"
        raise RefMoved(f"ref {name} {is_at}, expected {'none' if expected is None else expected.hex()}")
    if new is None:
        txn.delete("refs", key)
    else:
        env = txn.get("objects", new)
        if env is None:
            raise NotFound(f"ref {name} cannot point to {new.hex()}: no such object in this store")
        if name.startswith(EXECUTIONS) and kind_of(env) != "exec":
            raise StoreError(f"ref {name} can only point to an execution, and {new.hex()} is a {kind_of(env)}")
        txn.put("refs", key, new)
    entry = packed([time.time_ns() // 1000, expected, new, reason])
    txn.put("reflog", log_key(key, next_seq(txn)), entry)


def log_key(name: bytes, number: int) -> bytes:
    """Returns the key of the entry of that number in the log of a ref."""
    return name + b"\0" + number.to_bytes(8, "big")


def read_log(backend: Backend, name: str) -> Iterator[RefLogEntry]:
    """Returns the moves of a ref, newest first.

    Raises:
        StoreDamaged: if an entry cannot be read.
    """
    entries = list(scan_prefix(backend, "reflog", check_name(name) + b"\0"))
    for _, data in reversed(entries):
        try:
            when, old, new, reason = msgpack.unpackb(data)
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise StoreDamaged(f"the log of ref {name} is damaged: {error}", hint="redun fsck") from None
        yield RefLogEntry(when, old, new, reason)
