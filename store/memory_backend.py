"""The backend that keeps its tables in dictionaries: for runs without a store, and for tests."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from redun.core.errors import StoreError
from redun.store.ports import TABLES, ReadTransaction, T, WriteTransaction
from redun.store.readers import Reader


class _Table:
    """A dictionary, and its keys in order, sorted again only when a scan follows a change."""

    __slots__ = ("ordered", "rows")

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.ordered: list[bytes] | None = None

    def keys_from(self, start: bytes, limit: int) -> list[bytes]:
        if self.ordered is None:
            self.ordered = sorted(self.rows)
        at = bisect_left(self.ordered, start)
        return self.ordered[at : at + limit]


class _Transaction:
    """Reads and writes in place; `undo` remembers what to put back."""

    __slots__ = ("tables", "undo")

    def __init__(self, tables: dict[str, _Table]) -> None:
        self.tables = tables
        self.undo: list[tuple[_Table, bytes, bytes | None]] = []

    def get(self, table: str, key: bytes) -> bytes | None:
        return self.tables[table].rows.get(key)

    def get_many(self, table: str, keys: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        rows = self.tables[table].rows
        return [(key, rows[key]) for key in keys if key in rows]

    def present(self, table: str, keys: Iterable[bytes]) -> list[bytes]:
        rows = self.tables[table].rows
        return [key for key in keys if key in rows]

    def count(self, table: str) -> int:
        return len(self.tables[table].rows)

    def scan(self, table: str, start: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        rows = self.tables[table].rows
        return [(key, rows[key]) for key in self.tables[table].keys_from(start, limit)]

    def scan_keys(self, table: str, start: bytes, limit: int) -> list[bytes]:
        return self.tables[table].keys_from(start, limit)

    def put(self, table: str, key: bytes, value: bytes) -> None:
        where = self.tables[table]
        old = where.rows.get(key)
        self.undo.append((where, key, old))
        if old is None:
            where.ordered = None
        where.rows[key] = value

    def put_many(self, table: str, items: Sequence[tuple[bytes, bytes]]) -> None:
        for key, value in items:
            self.put(table, key, value)

    def add_many(self, table: str, items: Sequence[tuple[bytes, bytes]]) -> int:
        rows = self.tables[table].rows
        before = len(rows)
        for key, value in items:
            if key not in rows:
                self.put(table, key, value)
        return len(rows) - before

    def delete(self, table: str, key: bytes) -> bool:
        where = self.tables[table]
        old = where.rows.pop(key, None)
        if old is None:
            return False
        self.undo.append((where, key, old))
        where.ordered = None
        return True

    def roll_back(self) -> None:
        for where, key, old in reversed(self.undo):
            where.ordered = None
            if old is None:
                where.rows.pop(key, None)
            else:
                where.rows[key] = old


class MemoryBackend:
    """Tables in dictionaries. One transaction at a time, reads included; nothing survives the process."""

    def __init__(self) -> None:
        self._tables = {name: _Table() for name in TABLES}
        self._lock = threading.RLock()
        self._inside = False
        self._closed = False
        self._writes = 0

    def read(self, function: Callable[[ReadTransaction], T]) -> T:
        """See `Backend.read`."""
        return self._run(function)

    def write(self, function: Callable[[WriteTransaction], T]) -> T:
        """See `Backend.write`."""
        with self._lock:
            result = self._run(function)
            self._writes += 1
        return result

    def _run(self, function: Callable[[_Transaction], T]) -> T:
        with self._lock:
            if self._closed:
                raise StoreError("the store was closed")
            if self._inside:
                raise StoreError("a transaction inside a transaction")
            transaction = _Transaction(self._tables)
            self._inside = True
            try:
                return function(transaction)
            except BaseException:
                transaction.roll_back()
                raise
            finally:
                self._inside = False

    def heads(self, table: str, start: bytes, limit: int, size: int) -> list[tuple[bytes, bytes]]:
        """See `Backend.heads`."""
        return [(key, value[:size]) for key, value in self.read(lambda txn: txn.scan(table, start, limit))]

    def last_transaction(self) -> int:
        """See `Backend.last_transaction`."""
        if self._closed:
            raise StoreError("the store was closed")
        return self._writes

    def compact(self) -> None:
        """Does nothing: nothing is kept that no table uses."""

    def sync(self) -> None:
        """Does nothing: there is nothing that could survive."""

    def readers(self) -> list[Reader]:
        """Returns none: nothing is kept for readers here."""
        return []

    def close(self) -> None:
        """See `Backend.close`."""
        self._closed = True
        self._tables = {}
