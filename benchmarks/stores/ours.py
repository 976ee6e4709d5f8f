"""The store of this project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.stores.contents import Item
from redun.core.digest import Digest
from redun.store import Store


class _Ours:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, items: Sequence[Item]) -> list[bytes]:
        return list[bytes](self._store.put_many([("value", value) for _, value in items]))

    def get(self, key: bytes) -> bytes:
        return self._store.get(Digest(key))[1]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes]:
        return [item[1] for item in self._store.get_many([Digest(key) for key in keys]) if item is not None]

    def has(self, key: bytes) -> bool:
        return self._store.has(Digest(key))

    def close(self) -> None:
        self._store.close()


def ours(directory: Path, setting: str) -> _Ours:
    """Returns the store, at durability `normal` or `durable`."""
    return _Ours(Store.init(directory / "store", durability="durable" if setting == "durable" else "normal"))
