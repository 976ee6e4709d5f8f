"""What a backend is: ordered tables of bytes behind repeatable transaction functions.

Two implementations pass one contract suite: `memory_backend.MemoryBackend` and `lmdb_backend.LmdbBackend`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

from redun.core import limits
from redun.store.readers import Reader

T = TypeVar("T")

#: A key has a byte or more, and no more than these.
KEY_BYTES: Final = 511

#: Every table of a store. Later ones are appended; a store that lacks one is given it by the next open that writes.
TABLES: Final = (
    "meta",
    "objects",
    "refs",
    "reflog",
    "live",
    "leases",
    "memo",
    "superseded",
    "trash",
    "shallow",
    "stat",
    "tally",
    "lost",
    "former",
    "ix.state",
    "ix.runs",
    "ix.known",
    "ix.names",
    "ix.files",
    "remotes",
)

#: Tables of rows of a fixed size, an ordered set of them for each key, and how many bytes a row has. A row costs little
#: more than its bytes. All are derived (`redun.store.indexes`).
SETS: Final = {
    "ix.tasks": 12,
    "ix.calls": 14,
    "ix.ids": 10,
    "ix.results": 12,
    "ix.arguments": 12,
    "ix.holders": 12,
    "ix.status": 6,
}


class ReadTransaction(Protocol):
    """A consistent view of all tables, for the time of one `Backend.read` or `Backend.write`.

    Promised: no other process's writes appear within it. Not promised: that it may be used after the function that it
    was handed to has returned, from another thread, or while another transaction of the same thread is open.
    """

    def get(self, table: str, key: bytes) -> bytes | None:
        """Returns the value of a key, or None."""
        ...

    def get_many(self, table: str, keys: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        """Returns the pairs of the keys that exist, in the order asked, without the others. Sorted keys are fastest."""
        ...

    def present(self, table: str, keys: Iterable[bytes]) -> list[bytes]:
        """Returns those of the keys that exist, without reading their values."""
        ...

    def count(self, table: str) -> int:
        """Returns how many keys a table has, without reading them."""
        ...

    def scan(self, table: str, start: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Returns at most `limit` pairs in the order of their keys, from the first key that is not below `start`."""
        ...

    def scan_keys(self, table: str, start: bytes, limit: int) -> list[bytes]:
        """Returns the keys that `scan` would return."""
        ...

    def rows(self, table: str, key: bytes, start: bytes, limit: int, *, back: bool = False) -> list[bytes]:
        """Returns at most `limit` rows of a key of one of `SETS`, in order, from the first that is not below `start`.

        Args:
            back: to go down from the last that is below `start`; an empty one is above all.
        """
        ...

    def seek_rows(self, table: str, key: bytes, starts: Sequence[bytes]) -> list[bytes | None]:
        """Returns, for each start, the first row of the key that is not below it; None where there is none."""
        ...

    def count_rows(self, table: str, key: bytes | None = None) -> int:
        """Returns how many rows a key has, or all keys together, without reading them."""
        ...

    def row_keys(self, table: str) -> list[bytes]:
        """Returns the keys that have rows."""
        ...


class WriteTransaction(ReadTransaction, Protocol):
    """A `ReadTransaction` that also writes, and reads what it wrote. All of it becomes visible at once, or nothing."""

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Sets the value of a key."""
        ...

    def put_many(self, table: str, items: Sequence[tuple[bytes, bytes]]) -> None:
        """Sets many values. Sorted keys are fastest."""
        ...

    def add_many(self, table: str, items: Sequence[tuple[bytes, bytes]]) -> int:
        """Sets the values of those keys that do not exist yet; returns how many those were."""
        ...

    def delete(self, table: str, key: bytes) -> bool:
        """Removes a key; returns whether it existed."""
        ...

    def add_rows(self, table: str, key: bytes, rows: Sequence[bytes]) -> None:
        """Adds rows, which are in order, to those of a key of one of `SETS`. Those that are there stay."""
        ...

    def remove_rows(self, table: str, key: bytes, rows: Sequence[bytes]) -> None:
        """Removes rows of a key. Those that are not there are passed over."""
        ...

    def clear(self, table: str) -> None:
        """Removes all that a table holds, of whichever sort it is."""
        ...


class Backend(Protocol):
    """Ordered tables of bytes, with transactions.

    Promised: writes are serial, over all processes; an exception in the function leaves nothing behind; keys of 1 to
    `KEY_BYTES` bytes, ordered as bytes; values of up to 2 MiB.
    Not promised: that the function is called once (it is called again after the map has grown, so it has no effects but
    those on its transaction); that a write which returned survives a loss of power before `sync` (unless the backend
    is `durable`; a write which survives does so whole, and after all writes before it); any other size of value.
    """

    def read(self, function: Callable[[ReadTransaction], T]) -> T:
        """Returns what the function returns for a view of the tables. The function is short and runs no user code."""
        ...

    def write(self, function: Callable[[WriteTransaction], T]) -> T:
        """Returns what the function returns, after its writes have become visible to all.

        Raises:
            StoreReadOnly: if this backend was opened for reading.
            StoreFull: if the disk or the largest map is full.
        """
        ...

    def heads(self, table: str, start: bytes, limit: int, size: int) -> list[tuple[bytes, bytes, int]]:
        """Returns the keys that `ReadTransaction.scan` does, each with the first `size` bytes of its value and the size
        of the whole, of which the rest is not read."""
        ...

    def space(self) -> tuple[int, int]:
        """Returns how many bytes of the data file hold something, and how many are free for what is written next."""
        ...

    def last_transaction(self) -> int:
        """Returns a number that changes with each write that has become visible, of any process. It opens no
        transaction: asking takes microseconds and keeps no page from being used again."""
        ...

    def sync(self) -> None:
        """Returns when everything written so far survives a loss of power."""
        ...

    def readers(self) -> list[Reader]:
        """Returns the transactions that are reading now, in any process, longest first."""
        ...

    def compact(self) -> None:
        """Gives the file system back what no table uses. Nobody else may have the tables open for writing, and those of
        `SETS` are empty.

        Raises:
            StoreFull: if there is no room for a second copy; nothing changed.
        """
        ...

    def close(self) -> None:
        """Gives back files and memory. Closing twice is harmless."""
        ...


def scan_prefix(backend: Backend, table: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Returns the pairs whose keys start with the prefix, reading them in pages.

    Each page is a transaction of its own, so a slow consumer holds no reader open; what is written between two pages
    may or may not appear.
    """
    start = prefix
    while True:
        page = backend.read(lambda txn, at=start: txn.scan(table, at, limits.SCAN_KEYS))  # type: ignore[misc]
        for key, value in page:
            if not key.startswith(prefix):
                return
            yield key, value
        if len(page) < limits.SCAN_KEYS:
            return
        start = page[-1][0] + b"\0"
