"""The table `trash`: objects that were swept, with the time, until they expire. Whoever asks for one has it back.

That makes sweeping safe beside runs: one that found an object before it was swept, and points to it afterwards, or is
still to read it, finds it here; and the next collection that reaches it puts it back for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from redun.core import limits
from redun.store.ports import Backend, ReadTransaction, WriteTransaction

#: Microseconds since the epoch, in front of the envelope.
_TIME_BYTES: Final = 8

Rows = list[tuple[bytes, bytes]]


def find(txn: ReadTransaction, digests: Iterable[bytes]) -> Rows:
    """Returns (id, envelope) of those of the objects that are in the trash."""
    return [(digest, value[_TIME_BYTES:]) for digest, value in txn.get_many("trash", sorted(digests))]


def envelopes(rows: Rows) -> Rows:
    """Returns (id, envelope) of rows of the table."""
    return [(digest, value[_TIME_BYTES:]) for digest, value in rows]


def throw(txn: WriteTransaction, digests: Sequence[bytes], time: int) -> None:
    """Moves objects to the trash. Those that are gone already are passed over."""
    stamp = time.to_bytes(_TIME_BYTES, "big")
    txn.put_many("trash", [(digest, stamp + env) for digest, env in txn.get_many("objects", sorted(digests))])
    for digest in digests:
        txn.delete("objects", digest)


def restore(txn: WriteTransaction, digests: Iterable[bytes]) -> None:
    """Moves objects back. One that was put again meanwhile stays as it was put."""
    rows = find(txn, digests)
    txn.add_many("objects", rows)
    for digest, _ in rows:
        txn.delete("trash", digest)


def expired(backend: Backend, before: int) -> Iterator[Rows]:
    """Returns (id, envelope) of what was thrown away before a time (microseconds since the epoch), in pages."""
    start = b""
    while True:
        page = backend.read(lambda txn, at=start: txn.scan("trash", at, limits.SWEEP_ROWS))  # type: ignore[misc]
        found = [(key, value[_TIME_BYTES:]) for key, value in page if _time(value) < before]
        if found:
            yield found
        if len(page) < limits.SWEEP_ROWS:
            return
        start = page[-1][0] + b"\0"


def _time(value: bytes) -> int:
    return int.from_bytes(value[:_TIME_BYTES], "big")
