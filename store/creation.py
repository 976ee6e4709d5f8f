"""Making a store."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from redun.core import limits
from redun.core.errors import StoreDamaged, StoreFormatError
from redun.store import locks, meta, soundness
from redun.store.filesystem import refuse_network
from redun.store.lmdb_backend import LmdbBackend

#: A data file that is no larger and has had no more transactions than making a store takes holds nothing yet: its
#: tables, and the identity in them.
_NEW_TRANSACTIONS: Final = 2
_NEW_BYTES: Final = limits.MIB


def create(directory: Path, name: str) -> None:
    """Makes a store in a directory; returns without doing anything if it is one of that object format already.

    Raises:
        StoreFormatError: if it is a store of another object format.
        StoreError: on a network file system, or where the directory cannot be made.
    """
    fmt = meta.new_format(name)
    refuse_network(directory)
    meta.make_directories(directory)
    lock = locks.take(directory / "runs" / "init.lock", wait=True)  # two runs may both find no store and make one
    assert lock is not None
    try:
        if (directory / "FORMAT").exists():
            _check_same(meta.read_format(directory), fmt, directory)
        else:
            _write(directory, fmt)
    finally:
        lock.path.unlink()
        lock.release()


def _write(directory: Path, fmt: meta.Format) -> None:
    _check_what_is_there(directory)
    backend = LmdbBackend(directory)
    try:
        # A data file without a FORMAT is what a crash of `init` leaves, or of which someone has lost the FORMAT: it
        # stays the store that it is.
        there = meta.read_identity(backend)
        if there is not None:
            _check_same(there, fmt, directory)
            fmt = there
        else:
            meta.write_identity(backend, fmt)
        backend.sync()
    finally:
        backend.close()
    soundness.record(directory, soundness.last_transaction(directory))
    meta.write_format(directory, fmt)


def _check_what_is_there(directory: Path) -> None:
    """Checks a data file without a FORMAT, and removes one that an `init` which was cut off has left in pieces."""
    data = directory / "data.mdb"
    size = data.stat().st_size if data.exists() else 0
    if not size:
        return
    try:
        soundness.check(directory)
    except StoreDamaged:
        if size > _NEW_BYTES or soundness.last_transaction(directory) > _NEW_TRANSACTIONS:
            raise
        data.unlink()


def _check_same(there: meta.Format, wanted: meta.Format, directory: Path) -> None:
    if there.object_format is not wanted.object_format:
        names = f"{there.object_format.name}, not {wanted.object_format.name}"
        raise StoreFormatError(f"{directory} is a store of object format {names}", path=str(directory))
