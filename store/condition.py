"""The condition of a store's place, files and libraries, told as far as it can be: a store may be damaged."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import lmdb
import msgpack
import xxhash

from redun.store import filesystem, locks
from redun.store.lmdb_backend import LmdbBackend
from redun.store.meta import FOLDERS

#: A write takes less; what is in `incoming/` for longer was cut off.
_LEFT_SECONDS: Final = 3600
_WRITTEN: Final = ("data.mdb", "lock.mdb", "session.lock", *FOLDERS)


class Place(NamedTuple):
    """Where a store lies.

    Attributes:
        filesystem: type of the file system, "" where the system does not say.
        network: whether that is one on which a store is damaged sooner or later.
        free, total: bytes for this user, and in all.
        names: how many more files the file system takes, or None where it has no limit.
    """

    filesystem: str
    network: bool
    free: int
    total: int
    names: int | None


class Files(NamedTuple):
    """What lies in the directory of a store.

    Attributes:
        data: bytes of the data file, or None if it is missing.
        blobs, blob_bytes: files of large payloads.
        leftovers, leftover_bytes: files of writes that were cut off.
        collisions: pairs that were kept because they had one id.
        forbidden: what this user may not write to, though a run does.
        locked: whether somebody keeps all others out (gc).
    """

    data: int | None
    blobs: int
    blob_bytes: int
    leftovers: int
    leftover_bytes: int
    collisions: int
    forbidden: tuple[str, ...]
    locked: bool


class Room(NamedTuple):
    """How full the data file is: size of its map, bytes up to its last page, number of its last transaction."""

    map_bytes: int
    used_bytes: int
    transaction: int


def libraries() -> dict[str, str]:
    """Returns the versions of the libraries that stores are made with, by name."""
    major, minor, patch = lmdb.version()[:3]
    native = msgpack.Packer.__module__.endswith("_cmsgpack")
    return {
        "lmdb": f"{lmdb.__version__} (engine {major}.{minor}.{patch})",
        "xxhash": f"{xxhash.VERSION} (xxHash {xxhash.XXHASH_VERSION})",
        "msgpack": ".".join(map(str, msgpack.version[:3])) + ("" if native else " (without its C extension, so slow)"),
    }


def place(directory: Path) -> Place:
    """Returns where a directory lies.

    Raises:
        OSError: if that cannot be found out.
    """
    found = os.statvfs(directory)
    kind = filesystem.type_at(directory)
    size = found.f_frsize
    names = found.f_favail if found.f_files else None
    return Place(kind, filesystem.is_network_type(kind), found.f_bavail * size, found.f_blocks * size, names)


def files(directory: Path) -> Files:
    """Returns what lies in the directory of a store; what cannot be read counts as not there."""
    now = time.time()
    blobs = [found.st_size for _, found in _files_in(directory / "blobs")]
    left = [found.st_size for _, found in _files_in(directory / "incoming") if now - found.st_mtime > _LEFT_SECONDS]
    data = next((found.st_size for name, found in _entries(directory) if name == "data.mdb"), None)
    there = ["its directory", *sorted(name for name, _ in _entries(directory) if name in _WRITTEN)]
    return Files(
        data=data,
        blobs=len(blobs),
        blob_bytes=sum(blobs),
        leftovers=len(left),
        leftover_bytes=sum(left),
        collisions=sum(1 for _ in _entries(directory / "collisions")),
        forbidden=tuple(
            name for at, name in enumerate(there) if not os.access(directory / name if at else directory, os.W_OK)
        ),
        locked=locks.is_held(directory / "session.lock") if os.access(directory / "session.lock", os.R_OK) else False,
    )


def room(directory: Path) -> Room:
    """Returns how full the data file of a store is.

    Raises:
        StoreError: if it cannot be opened.
    """
    backend = LmdbBackend(directory, writable=False)
    try:
        return Room(*backend.room())
    finally:
        backend.close()


def _entries(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(directory) as entries:
            found = list(entries)
    except OSError:
        return
    for entry in found:
        try:
            yield entry.name, entry.stat(follow_symlinks=False)
        except OSError:
            continue


def _files_in(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    for name, found in _entries(directory):
        if stat.S_ISDIR(found.st_mode):
            yield from _files_in(directory / name)
        else:
            yield name, found
