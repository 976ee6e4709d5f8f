"""Bare engines: LMDB, SQLite, the file system. They are told the keys, so hashing costs them nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.stores.contents import Item

#: Enough for every case; plain lmdb has no growing map.
_MAP_BYTES = 1 << 33


class _Lmdb:
    def __init__(self, directory: Path, setting: str) -> None:
        import lmdb

        self._env: Any = lmdb.open(str(directory), map_size=_MAP_BYTES, metasync=setting == "full", lib_version=0)

    def put(self, items: Sequence[Item]) -> list[bytes]:
        with self._env.begin(write=True) as txn:
            txn.cursor().putmulti(sorted(items), overwrite=False)
        return [key for key, _ in items]

    def get(self, key: bytes) -> bytes:
        with self._env.begin() as txn:
            value: bytes = txn.get(key)
            return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes]:
        with self._env.begin() as txn:
            return [value for _, value in txn.cursor().getmulti(keys)]

    def has(self, key: bytes) -> bool:
        with self._env.begin() as txn:
            return bool(txn.cursor().set_key(key))

    def close(self) -> None:
        self._env.close()


class _Sqlite:
    def __init__(self, directory: Path, setting: str) -> None:
        self._db = sqlite3.connect(directory / "kv.db", isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute(f"pragma synchronous={setting or 'normal'}")
        self._db.execute("pragma cache_size=-65536")
        self._db.execute("pragma mmap_size=1073741824")
        self._db.execute("create table if not exists kv (k blob primary key, v blob)")

    def put(self, items: Sequence[Item]) -> list[bytes]:
        self._db.execute("begin immediate")
        self._db.executemany("insert or ignore into kv values (?, ?)", items)
        self._db.execute("commit")
        return [key for key, _ in items]

    def get(self, key: bytes) -> bytes:
        value: bytes = self._db.execute("select v from kv where k = ?", (key,)).fetchone()[0]
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes]:
        self._db.execute("begin")
        found = [self.get(key) for key in keys]
        self._db.execute("commit")
        return found

    def has(self, key: bytes) -> bool:
        return self._db.execute("select 1 from kv where k = ?", (key,)).fetchone() is not None

    def close(self) -> None:
        self._db.close()


class _Files:
    def __init__(self, directory: Path, setting: str) -> None:
        self._synced = setting == "synced"
        self._root = str(directory)
        for number in range(256):
            (directory / f"{number:02x}").mkdir(exist_ok=True)

    def _path(self, key: bytes) -> str:
        name = key.hex()
        return f"{self._root}/{name[:2]}/{name}"

    def put(self, items: Sequence[Item]) -> list[bytes]:
        for key, value in items:
            with open(self._path(key), "wb", buffering=0) as file:
                file.write(value)
                if self._synced:
                    os.fsync(file.fileno())
        return [key for key, _ in items]

    def get(self, key: bytes) -> bytes:
        with open(self._path(key), "rb", buffering=0) as file:
            return file.read()

    def has(self, key: bytes) -> bool:
        return os.path.exists(self._path(key))

    def close(self) -> None:
        pass


def lmdb(directory: Path, setting: str) -> _Lmdb:
    """Returns LMDB: sorted batches by `putmulti`; `full` syncs the page that makes a commit current too."""
    return _Lmdb(directory, setting)


def sqlite(directory: Path, setting: str) -> _Sqlite:
    """Returns a table of SQLite in WAL mode; `full` syncs each commit."""
    return _Sqlite(directory, setting)


def files(directory: Path, setting: str) -> _Files:
    """Returns a file a value in 256 directories, written in place; `synced` syncs each (not its name)."""
    return _Files(directory, setting)
