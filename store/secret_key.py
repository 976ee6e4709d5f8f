"""The key with which a store's secrets are hashed. It lies beside the objects and never travels with them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from redun.core.errors import StoreDamaged
from redun.store.filesystem import new_name, sync_directory, translated
from redun.store.store import Store

KEY_NAME: Final = "secret.key"
_KEY_BYTES: Final = 32

#: Keys of stores that have no file for it, in memory or read-only: as good as any, and gone with the store.
_PASSING: Final[WeakKeyDictionary[Store, bytes]] = WeakKeyDictionary()


def secret_key(store: Store) -> bytes:
    """Returns the key of a store; one is made where there is none and the store may be written.

    Raises:
        StoreDamaged: if the file does not hold a key.
        StoreReadOnly, StoreError: if the file cannot be read or written.
    """
    found = _PASSING.get(store)
    if found is not None:
        return found
    if store.path is None:
        key = os.urandom(_KEY_BYTES)
    elif store.read_only:
        key = _read(store.path / KEY_NAME) or os.urandom(_KEY_BYTES)
    else:
        key = key_beside(store.path)
    _PASSING[store] = key
    return key


def key_beside(directory: Path) -> bytes:
    """Returns the key of the store in that directory; one is made where there is none.

    Raises:
        StoreDamaged, StoreReadOnly, StoreError: as `secret_key`.
    """
    path = directory / KEY_NAME
    return _read(path) or _written(path, os.urandom(_KEY_BYTES))


def _read(path: Path) -> bytes | None:
    with translated(path):
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            return None
    if len(key) != _KEY_BYTES:
        hint = f"remove {path}: another is made, and what was given a secret runs again"
        raise StoreDamaged(f"{path} does not hold a key", path=str(path), hint=hint)
    return key


def _written(path: Path, key: bytes) -> bytes:
    """Returns the key that the file holds afterwards: of two processes that make one, the first wins."""
    with translated(path):
        temporary = new_name(path.parent)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(descriptor)
            with suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            os.unlink(temporary)
        sync_directory(path.parent)
    return _read(path) or key
