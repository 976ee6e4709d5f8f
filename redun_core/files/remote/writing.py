"""Writing remote files so that a half-written one never has the name: gathered here, sent whole.

A store of objects shows one when all of it has arrived. Where files are those of a disk (ssh, ftp, ...), it is sent
under another name, and renamed.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import posixpath
import tempfile
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self

from redun.core.files.atomic import PART_END
from redun.core.files.remote.connections import Place
from redun.core.files.remote.urls import HOSTED, without_secrets

#: What fits in one message to most servers, which is quicker than a file in parts.
_SMALL: Final = 8 << 20
#: Filesystems with directories, where a file can be seen before it is whole.
RENAMES: Final = HOSTED | {"webdav", "dbfs", "arrow_hdfs"}


class Uploads(Protocol):
    """What a writer needs of a filesystem."""

    def exists(self, path: str) -> bool: ...
    def download(self, path: str, write: Any) -> None: ...
    def upload(self, path: str, source: str) -> None: ...


class RemoteWriter:
    """A stream into a file of this machine, which is sent when the stream is closed without an error.

    That file has no name: of a process that is killed nothing is left.
    """

    def __init__(self, filesystem: Uploads, path: str, mode: str, encoding: str | None) -> None:
        self._filesystem = filesystem
        self._path = path
        self.name = path
        if "x" in mode and filesystem.exists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), without_secrets(path))
        gathered = tempfile.TemporaryFile()  # noqa: SIM115  `close`
        try:
            if "a" in mode or "r" in mode:
                self._fetch(gathered, must="r" in mode)
            if "r" in mode:
                gathered.seek(0)
            self._stream: IO[Any] = gathered if "b" in mode else io.TextIOWrapper(gathered, encoding or "utf-8")
        except BaseException:
            gathered.close()
            raise

    def _fetch(self, gathered: IO[bytes], *, must: bool) -> None:
        try:
            self._filesystem.download(self._path, gathered.write)
        except FileNotFoundError:
            if must:
                raise

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
            self.discard()

    def close(self) -> None:
        """Sends what was written; the second time does nothing.

        Raises:
            OSError: if it cannot be written; then what was there before stays.
        """
        if self._stream.closed:
            return
        try:
            self._stream.flush()
            self._filesystem.upload(self._path, f"/proc/self/fd/{self._stream.fileno()}")
        finally:
            self.discard()

    def discard(self) -> None:
        """Closes the stream and sends nothing."""
        with contextlib.suppress(OSError, AttributeError):
            self._stream.close()

    def __del__(self) -> None:
        if hasattr(self, "_stream") and not self._stream.closed:
            self.discard()


def put(place: Place, scheme: str, source: str, told: Callable[[int], None] | None = None) -> None:
    """Makes a local file the content of a path.

    Args:
        told: is told now and then how many bytes are sent so far.

    Raises:
        Exception: whatever the library raises.
    """
    if scheme in RENAMES:
        _put_and_rename(place, source, _callback(told))
    elif scheme == "memory" or os.path.getsize(source) <= _SMALL:
        with open(source, "rb") as stream:
            place.fs.pipe_file(place.path, stream.read())
    else:
        place.fs.put_file(source, place.path, callback=_callback(told))


def _callback(told: Callable[[int], None] | None) -> Any:
    from fsspec.callbacks import DEFAULT_CALLBACK, Callback

    if told is None:
        return DEFAULT_CALLBACK
    return Callback(hooks={"told": lambda size, value, **_: told(value)})


def _put_and_rename(place: Place, source: str, callback: Any) -> None:
    directory, name = posixpath.split(place.path)
    part = posixpath.join(directory, f".{name[:100]}.{os.urandom(8).hex()}{PART_END}")
    try:
        for again in (True, True, False):
            try:
                place.fs.put_file(source, part, callback=callback)
                break
            except Exception:  # no such directory, perhaps; to look first takes as long as all the rest
                if not again:
                    raise
                with contextlib.suppress(Exception):  # somebody else may be making it
                    place.fs.makedirs(directory, exist_ok=True)
        place.fs.mv(part, place.path)
    except BaseException:
        with contextlib.suppress(Exception):
            place.fs.rm_file(part)
        if place.fs.isdir(place.path):
            raise IsADirectoryError(errno.EISDIR, "Is a directory, where a file was meant", place.path) from None
        raise
