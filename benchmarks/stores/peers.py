"""Libraries of others, each as its documentation shows it. They run in an environment of their own."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.stores.contents import Item


class _Diskcache:
    def __init__(self, directory: Path, setting: str) -> None:
        # No eviction and no limit: a store forgets nothing.
        cache = importlib.import_module("diskcache").Cache
        self._cache: Any = cache(str(directory), eviction_policy="none", cull_limit=0, size_limit=1 << 40)
        self._each = setting == "each"

    def put(self, items: Sequence[Item]) -> list[bytes]:
        with contextlib.nullcontext() if self._each else self._cache.transact():
            for key, value in items:
                self._cache.set(key, value)
        return [key for key, _ in items]

    def get(self, key: bytes) -> bytes:
        value: bytes = self._cache.get(key)
        return value

    def has(self, key: bytes) -> bool:
        return key in self._cache

    def close(self) -> None:
        self._cache.close()


class _Joblib:
    def __init__(self, directory: Path) -> None:
        memory = importlib.import_module("joblib").Memory(str(directory), verbose=0)
        self._backend: Any = memory.store_backend

    def put(self, items: Sequence[Item]) -> list[bytes]:
        for key, value in items:
            self._backend.dump_item(("values", key.hex()), value, verbose=0)
        return [key for key, _ in items]

    def get(self, key: bytes) -> bytes:
        value: bytes = self._backend.load_item(("values", key.hex()), verbose=0)
        return value

    def has(self, key: bytes) -> bool:
        return bool(self._backend.contains_item(("values", key.hex())))

    def close(self) -> None:
        pass


class _Git:
    def __init__(self, directory: Path) -> None:
        self._git: Any = importlib.import_module("pygit2")
        self._git.settings.enable_caching(False)  # objects in memory would not be a store's doing
        self._repository: Any = self._git.init_repository(str(directory), bare=True)

    def put(self, items: Sequence[Item]) -> list[bytes]:
        return [self._repository.create_blob(value).raw for _, value in items]

    def get(self, key: bytes) -> bytes:
        value: bytes = self._repository[self._git.Oid(raw=key)].data
        return value

    def has(self, key: bytes) -> bool:
        return self._git.Oid(raw=key) in self._repository

    def close(self) -> None:
        self._repository.free()


def diskcache(directory: Path, setting: str) -> _Diskcache:
    """Returns diskcache with its defaults; `each` puts value by value, without a transaction around them."""
    return _Diskcache(directory, setting)


def joblib(directory: Path, setting: str) -> _Joblib:
    """Returns the store behind joblib's `Memory`, without the hashing of arguments that a cached call adds."""
    return _Joblib(directory)


def git(directory: Path, setting: str) -> _Git:
    """Returns a bare git repository by libgit2: loose objects, zlib at git's default."""
    return _Git(directory)
