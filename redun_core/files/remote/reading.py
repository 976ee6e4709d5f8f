"""Streams that read remote files: errors name the URL, and a connection is given back when its stream is closed."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from typing import IO, Any, Final

from redun.core.errors import RedunError, RemoteFileError
from redun.core.files.remote.connections import WAITS, Place, lease
from redun.core.files.remote.problems import problem_of
from redun.core.files.remote.urls import WEB, scheme_of

_BUFFER: Final = 1 << 20
_PIECE: Final = 8 << 20


@contextlib.contextmanager
def reading(place: Place, url: str) -> Iterator[Any]:
    """Opens a file of a place for reading bytes."""
    # a web server may not know ranges, and what it sends by pieces may be pieces of several contents; a size that is
    # given keeps fsspec from asking for one
    more = {"block_size": 0, "size": 1} if scheme_of(url) in WEB else {}
    with place.fs.open(place.path, "rb", **more) as stream:
        yield _OverSsh(stream) if scheme_of(url) == "sftp" else stream


class _OverSsh:
    """A file over ssh, of which many pieces are asked for at once: else each waits for the one before."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._size = stream.stat().st_size
        self._at = 0

    def read(self, size: int) -> bytes:
        size = min(size, self._size - self._at)
        if size <= 0:
            return b""
        data = b"".join(self._stream.readv([(self._at, size)]))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at


class RemoteReader(io.RawIOBase):
    """The bytes of a remote file.

    Raises:
        OSError: if it cannot be opened.
        TaskError: if there is no filesystem for the URL.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.name = url
        self._leased = contextlib.ExitStack()
        for wait in (*WAITS, None):
            try:
                self._stream = self._opened()
                return
            except Exception as error:
                if isinstance(error, RedunError):
                    raise
                problem = problem_of(error, url, "open")
                if wait is None or not isinstance(problem, RemoteFileError) or not problem.passing:
                    raise problem from None
            time.sleep(wait)

    def _opened(self) -> Any:
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(lease(self.name))
            stream = stack.enter_context(reading(place, self.name))
            self._leased = stack.pop_all()
        return stream

    def opened(self, mode: str, encoding: str | None) -> IO[Any]:
        """Returns the stream as `open` does for a mode."""
        buffered = io.BufferedReader(self, _BUFFER)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding or "utf-8")

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns whether any place in it can be gone to: not on a web server."""
        return scheme_of(self.name) not in WEB

    def readinto(self, buffer: Any) -> int:
        """Reads what there is room for; 0 at the end.

        Raises:
            OSError: if it cannot be read.
        """
        try:
            data = self._stream.read(len(buffer))
        except Exception as error:  # noqa: BLE001  each library has errors of its own
            with contextlib.suppress(Exception):
                self._leased.__exit__(type(error), error, error.__traceback__)  # nobody else is given this connection
            raise problem_of(error, self.name, "read") from None
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Reads to the end, in large pieces.

        Raises:
            OSError: if it cannot be read.
        """
        pieces = []
        while piece := self.read(_PIECE):
            pieces.append(piece)
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Goes to a place.

        Raises:
            io.UnsupportedOperation: on a web server.
            OSError: if the server cannot tell how long the file is.
        """
        if not self.seekable():
            raise io.UnsupportedOperation(f"{self.name} can only be read in order; copy it first: File.copy_to")
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        """Returns the place."""
        return int(self._stream.tell())

    def close(self) -> None:
        """Gives the connection back."""
        if not self.closed:
            try:
                with contextlib.suppress(Exception):  # nothing is lost where a connection does not end in good order
                    self._leased.close()
            finally:
                super().close()
