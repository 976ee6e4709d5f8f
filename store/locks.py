"""File locks that the kernel releases when a process dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from pathlib import Path
from typing import Final, Protocol

from redun.core.errors import InternalError
from redun.store.filesystem import translated


class Held:
    """A lock that is held until `release`, or until the process ends.

    A forked child would hold it on (flock belongs to the open file, which both share), so children close theirs.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path
        _held.add(self)

    @property
    def is_held(self) -> bool:
        """Whether it still holds the lock; not so in a child of a fork."""
        return self._descriptor >= 0

    def try_alone(self) -> bool:
        """Makes a shared lock one that nobody shares; returns False, and shares it still, where others hold it.

        For a moment it may be nobody's, so only one process at a time may try: it holds another lock for that.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.share()
            return False
        return True

    def share(self) -> None:
        """Makes it a shared lock (again)."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        """Gives the lock back. Doing so twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_held: weakref.WeakSet[Held] = weakref.WeakSet()


def _release_in_child() -> None:
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_release_in_child)


def take(path: Path, *, shared: bool = False, wait: bool = False) -> Held | None:
    """Returns the lock of a file (made if it is missing), or None if another holds it and `wait` is false.

    Raises:
        StoreReadOnly, StoreError: if the file cannot be opened.
    """
    mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    while True:
        with translated(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, mode)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_at(descriptor, path):
            return Held(descriptor, path)
        os.close(descriptor)  # whoever held it removed the file while we waited: ours is nobody's now


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def is_held(path: Path) -> bool:
    """Returns whether some process holds the lock of a file. Writes nothing, needs no permission to write."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # not readable: not known to be free
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


_HEX: Final = frozenset("0123456789abcdef")


class RunLocks(Protocol):
    """The locks of live runs, by uuid. A run that holds none has died."""

    def take(self, uuid: bytes) -> bool:
        """Takes the lock; returns False if it is held."""
        ...

    def drop(self, uuid: bytes) -> None:
        """Gives a lock back that this object took, and removes its traces."""
        ...

    def is_held(self, uuid: bytes) -> bool:
        """Returns whether some process holds it."""
        ...

    def known(self) -> list[bytes]:
        """Returns the uuids of all locks that are held or were left behind."""
        ...

    def close(self) -> None:
        """Gives back all locks that this object took, so that their runs count as dead."""
        ...


class FileRunLocks:
    """Locks as files `runs/<uuid>.lock`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._mine: dict[bytes, Held] = {}

    def _path(self, uuid: bytes) -> Path:
        return self._directory / f"{uuid.hex()}.lock"

    def take(self, uuid: bytes) -> bool:
        """See `RunLocks.take`."""
        held = take(self._path(uuid))
        if held is not None:
            self._mine[uuid] = held
        return held is not None

    def drop(self, uuid: bytes) -> None:
        """See `RunLocks.drop`."""
        held = self._mine.pop(uuid, None)
        if held is None:
            raise InternalError(f"the lock of run {uuid.hex()} is not held")
        with contextlib.suppress(FileNotFoundError):
            held.path.unlink()  # while it is still locked: see `take`
        held.release()

    def is_held(self, uuid: bytes) -> bool:
        """See `RunLocks.is_held`."""
        return is_held(self._path(uuid))

    def known(self) -> list[bytes]:
        """See `RunLocks.known`."""
        with translated(self._directory):
            names = [entry.name for entry in os.scandir(self._directory)]
        return [bytes.fromhex(name[:32]) for name in names if name[32:] == ".lock" and set(name[:32]) <= _HEX]

    def close(self) -> None:
        """See `RunLocks.close`."""
        for held in self._mine.values():
            held.release()
        self._mine.clear()


class MemoryRunLocks:
    """Locks of a store that no other process sees."""

    def __init__(self) -> None:
        self._mine: set[bytes] = set()

    def take(self, uuid: bytes) -> bool:
        """See `RunLocks.take`."""
        if uuid in self._mine:
            return False
        self._mine.add(uuid)
        return True

    def drop(self, uuid: bytes) -> None:
        """See `RunLocks.drop`."""
        if uuid not in self._mine:
            raise InternalError(f"the lock of run {uuid.hex()} is not held")
        self._mine.remove(uuid)

    def is_held(self, uuid: bytes) -> bool:
        """See `RunLocks.is_held`."""
        return uuid in self._mine

    def known(self) -> list[bytes]:
        """See `RunLocks.known`."""
        return list(self._mine)

    def close(self) -> None:
        """See `RunLocks.close`."""
        self._mine.clear()
