"""The backend over LMDB: short transactions, tried again when the map has grown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import lmdb

from redun.core import limits
from redun.core.errors import StoreReadOnly
from redun.store import lmdb_environment
from redun.store.ports import ReadTransaction, T, WriteTransaction
from redun.store.readers import Reader, parse_readers


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
        cursor = self.txn.cursor(handle)
        return [key for key in keys if cursor.set_key(key)]

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
        page: list[Any] = []
        for item in cursor.iternext(keys=True, values=values):
            if len(page) == limit:
                break
            page.append(item)
        return page

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
        self._closed = False
        self._shared = lmdb_environment.acquire(path, writable=writable, map_bytes=map_bytes)

    def read(self, function: Callable[[ReadTransaction], T]) -> T:
        """See `Backend.read`."""
        shared = self._shared
        while True:
            shared.enter()
            try:
                txn = shared.env.begin()
                try:
                    return function(_Transaction(txn, shared.tables))
                finally:
                    txn.abort()
            except lmdb.MapResizedError:
                pass
            except lmdb.Error as error:
                raise lmdb_environment.store_error(error, self.path) from error
            finally:
                shared.leave()
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
                result = self._attempt(function)
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

    def _attempt(self, function: Callable[[WriteTransaction], T]) -> T:
        txn = self._shared.env.begin(write=True)
        try:
            result = function(_Transaction(txn, self._shared.tables))
            txn.commit()
        except BaseException:
            txn.abort()
            raise
        return result

    def sync(self) -> None:
        """See `Backend.sync`."""
        self._shared.enter()
        try:
            self._shared.env.sync(True)
        except lmdb.Error as error:
            raise lmdb_environment.store_error(error, self.path) from error
        finally:
            self._shared.leave()

    def readers(self) -> list[Reader]:
        """See `Backend.readers`."""
        self._shared.enter()
        try:
            return parse_readers(self._shared.env.readers(), self._shared.env.info()["last_txnid"])
        except lmdb.Error as error:
            raise lmdb_environment.store_error(error, self.path) from error
        finally:
            self._shared.leave()

    def close(self) -> None:
        """See `Backend.close`."""
        if not self._closed:
            self._closed = True
            lmdb_environment.release(self._shared)
