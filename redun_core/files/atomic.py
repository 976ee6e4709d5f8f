"""Writing local files so that a half-written one never has the name.

New content goes to a file without a name, which is given one when the stream is closed in good order; a process that is
killed leaves nothing. Where the filesystem knows no such files, content goes to `.NAME.redun-part` beside the target:
what a killed process left under that name is taken over by the next writer of the target.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO, Any, Final, Self

#: How the names of files under way begin and end. Sets of files pass over them.
PART_END: Final = ".redun-part"
#: The name is cut so that what is put around it fits in the 255 bytes that a name may have.
_NAME_BYTES: Final = 200
#: By this a file without a name can be given one.
_HANDLES: Final = "/proc/self/fd"
#: Seconds after which a name beside a target is nobody's any more.
_LEFT_AFTER: Final = 60
_OF_THE_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})
_NO_NAMELESS: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS})


class AtomicWriter:
    """A stream whose content takes the name of the target when it is closed without an error.

    It writes through links. The permissions of a file that was there are kept, and its owner where that may be set.
    """

    def __init__(self, path: str, mode: str, encoding: str | None) -> None:
        self._target = os.path.realpath(path)  # a link goes on naming the file that is written
        if os.path.isdir(self._target):
            raise IsADirectoryError(errno.EISDIR, "Is a directory, where a file was meant", path)
        self._new = "x" in mode
        if self._new and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        make_parent(self._target)
        self._part: str | None = None
        handle = self._open_nameless()
        try:
            self._stream: IO[Any] = open(handle, mode.replace("x", "w"), encoding=encoding)  # noqa: SIM115  `close`
        except BaseException:
            with contextlib.suppress(OSError):  # `open` may have closed it
                os.close(handle)
            self._unlink()
            raise
        self._like_before()

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # it was never opened
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._tell(error)
            self.discard()

    @property
    def name(self) -> str:
        """The path that the content is to have."""
        return self._target

    def close(self) -> None:
        """Gives the file its name; the second time does nothing.

        Raises:
            OSError: if the content cannot be written or named; then nothing is, and what was there before stays.
        """
        if self._stream.closed:
            return
        try:
            self._stream.flush()
            self._name()
            self._stream.close()
        except BaseException as error:
            self._tell(error)
            self.discard()
            raise

    def discard(self) -> None:
        """Closes the stream and gives nothing a name."""
        with contextlib.suppress(OSError, AttributeError):
            self._stream.close()
        self._unlink()

    def __del__(self) -> None:
        if hasattr(self, "_stream") and not self._stream.closed:
            self.discard()

    def _tell(self, error: BaseException | None) -> None:
        """Says which file an error of the disk is about: the system tells of no path when a write fails."""
        if isinstance(error, OSError) and error.filename is None and error.errno in _OF_THE_DISK:
            error.filename = self._target

    def _open_nameless(self) -> int:
        directory = os.path.dirname(self._target)
        if not os.path.isdir(_HANDLES):
            return self._open_part()
        try:
            return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise OSError(error.errno, error.strerror, self._target) from None
        return self._open_part()

    def _open_part(self) -> int:
        """Opens the part of this target; one with a name of its own where another writer is at work on that."""
        part = _part_name(self._target, "")
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if _is_ours(handle, part):
            os.ftruncate(handle, 0)
        else:
            os.close(handle)
            part = _part_name(self._target, f".{os.urandom(8).hex()}")
            handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._part = part
        return handle

    def _like_before(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            old = os.stat(self._target)
            handle = self._stream.fileno()
            if os.fstat(handle).st_uid != old.st_uid or os.fstat(handle).st_gid != old.st_gid:
                with contextlib.suppress(PermissionError):
                    os.fchown(handle, old.st_uid, old.st_gid)
            os.fchmod(handle, old.st_mode & 0o7777)

    def _name(self) -> None:
        if self._part is None:
            if self._link(self._target):
                return
            if self._new:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self._target)
            self._part = self._linked_part()
        elif self._new:
            os.link(self._part, self._target)
            self._unlink()
            return
        os.replace(self._part, self._target)
        self._part = None

    def _linked_part(self) -> str:
        """Gives the nameless file a name beside the target, which it has for one system call."""
        part = _part_name(self._target, "")
        with contextlib.suppress(FileNotFoundError):
            if time.time() - os.stat(part).st_ctime > _LEFT_AFTER:
                os.unlink(part)  # who made it was killed just then
        if not self._link(part):
            part = _part_name(self._target, f".{os.urandom(8).hex()}")
            self._link(part)
        return part

    def _link(self, name: str) -> bool:
        """Gives the nameless file a name; says whether that was free."""
        # a directory must be passed, or Python would link the link in /proc and not what it leads to
        directory = os.open(os.path.dirname(name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.link(f"{_HANDLES}/{self._stream.fileno()}", os.path.basename(name), dst_dir_fd=directory)
        except FileExistsError:
            return False
        except OSError as error:
            raise OSError(error.errno, error.strerror, name) from None
        finally:
            os.close(directory)
        return True

    def _unlink(self) -> None:
        if self._part is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._part)
            self._part = None


class Written:
    """A stream that tells how it ended: `done` is called with "written", "failed" or "dropped".

    What is dropped unclosed may be half of what was meant, so it is not kept, unless it was written in place.
    """

    def __init__(self, stream: Any, done: Callable[[str], None]) -> None:
        self._stream = stream
        self._done: Callable[[str], None] | None = done
        self._write = stream.write  # it leads to the innermost stream at once: rows are written one by one

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stream)

    def __enter__(self) -> Self:
        self._stream.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._stream.__exit__(kind, error, at)
        finally:
            self._end("written" if kind is None else "failed")

    def write(self, data: Any) -> Any:
        """Writes; returns how much that was.

        Raises:
            OSError: if it cannot be written.
        """
        return self._write(data)

    def close(self) -> None:
        """Closes the stream; its content is kept.

        Raises:
            OSError: if it cannot be written.
        """
        try:
            self._stream.close()
        finally:
            self._end("written")

    def __del__(self) -> None:
        if self.__dict__.get("_done") is not None and not self._stream.closed:
            drop = getattr(self._stream, "discard", None)
            with contextlib.suppress(OSError):
                (drop or self._stream.close)()
            self._end("written" if drop is None else "dropped")

    def _end(self, how: str) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(how)


def _part_name(target: str, more: str) -> str:
    directory, name = os.path.split(target)
    while len(os.fsencode(name)) > _NAME_BYTES:
        name = name[: len(name) // 2]
    return os.path.join(directory, f".{name}{more}{PART_END}")


def _is_ours(handle: int, part: str) -> bool:
    """Locks the file, and says whether it is locked and still has that name."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), os.stat(part))
    except OSError:
        return False


def make_parent(path: str) -> None:
    """Makes the directories above a path.

    Raises:
        OSError: if that cannot be.
    """
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        os.makedirs(parent, exist_ok=True)
