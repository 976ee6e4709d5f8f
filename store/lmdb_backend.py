"""The backend over LMDB: short transactions, tried again when the map has grown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Final

import lmdb

from redun.core import limits
from redun.core.errors import StoreReadOnly
from redun.store import lmdb_environment
from redun.store.lmdb_environment import Environment
from redun.store.ports import ReadTransaction, T, WriteTransaction
from redun.store.readers import Reader, parse_readers

#: Pages in front of all tables: they say where those begin.
_META_PAGES: Final = 2


class _Transaction:
    """A transaction of LMDB. A table that the file does not have yet (an older store, read only) is empty."""

    __slots__ = ("tables", "txn")

    def __init__(self, txn: Any, tables: dict[str, Any]) -> None:
        self.txn = txn
        self.tables = tables

    def get(self, table: str, key: bytes) -> bytes | None:
        handle = self.tables.get(table)
        if handle is None:
            return None
        value: bytes | None = self.txn.get(key, db=handle)
        return value

    def get_many(self, table: str, keys: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        handle = self.tables.get(table)
        if handle is None:
            return []
        found: list[tuple[bytes, bytes]] = self.txn.cursor(handle).getmulti(keys)
        return found

    def present(self, table: str, keys: Iterable[bytes]) -> list[bytes]:
        handle = self.tables.get(table)
        if handle is None:
            return []
        return list(filter(self.txn.cursor(handle).set_key, keys))

    def count(self, table: str) -> int:
        handle = self.tables.get(table)
        return 0 if handle is None else int(self.txn.stat(handle)["entries"])

    def scan(self, table: str, start: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return self._page(table, start, limit, values=True)

    def scan_keys(self, table: str, start: bytes, limit: int) -> list[bytes]:
        return self._page(table, start, limit, values=False)

    def _page(self, table: str, start: bytes, limit: int, *, values: bool) -> list[Any]:
        handle = self.tables.get(table)
        if handle is None:
            return []
        cursor = self.txn.cursor(handle)
        at_start = cursor.set_range(start) if start else cursor.first()
        if not at_start:
            return []
        return list(islice(cursor.iternext(keys=True, values=values), limit))

    def rows(self, table: str, key: bytes, start: bytes, limit: int, *, back: bool = False) -> list[bytes]:
        handle = self.tables.get(table)
        if handle is None:
            return []
        cursor = self.txn.cursor(handle)
        if not back:
            at_start = cursor.set_range_dup(key, start) if start else cursor.set_key(key)
            return list(islice(cursor.iternext_dup(), limit)) if at_start else []
        if start and cursor.set_range_dup(key, start):
            at_start = cursor.prev_dup()
        else:
            at_start = cursor.set_key(key) and cursor.last_dup()
        return list(islice(cursor.iterprev_dup(), limit)) if at_start else []

    def seek_rows(self, table: str, key: bytes, starts: Sequence[bytes]) -> list[bytes | None]:
        handle = self.tables.get(table)
        if handle is None:
            return [None] * len(starts)
        cursor = self.txn.cursor(handle)
        return [cursor.value() if cursor.set_range_dup(key, start) else None for start in starts]

    def count_rows(self, table: str, key: bytes | None = None) -> int:
        if key is None:
            return self.count(table)
        handle = self.tables.get(table)
        if handle is None:
            return 0
        cursor = self.txn.cursor(handle)
        return int(cursor.count()) if cursor.set_key(key) else 0

    def row_keys(self, table: str) -> list[bytes]:
        handle = self.tables.get(table)
        return [] if handle is None else list(self.txn.cursor(handle).iternext_nodup(keys=True, values=False))

    def put(self, table: str, key: bytes, value: bytes) -> None:
        self.txn.put(key, value, db=self.tables[table])

    def put_many(self, table: str, items: Sequence[tuple[bytes, bytes]]) -> None:
        self.txn.cursor(self.tables[table]).putmulti(items)

    def add_many(self, table: str, items: Sequence[tuple[bytes, bytes]]) -> int:
        added: int = self.txn.cursor(self.tables[table]).putmulti(items, overwrite=False)[1]
        return added

    def delete(self, table: str, key: bytes) -> bool:
        deleted: bool = self.txn.delete(key, db=self.tables[table])
        return deleted

    def add_rows(self, table: str, key: bytes, rows: Sequence[bytes]) -> None:
        cursor = self.txn.cursor(self.tables[table])
        # Appended rows fill their pages; where any may come before one that is there, pages are split in halves.
        append = bool(rows) and not (cursor.set_key(key) and cursor.last_dup() and cursor.value() >= rows[0])
        cursor.putmulti(zip(repeat(key), rows), append=append)

    def remove_rows(self, table: str, key: bytes, rows: Sequence[bytes]) -> None:
        cursor = self.txn.cursor(self.tables[table])
        for row in rows:
            if cursor.set_key_dup(key, row):
                cursor.delete()

    def clear(self, table: str) -> None:
        self.txn.drop(self.tables[table], delete=False)


class LmdbBackend:
    """Tables in `data.mdb` of one directory.

    Args:
        path: the directory.
        writable: whether `write` is allowed; a data file is created only then.
        durable: whether each write waits for the disk, not only for its pages to be ordered there.
        map_bytes: first size of the memory map.

    Raises:
        StoreError: if the file cannot be opened.
    """

    def __init__(
        self, path: Path, *, writable: bool = True, durable: bool = False, map_bytes: int = limits.MAP_BYTES
    ) -> None:
        self.path = path
        self.writable = writable
        self.durable = durable
        self._shared: Environment = lmdb_environment.acquire(path, writable=writable, map_bytes=map_bytes)

    def read(self, function: Callable[[ReadTransaction], T]) -> T:
        """See `Backend.read`."""
        shared = self._shared
        while True:
            resized = False
            shared.enter()
            try:
                txn = shared.env.begin()
                try:
                    return function(_Transaction(txn, shared.tables))
                finally:
                    txn.abort()
            except lmdb.MapResizedError:
                resized = True
            except lmdb.ReadersFullError as error:
                if not shared.env.reader_check():  # none of them was of a process that died, as workers do by the dozen
                    raise lmdb_environment.store_error(error, self.path) from error
            except lmdb.Error as error:
                raise lmdb_environment.store_error(error, self.path) from error
            finally:
                shared.leave()
            if resized:
                shared.follow_growth()

    def write(self, function: Callable[[WriteTransaction], T]) -> T:
        """See `Backend.write`."""
        if not self.writable:
            raise StoreReadOnly(f"the store at {self.path} is open for reading only", path=str(self.path))
        shared = self._shared
        while True:
            shared.enter()
            full_at = None
            try:
                result = self._attempt(shared, function)
                if self.durable:
                    shared.env.sync(True)
                return result
            except lmdb.MapFullError:
                full_at = shared.map_size()
            except lmdb.MapResizedError:
                pass
            except lmdb.Error as error:
                raise lmdb_environment.store_error(error, self.path) from error
            finally:
                shared.leave()
            if full_at is None:
                shared.follow_growth()
            else:
                shared.grow(full_at)

    @staticmethod
    def _attempt(shared: Environment, function: Callable[[WriteTransaction], T]) -> T:
        txn = shared.env.begin(write=True)
        try:
            result = function(_Transaction(txn, shared.tables))
            txn.commit()
        except BaseException:
            txn.abort()
            raise
        return result

    def heads(self, table: str, start: bytes, limit: int, size: int) -> list[tuple[bytes, bytes, int]]:
        """See `Backend.heads`."""
        shared = self._shared

        def scan(_: ReadTransaction) -> list[tuple[bytes, bytes, int]]:
            # In a transaction of its own, where values are views of the map: the pages of large ones are not touched.
            with shared.env.begin(buffers=True) as views:
                page = _Transaction(views, shared.tables).scan(table, start, limit)
                return [(bytes(key), bytes(value[:size]), len(value)) for key, value in page]

        return self.read(scan)

    def last_transaction(self) -> int:
        """See `Backend.last_transaction`."""
        with self._entered() as shared:
            number: int = shared.env.info()["last_txnid"]
            return number

    def room(self) -> tuple[int, int, int]:
        """Returns the size of the map, how much of the file holds or has held something (both in bytes), and the number
        of the last transaction."""
        self._shared.enter()
        try:
            info, page = self._shared.env.info(), self._shared.env.stat()["psize"]
            return info["map_size"], (info["last_pgno"] + 1) * page, info["last_txnid"]
        except lmdb.Error as error:
            raise lmdb_environment.store_error(error, self.path) from error
        finally:
            self._shared.leave()

    def space(self) -> tuple[int, int]:
        """See `Backend.space`."""
        with self._entered() as shared, shared.env.begin() as txn:
            tables = [shared.env.stat(), *(txn.stat(handle) for handle in shared.tables.values())]
            used = _META_PAGES
            for table in tables:
                used += table["branch_pages"] + table["leaf_pages"] + table["overflow_pages"]
            page = tables[0]["psize"]
            return used * page, max(shared.env.info()["last_pgno"] + 1 - used, 0) * page

    def sync(self) -> None:
        """See `Backend.sync`."""
        with self._entered() as shared:
            shared.env.sync(True)

    def readers(self) -> list[Reader]:
        """See `Backend.readers`."""
        with self._entered() as shared:
            return parse_readers(shared.env.readers(), shared.env.info()["last_txnid"])

    @contextmanager
    def _entered(self) -> Iterator[Environment]:
        shared = self._shared
        shared.enter()
        try:
            yield shared
        except lmdb.Error as error:
            raise lmdb_environment.store_error(error, self.path) from error
        finally:
            shared.leave()

    def compact(self) -> None:
        """See `Backend.compact`."""
        try:
            lmdb_environment.compact(self._shared)
        except lmdb.Error as error:
            raise lmdb_environment.store_error(error, self.path) from error

    def close(self) -> None:
        """See `Backend.close`."""
        shared, self._shared = self._shared, lmdb_environment.Closed(self.path)
        if not isinstance(shared, lmdb_environment.Closed):
            lmdb_environment.release(shared)
