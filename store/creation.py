"""Making a store."""

from __future__ import annotations

from pathlib import Path

from redun.core.errors import StoreFormatError
from redun.store import locks, meta, soundness
from redun.store.filesystem import refuse_network
from redun.store.lmdb_backend import LmdbBackend


def create(directory: Path, name: str) -> None:
    """Makes a store in a directory; returns without doing anything if it is one of that object format already.

    Raises:
        StoreFormatError: if it is a store of another object format.
        StoreError: on a network file system, or where the directory cannot be made.
    """
    fmt = meta.new_format(name)
    refuse_network(directory)
    meta.make_directories(directory)
    lock = locks.take(directory / "session.lock", wait=True)  # two runs may both find no store and make one
    assert lock is not None
    try:
        if (directory / "FORMAT").exists():
            there = meta.read_format(directory).object_format
            if there is not fmt.object_format:
                raise StoreFormatError(
                    f"{directory} is a store of object format {there.name}, not {name}", path=str(directory)
                )
            return
        backend = LmdbBackend(directory)
        try:
            meta.write_identity(backend, fmt)
            backend.sync()
        finally:
            backend.close()
        soundness.record(directory, soundness.last_transaction(directory))
        meta.write_format(directory, fmt)
    finally:
        lock.release()
