"""Opening a store that exists: what is checked, in which order, and what is given back where a check fails."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, NamedTuple

from redun.core.digest import self_test
from redun.core.errors import StoreError, StoreLocked
from redun.store import filesystem, locks, meta, soundness
from redun.store.lmdb_backend import LmdbBackend

#: How long an open waits for gc to finish what it does alone, and between two looks (seconds).
_PATIENCE_S: Final = 10.0
_POLL_S: Final = 0.02
DURABILITIES = ("normal", "durable")


class Opened(NamedTuple):
    """The parts of an open store; `session` is the lock of an open that writes."""

    format: meta.Format
    backend: LmdbBackend
    session: locks.Held | None


def check_durability(name: str) -> None:
    """Checks the name of a durability.

    Raises:
        StoreError: if there is none of that name.
    """
    if name not in DURABILITIES:
        raise StoreError(f"there is no durability {name!r}", hint="choose normal or durable")


def open_directory(directory: Path, *, read_only: bool, durability: str) -> Opened:
    """Opens the store in a directory.

    Raises:
        NotAStore, StoreFormatError, StoreLocked, StoreReadOnly, StoreDamaged, StoreError: as `Store.open`.
    """
    check_durability(durability)
    while True:
        fmt = meta.read_format(directory)
        try:
            return _opened(directory, fmt, read_only=read_only, durability=durability)
        except StoreError:
            # Converted by another process in the meantime: it is another store now, with another FORMAT.
            if not _is_other(directory, fmt):
                raise


def _is_other(directory: Path, fmt: meta.Format) -> bool:
    try:
        return meta.read_format(directory) != fmt
    except StoreError:
        return False


def _opened(directory: Path, fmt: meta.Format, *, read_only: bool, durability: str) -> Opened:
    self_test([fmt.object_format])
    filesystem.refuse_network(directory)
    session = None if read_only else _join_session(directory)
    try:
        soundness.check(directory)
        if not read_only:
            soundness.record(directory, soundness.last_transaction(directory))
        backend = LmdbBackend(directory, writable=not read_only, durable=durability == "durable")
        try:
            meta.check_identity(backend, fmt, directory)
        except BaseException:
            backend.close()
            raise
    except BaseException:
        if session is not None:
            session.release()
        raise
    return Opened(fmt, backend, session)


def _join_session(directory: Path) -> locks.Held:
    end = time.monotonic() + _PATIENCE_S
    while True:
        held = locks.take(directory / "session.lock", shared=True)
        if held is not None:
            return held
        if time.monotonic() > end:
            told = f"gc, convert or fsck --repair is at work in {directory}"
            raise StoreLocked(told, path=str(directory), hint="try again when it has ended")
        time.sleep(_POLL_S)  # there is no lock that waits for so long and no longer
