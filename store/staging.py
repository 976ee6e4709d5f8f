"""A store that is made beside the place where it will be, and put there whole.

It lies in `<store>.<what>`, without a FORMAT file until it is complete, so that half of one is none. What a process
that was killed has left of one is removed by the next that makes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from redun.core.errors import StoreError, StoreLocked
from redun.store import locks, meta, soundness
from redun.store.filesystem import make_directory, refuse_network, sync_directory, translated
from redun.store.lmdb_backend import LmdbBackend

_LOCK: Final = "session.lock"
#: Calls of the system that exchange two names, by platform: name, arguments before and between and after the paths.
_AT_WORKING_DIRECTORY: Final = -100
_EXCHANGE: Final = 2
#: What they answer where the file system cannot.
_CANNOT: Final = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV)


class Staging:
    """A store in the making. It ends with `place` or with `discard`.

    Args:
        target: where it is to be.
        what: the end of its name until then.
        fmt: its FORMAT.

    Attributes:
        path: where it is.
        backend: its tables.

    Raises:
        StoreLocked: if another process makes one there.
        StoreFull, StoreReadOnly, StoreError: if it cannot be made.
    """

    def __init__(self, target: Path, what: str, fmt: meta.Format) -> None:
        self.target = target
        self.path = beside(target, what)
        self.format = fmt
        refuse_network(target)
        #: Directories above that are made for it, the lowest first.
        self._above = [place for place in self.path.parents if not place.exists()]
        with translated(self.path):
            make_directory(self.path)
        held = locks.take(self.path / _LOCK)
        if held is None:
            raise StoreLocked(f"another process is at work in {self.path}", path=str(self.path), hint="let it end")
        self._lock = held
        try:
            self._clear()
            meta.make_directories(self.path)
            self.backend = LmdbBackend(self.path)
            meta.write_identity(self.backend, fmt)
        except BaseException:
            self.discard()
            raise

    def _clear(self) -> None:
        """Removes what is left of an earlier one, the FORMAT first."""
        with translated(self.path):
            (self.path / "FORMAT").unlink(missing_ok=True)
            for entry in list(os.scandir(self.path)):
                if entry.name == _LOCK:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)

    def complete(self) -> None:
        """Makes a whole store of it, that survives a loss of power where it is. Nothing can be added afterwards."""
        self.backend.sync()
        self.backend.close()
        soundness.record(self.path, soundness.last_transaction(self.path))
        meta.write_format(self.path, self.format)

    def place(self) -> None:
        """Puts it where it is to be, in one step. What was there is afterwards where this was made."""
        with translated(self.target):
            if meta.is_store(self.target):
                exchange(self.path, self.target)
            else:
                os.rename(self.path, self.target)
            sync_directory(self.target.parent)
        self._lock.release()

    def discard(self) -> None:
        """Removes it. Harmless after `place`."""
        if not self._lock.is_held:
            return
        backend = getattr(self, "backend", None)
        if backend is not None:
            backend.close()
        remove(self.path)
        with contextlib.suppress(OSError):  # somebody has put something there
            for place in self._above:
                place.rmdir()
        self._lock.release()


def beside(target: Path, what: str) -> Path:
    """Returns the place beside a store of that name."""
    return target.with_name(f"{target.name}.{what}")


def remove(path: Path) -> None:
    """Removes the directory of a store, the FORMAT first, so that half of it is none.

    Raises:
        StoreReadOnly, StoreError: if it cannot be removed.
    """
    with translated(path):
        (path / "FORMAT").unlink(missing_ok=True)
        shutil.rmtree(path)


def exchange(one: Path, other: Path) -> None:
    """Exchanges what two paths name, so that at no moment one of them names nothing.

    Raises:
        OSError: as any renaming.
        StoreError: where the system cannot do that.
    """
    # Python has no name for it.
    library = ctypes.CDLL(None, use_errno=True)
    call = getattr(library, "renamex_np" if sys.platform == "darwin" else "renameat2", None)
    if call is None:
        raise _cannot(other)
    names = [ctypes.c_char_p(os.fsencode(path)) for path in (one, other)]
    if sys.platform == "darwin":
        failed = call(*names, ctypes.c_uint(_EXCHANGE))
    else:
        here = ctypes.c_int(_AT_WORKING_DIRECTORY)
        failed = call(here, names[0], here, names[1], ctypes.c_uint(_EXCHANGE))
    if failed:
        code = ctypes.get_errno()
        if code in _CANNOT:
            raise _cannot(other)
        raise OSError(code, os.strerror(code), str(other))


def _cannot(path: Path) -> StoreError:
    return StoreError(
        f"this file system cannot exchange two directories in one step, so {path} stays as it is",
        path=str(path),
        hint="move the project to another disk for that",
    )
