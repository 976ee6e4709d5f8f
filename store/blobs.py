"""Payloads in files of their own: `blobs/ab/<hex id>`, written under a temporary name, synced, read through a map."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast

from redun.core import limits
from redun.core.digest import Digest
from redun.core.errors import StoreError
from redun.store.filesystem import new_file, new_name, sync_directory, translated

#: What a file system says that gives a file no second name.
_NO_LINKS = (errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)


class Staged(Protocol):
    """A payload on its way in. It ends with `keep` or with `discard`."""

    def write(self, part: bytes | memoryview) -> None:
        """Appends bytes.

        Raises:
            StoreFull: if there is no room.
        """
        ...

    def view(self) -> memoryview:
        """Returns the bytes written so far."""
        ...

    def keep(self, digest: bytes, *, replace: bool = False) -> bool:
        """Makes it the payload of that id, which survives a loss of power after `settle`.

        Returns False, and does nothing, where the id has a payload already and that is not to be replaced.
        """
        ...

    def discard(self) -> None:
        """Forgets it. Harmless after `keep`."""
        ...


class BlobArea(Protocol):
    """Where large payloads lie. It knows nothing of what they mean: an id here may have no row yet, or no more."""

    def stage(self) -> Staged:
        """Returns an empty payload to write to."""
        ...

    def open(self, digest: bytes) -> memoryview | None:
        """Returns the payload of an id without copying it, or None."""
        ...

    def parts(self, digest: bytes) -> Iterator[bytes] | None:
        """Returns the payload of an id in parts, or None. Read, not mapped: a bad disk is an error, not a signal.

        Raises:
            StoreError: here or at any part, if it cannot be read.
        """
        ...

    def confirm(self, digest: bytes) -> None:
        """Makes the next `settle` see to a payload that is there, whoever put it there."""
        ...

    def settle(self) -> None:
        """Returns when every payload that was kept or confirmed survives a loss of power. Any thread may call it."""
        ...

    def digests(self) -> Iterator[Digest]:
        """Returns the ids of all payloads, in no order."""
        ...

    def remove(self, digest: Digest) -> None:
        """Removes the payload of an id. Harmless where there is none. Views of it stay valid."""
        ...

    def clear_incoming(self) -> None:
        """Removes what writers that died have left behind. Nobody may be writing."""
        ...

    def keep_collision(self, digest: bytes, stored: bytes, offered: bytes) -> str:
        """Keeps two framed byte strings with one id for a report; returns where."""
        ...


class _StagedFile:
    def __init__(self, area: FileBlobs) -> None:
        self._area = area
        with translated(area.incoming):
            path, self._file = new_file(area.incoming)
        self._path: Path | None = path

    def write(self, part: bytes | memoryview) -> None:
        with translated(self._area.incoming):
            self._file.write(part)

    def view(self) -> memoryview:
        with translated(self._area.incoming):
            self._file.flush()
        return _mapped(self._file)

    def keep(self, digest: bytes, *, replace: bool = False) -> bool:
        target = self._area.path_of(digest)
        assert self._path is not None
        with translated(target):
            self._file.flush()
            os.fchmod(self._file.fileno(), os.fstat(self._file.fileno()).st_mode & 0o444)
            os.fsync(self._file.fileno())
            if not target.parent.exists():
                target.parent.mkdir(exist_ok=True)
                self._area.owe(target.parent.parent)
            if replace:
                os.replace(self._path, target)
            elif not _named(self._path, target):
                return False
            self._area.owe(target.parent)
        self._path = None
        self._file.close()
        return True

    def discard(self) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError):  # what remains in incoming/ is swept later
                self._path.unlink()
            with contextlib.suppress(OSError):  # closing writes what is buffered, for which the disk may have no room
                self._file.close()
            self._path = None


def _named(path: Path, target: Path) -> bool:
    """Gives a file another name; returns False where that is taken, even if another process took it just now."""
    try:
        os.link(path, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            return False
        os.replace(path, target)
    else:
        path.unlink()
    return True


def _mapped(file: BinaryIO) -> memoryview:
    if os.fstat(file.fileno()).st_size == 0:
        return memoryview(b"")
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _parts(file: IO[bytes], path: Path) -> Iterator[bytes]:
    with file:
        while True:
            try:
                part = file.read(limits.MIB)
            except OSError as error:
                raise _unreadable(path, error) from error
            if not part:
                return
            yield part


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot read {path}: {error}", path=str(path))


class FileBlobs:
    """Payloads as files below a store's directory."""

    def __init__(self, root: Path) -> None:
        self.root = root / "blobs"
        self.incoming = root / "incoming"
        self.collisions = root / "collisions"
        #: Directories with new names in them that no sync has made last. Many payloads share one sync.
        self._unsynced: set[Path] = set()
        self._lock = threading.Lock()

    def path_of(self, digest: bytes) -> Path:
        """Returns where the payload of an id lies, or would."""
        name = digest.hex()
        return self.root / name[:2] / name

    def stage(self) -> Staged:
        """See `BlobArea.stage`."""
        return _StagedFile(self)

    def open(self, digest: bytes) -> memoryview | None:
        """See `BlobArea.open`."""
        path = self.path_of(digest)
        try:
            with open(path, "rb") as file:
                return _mapped(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(path, error) from error

    def parts(self, digest: bytes) -> Iterator[bytes] | None:
        """See `BlobArea.parts`."""
        path = self.path_of(digest)
        try:
            return _parts(open(path, "rb", buffering=0), path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(path, error) from error

    def confirm(self, digest: bytes) -> None:
        """See `BlobArea.confirm`."""
        self.owe(self.path_of(digest).parent)  # its bytes were synced before they got this name

    def owe(self, directory: Path) -> None:
        """Notes a directory that `settle` is to sync."""
        with self._lock:
            self._unsynced.add(directory)

    def settle(self) -> None:
        """See `BlobArea.settle`."""
        with self._lock:  # held while syncing: who comes second may rely on what the first one took
            while self._unsynced:
                directory = next(iter(self._unsynced))
                with translated(directory):
                    sync_directory(directory)
                self._unsynced.discard(directory)

    def digests(self) -> Iterator[Digest]:
        """See `BlobArea.digests`."""
        if not self.root.exists():
            return
        for folder in list(os.scandir(self.root)):
            for entry in list(os.scandir(folder)) if folder.is_dir() else ():
                with contextlib.suppress(ValueError):  # a file of somebody else
                    yield Digest(bytes.fromhex(entry.name))

    def remove(self, digest: Digest) -> None:
        """See `BlobArea.remove`."""
        path = self.path_of(digest)
        with translated(path), contextlib.suppress(FileNotFoundError):
            path.unlink()

    def clear_incoming(self) -> None:
        """See `BlobArea.clear_incoming`."""
        for entry in list(os.scandir(self.incoming)):
            with translated(self.incoming), contextlib.suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(entry)

    def keep_collision(self, digest: bytes, stored: bytes, offered: bytes) -> str:
        """See `BlobArea.keep_collision`."""
        with translated(self.collisions):
            where = new_name(self.collisions, f"{digest.hex()}-")
            where.mkdir(parents=True)
            (where / "stored").write_bytes(stored)
            (where / "offered").write_bytes(offered)
        return str(where)


class _StagedBytes:
    def __init__(self, area: MemoryBlobs) -> None:
        self._area = area
        self._data = bytearray()

    def write(self, part: bytes | memoryview) -> None:
        self._data += part

    def view(self) -> memoryview:
        return memoryview(bytes(self._data))

    def keep(self, digest: bytes, *, replace: bool = False) -> bool:
        if digest in self._area.payloads and not replace:
            return False
        self._area.payloads[digest] = bytes(self._data)
        return True

    def discard(self) -> None:
        self._data = bytearray()


class MemoryBlobs:
    """Payloads in memory."""

    def __init__(self) -> None:
        self.payloads: dict[bytes, bytes] = {}
        self.collisions: list[tuple[bytes, bytes, bytes]] = []

    def stage(self) -> Staged:
        """See `BlobArea.stage`."""
        return cast(Staged, _StagedBytes(self))

    def open(self, digest: bytes) -> memoryview | None:
        """See `BlobArea.open`."""
        payload = self.payloads.get(digest)
        return None if payload is None else memoryview(payload)

    def parts(self, digest: bytes) -> Iterator[bytes] | None:
        """See `BlobArea.parts`."""
        payload = self.payloads.get(digest)
        return None if payload is None else iter([payload])

    def confirm(self, digest: bytes) -> None:
        """See `BlobArea.confirm`."""

    def settle(self) -> None:
        """See `BlobArea.settle`."""

    def digests(self) -> Iterator[Digest]:
        """See `BlobArea.digests`."""
        return iter([Digest(digest) for digest in self.payloads])

    def remove(self, digest: Digest) -> None:
        """See `BlobArea.remove`."""
        self.payloads.pop(digest, None)

    def clear_incoming(self) -> None:
        """See `BlobArea.clear_incoming`."""

    def keep_collision(self, digest: bytes, stored: bytes, offered: bytes) -> str:
        """See `BlobArea.keep_collision`."""
        self.collisions.append((digest, stored, offered))
        return "memory"
