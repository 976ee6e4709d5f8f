"""The backend that keeps its tables in dictionaries: for runs without a store, and for tests."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from redun.core.errors import StoreError
from redun.store.ports import SETS, TABLES, ReadTransaction, T, WriteTransaction
from redun.store.readers import Reader

#: After every row of a key.
_ABOVE: Final = b"\xff" * 64


def _head(key: bytes) -> bytes:
    return bytes((len(key),)) + key


class _Table:
    """A dictionary, and its keys in order, sorted again only when a scan follows a change."""

    __slots__ = ("ordered", "rows")

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.ordered: list[bytes] | None = None

    def keys_from(self, start: bytes, limit: int) -> list[bytes]:
        at = self.place_of(start)
        return self._in_order()[at : at + limit]

    def keys_before(self, at: int, limit: int) -> list[bytes]:
        return self._in_order()[max(0, at - limit) : at][::-1]

    def place_of(self, start: bytes) -> int:
        return bisect_left(self._in_order(), start)

    def _in_order(self) -> list[bytes]:
        if self.ordered is None:
            self.ordered = sorted(self.rows)
        return self.ordered


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

    # A row of a set is a key here, with its own key and the length of that before it.

    def rows(self, table: str, key: bytes, start: bytes, limit: int, *, back: bool = False) -> list[bytes]:
        where, head = self.tables[table], _head(key)
        if not back:
            found = where.keys_from(head + start, limit)
        else:
            at = where.place_of(head + start if start else head + _ABOVE)
            found = where.keys_before(at, limit)
        return [row[len(head) :] for row in found if row.startswith(head)]

    def seek_rows(self, table: str, key: bytes, starts: Sequence[bytes]) -> list[bytes | None]:
        return [next(iter(self.rows(table, key, start, 1)), None) for start in starts]

    def count_rows(self, table: str, key: bytes | None = None) -> int:
        where = self.tables[table]
        return len(where.rows) if key is None else where.place_of(_head(key) + _ABOVE) - where.place_of(_head(key))

    def row_keys(self, table: str) -> list[bytes]:
        return sorted({row[1 : 1 + row[0]] for row in self.tables[table].rows})

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

    def add_rows(self, table: str, key: bytes, rows: Sequence[bytes]) -> None:
        head = _head(key)
        self.add_many(table, [(head + row, b"") for row in rows])

    def remove_rows(self, table: str, key: bytes, rows: Sequence[bytes]) -> None:
        head = _head(key)
        for row in rows:
            self.delete(table, head + row)

    def clear(self, table: str) -> None:
        for key in list(self.tables[table].rows):
            self.delete(table, key)

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
        self._tables = {name: _Table() for name in (*TABLES, *SETS)}
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

    def heads(self, table: str, start: bytes, limit: int, size: int) -> list[tuple[bytes, bytes, int]]:
        """See `Backend.heads`."""
        return [(key, value[:size], len(value)) for key, value in self.read(lambda txn: txn.scan(table, start, limit))]

    def space(self) -> tuple[int, int]:
        """Returns the bytes of keys and values, and none free."""
        with self._lock:
            rows = (row for table in self._tables.values() for row in table.rows.items())
            return sum(len(key) + len(value) for key, value in rows), 0

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
