"""Sweeping: what was not reached goes to the trash, in the order of ids and in small transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from redun.core import limits
from redun.core.digest import Digest, Key, ObjectFormat
from redun.core.errors import StoreDamaged
from redun.store.blobs import BlobArea
from redun.store.gc import trash
from redun.store.gc.reach import Reach
from redun.store.memo import MemoRow, decode_row, encode_row
from redun.store.objects import IN_FILE, kind_of, size_of
from redun.store.ports import Backend, ReadTransaction, WriteTransaction, scan_prefix

Write = Callable[[Callable[[WriteTransaction], Any]], Any]


class Amount(NamedTuple):
    """A number of objects, and their bytes as stored, files included."""

    objects: int = 0
    size: int = 0

    def plus(self, size: int) -> Amount:
        """Returns the amount with one more object of so many bytes."""
        return Amount(self.objects + 1, self.size + size)


def unreached(backend: Backend, reach: Reach) -> Iterator[list[tuple[bytes, bytes]]]:
    """Returns (id, envelope) of the objects that were not reached, in pages of `limits.SWEEP_ROWS` at most."""
    start = b""
    while True:
        keys = backend.read(lambda txn, at=start: txn.scan_keys("objects", at, limits.SWEEP_ROWS))  # type: ignore[misc]
        gone = [key for key in keys if not reach.has(key)]
        if gone:
            yield backend.read(lambda txn, some=gone: txn.get_many("objects", some))  # type: ignore[misc]
        if len(keys) < limits.SWEEP_ROWS:
            return
        start = keys[-1] + b"\0"


def counted(rows: list[tuple[bytes, bytes]], into: dict[str, Amount]) -> None:
    """Adds objects to amounts by kind."""
    for _, env in rows:
        try:
            kind = kind_of(env)
        except StoreDamaged:
            kind = "damaged"
        into[kind] = into.get(kind, Amount()).plus(size_of(env))


def sweep(write: Write, rows: list[tuple[bytes, bytes]], time: int) -> None:
    """Moves a page of objects to the trash, and forgets what is derived from them."""
    digests = [digest for digest, _ in rows]

    def move(txn: WriteTransaction) -> None:
        trash.throw(txn, digests, time)
        for digest in digests:
            txn.delete("tally", digest)

    write(move)


def forget_unreached(backend: Backend, write: Write, fmt: ObjectFormat, reach: Reach, newest: int, *, dry: bool) -> int:
    """Removes rows of the cache, or calls in them, whose objects were not reached; returns how many rows go.

    Args:
        newest: rows with a call of a larger number were written since marking began, and stay.
        dry: whether to count only.
    """
    total = 0
    changed: list[tuple[bytes, MemoRow | None]] = []

    def flush() -> None:
        if not dry:
            write(lambda txn: _store_rows(txn, changed))
        changed.clear()

    for key, data in scan_prefix(backend, "memo", b""):
        row = decode_row(Key(key), data, fmt.size)
        if row is not None and any(call.seq > newest for call in row.calls):
            continue
        left = None if row is None or not reach.has(row.reduction) else _reached_calls(row, reach)
        if left == row and row is not None:
            continue
        total += left is None
        changed.append((key, left))
        if len(changed) >= limits.SWEEP_ROWS:
            flush()
    if changed:
        flush()
    return total


def _reached_calls(row: MemoRow, reach: Reach) -> MemoRow | None:
    calls = tuple(call for call in row.calls if reach.has(call.call) and reach.has(call.head))
    return row._replace(calls=calls) if calls or not row.calls else None


def _store_rows(txn: WriteTransaction, changed: list[tuple[bytes, MemoRow | None]]) -> None:
    for key, row in changed:
        if row is None:
            txn.delete("memo", key)
        else:
            txn.put("memo", key, encode_row(key, row))


def empty(backend: Backend, write: Write, blobs: BlobArea, before: int, *, alone: bool) -> Amount:
    """Removes from the trash what was thrown away before a time, and returns how much that was.

    Args:
        alone: whether nobody else has the store open for writing. If not, what lies in a file of its own stays for
            another time: somebody may be about to name that file again.
    """
    removed = Amount()
    for rows in trash.expired(backend, before):
        some = [(digest, env) for digest, env in rows if alone or env[0] != IN_FILE]
        write(lambda txn, some=some: [txn.delete("trash", digest) for digest, _ in some])  # type: ignore[misc]
        present = set(backend.read(lambda txn, some=some: txn.present("objects", [d for d, _ in some])))  # type: ignore[misc]
        for digest, env in some:
            removed = removed.plus(size_of(env))
            if env[0] == IN_FILE and digest not in present:
                blobs.remove(Digest(digest))
    return removed


def remove_unnamed(backend: Backend, blobs: BlobArea) -> int:
    """Removes files that no row names: their writers died before they could. Only for who is alone.

    Returns how many there were.
    """
    blobs.clear_incoming()
    unnamed = [digest for digest in blobs.digests() if not backend.read(lambda txn, some=digest: _has_row(txn, some))]  # type: ignore[misc]
    for digest in unnamed:
        blobs.remove(digest)
    return len(unnamed)


def _has_row(txn: ReadTransaction, digest: Digest) -> bool:
    return bool(txn.present("objects", [digest]) or txn.present("trash", [digest]))
