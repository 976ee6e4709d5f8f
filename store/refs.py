"""Refs: mutable names for ids, moved by compare-and-swap, and the log of their moves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgpack

from redun.core import limits
from redun.core.codec import packed
from redun.core.digest import Digest
from redun.core.errors import NotFound, RefMoved, StoreDamaged, StoreError
from redun.store.checksums import body_of, with_checksum
from redun.store.memo import next_seq
from redun.store.objects import kind_of
from redun.store.ports import Backend, ReadTransaction, WriteTransaction, scan_prefix

EXECUTIONS: Final = "executions/"
#: Refs below this name say where those of remotes were when they were last asked.
TRACKING: Final = "remotes/"
#: Refs below this name keep what they point to, whatever the rules of pruning say.
PINS: Final = "pins/"
#: LMDB's keys end at 511 bytes; a reflog key is the name, a NUL and 8 bytes.
_NAME_BYTES: Final = 480
_NUMBER_BYTES: Final = 8
#: Entries of the log that are read at first where a ref is missing.
_FEW: Final = 8


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


def all_refs(backend: Backend, prefix: str = "") -> dict[str, Digest]:
    """Returns every ref whose name starts so, by name in order.

    Raises:
        StoreDamaged: if a row is not as it was written.
    """
    return {text_of(key): target_of(key, row) for key, row in scan_prefix(backend, "refs", prefix.encode())}


def target_of(key: bytes, row: bytes) -> Digest:
    """Returns what the row of a ref says.

    Raises:
        StoreDamaged: if it is not as it was written.
    """
    body = body_of(key, row)
    if body is None:
        raise StoreDamaged(f"ref {text_of(key)} is damaged", hint="redun fsck")
    return Digest(body)


def text_of(key: bytes) -> str:
    """Returns the name of a ref, also of one that cannot be a name."""
    return key.decode("utf-8", "backslashreplace")


def read(txn: ReadTransaction, key: bytes) -> Digest | None:
    """Returns what a ref points to, or None if there is no such ref. Its log makes up for a row damaged or lost.

    Raises:
        StoreDamaged: if neither is as it was written.
    """
    row = txn.get("refs", key)
    body = None if row is None else body_of(key, row)
    if body is not None:
        return Digest(body)
    move = last_move(txn, key)
    if row is not None and move is None:
        raise StoreDamaged(f"ref {text_of(key)} is damaged", hint="redun fsck")
    return None if move is None else move.new


def last_move(txn: ReadTransaction, key: bytes) -> RefLogEntry | None:
    """Returns the newest entry of the log of a ref, or None where there is none.

    Raises:
        StoreDamaged: if it cannot be read.
    """
    # A few at first: most refs that are not there never were, and what follows in the table is the log of others.
    start, limit = log_key(key, 0), _FEW
    last: tuple[bytes, bytes] | None = None
    while page := txn.scan("reflog", start, limit):
        mine = [(at, entry) for at, entry in page if log_name(at) == key]
        last = mine[-1] if mine else last
        if len(mine) < len(page):
            break
        start, limit = page[-1][0] + b"\0", limits.SCAN_KEYS
    return None if last is None else read_entry(*last)


def move(txn: WriteTransaction, name: str, new: Digest | None, *, expected: Digest | None, reason: str) -> None:
    """Moves a ref from `expected` to `new`, where None stands for no ref, and logs the move.

    Raises:
        RefMoved: if the ref is not at `expected`.
        NotFound: if `new` names no object.
        StoreError: if it names one that may not be there, or the name is none.
    """
    key = check_name(name)
    now = read(txn, key)
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
        txn.put("refs", key, with_checksum(key, new))
    entry, at = packed([time.time_ns() // 1000, expected, new, reason]), log_key(key, next_seq(txn))
    txn.put("reflog", at, with_checksum(at, entry))


def log_key(name: bytes, number: int) -> bytes:
    """Returns the key of the entry of that number in the log of a ref."""
    return name + b"\0" + number.to_bytes(_NUMBER_BYTES, "big")


def read_log(backend: Backend, name: str) -> Iterator[RefLogEntry]:
    """Returns the moves of a ref, newest first.

    Raises:
        StoreDamaged: if an entry cannot be read.
    """
    key = check_name(name)
    for at, row in reversed(list(scan_prefix(backend, "reflog", key + b"\0"))):
        yield read_entry(at, row)


def log_name(at: bytes) -> bytes:
    """Returns the key of the ref that an entry of the log is about."""
    return at[: -_NUMBER_BYTES - 1]


def read_entry(at: bytes, row: bytes) -> RefLogEntry:
    """Returns an entry of the log.

    Raises:
        StoreDamaged: if it is not as it was written.
    """
    body = body_of(at, row)
    if body is None:
        raise StoreDamaged(f"the log of ref {text_of(log_name(at))} is damaged", hint="redun fsck")
    when, old, new, reason = msgpack.unpackb(body)
    return RefLogEntry(when, old, new, reason)
