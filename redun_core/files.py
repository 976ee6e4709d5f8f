"""Files as values: a path and the content that it had. A file value is valid while the file still has that content.

The content is its SHA-256, whatever the store's object format: a file can be written by anyone, and an unchanged file
costs one `stat`, because the hash of a file is remembered by its size, times and inode.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO, Any, Final, Self

from redun.core import codes
from redun.core.decoding import READERS, Decoder
from redun.core.errors import TaskError
from redun.core.values import HANDLERS, Encoder

#: (size, mtime_ns, ctime_ns, inode, sha256)
StatRow = tuple[int, int, int, int, bytes]
_CHUNK: Final = 1 << 20
#: A file changed within this time (ns) could change again without its times moving, so its hash is not remembered.
_SETTLED: Final = 50_000_000


class StatMemo:
    """Hashes of file contents by path, remembered while size, times and inode stay the same.

    `backing` reads rows remembered by earlier processes; `fresh` are those to hand to the next one.
    """

    def __init__(self) -> None:
        self._rows: dict[str, StatRow] = {}
        self.fresh: dict[str, StatRow] = {}
        self.backing: Callable[[str], StatRow | None] | None = None
        self.backing_many: Callable[[list[str]], list[StatRow | None]] | None = None

    @contextlib.contextmanager
    def backed_by(
        self, read: Callable[[str], StatRow | None], many: Callable[[list[str]], list[StatRow | None]]
    ) -> Iterator[None]:
        """Makes `read` the backing meanwhile; where several runs go on at once, that of the last one serves all."""
        self.backing = read
        self.backing_many = many
        try:
            yield
        finally:
            if self.backing == read:
                self.backing = self.backing_many = None

    def prefetch(self, paths: list[str]) -> None:
        """Reads what is remembered of many files at once."""
        if self.backing_many is not None:
            here = os.getcwd()
            full = [path for path in [_full(path, here) for path in paths] if path not in self._rows]
            for path, row in zip(full, self.backing_many(full), strict=True):
                if row is not None:
                    self._rows[path] = row

    def learn(self, rows: dict[str, StatRow]) -> None:
        """Takes rows that another process has made."""
        self._rows.update(rows)
        self.fresh.update(rows)

    def content(self, path: str) -> bytes | None:
        """Returns the SHA-256 of the file's content, or None where there is no file. The path is as `File` keeps it.

        Raises:
            OSError: if there is one that cannot be read.
        """
        full = _full(path, os.getcwd())
        try:
            stat = os.stat(full)
        except (FileNotFoundError, NotADirectoryError):
            return None
        seen = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        row = self._rows.get(full)
        backing = self.backing  # another thread may take it away
        if row is None and backing is not None:
            row = backing(full)
        if row is not None and row[:4] == seen:
            self._rows[full] = row
            return row[4]
        digest = _hash_file(full)
        if digest is not None and time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED:
            self._rows[full] = self.fresh[full] = (*seen, digest)
        return digest


def _full(path: str, here: str) -> str:
    """Returns the path from the root. `os.path.abspath` costs as much as a `stat`; these paths are normal already."""
    return path if path[:1] == "/" else f"{here}/{path}"


def _hash_file(path: str) -> bytes | None:
    import hashlib  # it loads OpenSSL, which takes 3 ms of every start

    hasher = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as stream:
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)
    except FileNotFoundError:
        return None
    return hasher.digest()


STATS: Final = StatMemo()

_UNREAD: Final = b"unread"


class File:
    """A file on this machine, as an argument or result of a task.

    As an argument its content is part of the cache key; as a result it makes its task run again when it was changed or
    deleted. Paths below the working directory are kept relative to it, so a project may move.
    """

    __slots__ = ("_content", "path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = _canonical(os.fspath(path))
        self._content: bytes | None = _UNREAD

    def __repr__(self) -> str:
        content = self._content
        if content is _UNREAD:
            return f"File(path={self.path})"
        return f"File(path={self.path}, hash={'missing' if content is None else content.hex()[:8]})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, File) and other.path == self.path and other.hash == self.hash

    def __hash__(self) -> int:
        return hash(self.path)

    def __fspath__(self) -> str:
        return self.path

    @property
    def hash(self) -> str:
        """The SHA-256 of the content in hexadecimal, empty where the file is missing; read once per object."""
        return (self.content() or b"").hex()

    def content(self) -> bytes | None:
        """Returns the SHA-256 of the content that this value stands for; None stands for a missing file."""
        if self._content is _UNREAD:
            self._content = STATS.content(self.path)
        return self._content

    def refresh(self) -> None:
        """Makes this value stand for the file as it is now."""
        self._content = _UNREAD

    update_hash = refresh

    def is_valid(self) -> bool:
        """Returns whether the file still has the content that this value stands for."""
        try:
            return STATS.content(self.path) == self.content()
        except OSError:
            return False

    def describe(self) -> str:
        """Returns the path."""
        return self.path

    def exists(self) -> bool:
        """Returns whether there is a file at the path."""
        return os.path.isfile(self.path)

    def size(self) -> int:
        """Returns the size in bytes.

        Raises:
            FileNotFoundError: if there is no such file.
        """
        return os.path.getsize(self.path)

    def basename(self) -> str:
        """Returns the last part of the path."""
        return os.path.basename(self.path)

    def open(self, mode: str = "r", encoding: str | None = None) -> IO[Any]:
        """Opens the file. Writing goes to a temporary file that takes the name when it is closed without an error, so
        that a half-written file is never taken for a good one; parent directories are made.

        Raises:
            OSError: if it cannot be opened.
        """
        if "w" in mode:
            self.update_hash()
            return _AtomicWriter(self, mode, encoding)  # type: ignore[return-value]  # it delegates to a real one
        if "a" in mode or "+" in mode or "x" in mode:
            self.update_hash()
            _make_parent(self.path)
        return open(self.path, mode, encoding=_encoding(mode, encoding))

    def read(self, mode: str = "r", encoding: str | None = None) -> Any:
        """Returns the whole content, as text or (`mode="rb"`) bytes.

        Raises:
            OSError: if it cannot be read.
        """
        with self.open(mode, encoding) as stream:
            return stream.read()

    def readlines(self, mode: str = "r") -> list[Any]:
        """Returns the lines with their ends.

        Raises:
            OSError: if it cannot be read.
        """
        with self.open(mode) as stream:
            return stream.readlines()

    def write(self, data: str | bytes, mode: str = "w", encoding: str | None = None) -> None:
        """Replaces the content at once: readers see the old or the new.

        Raises:
            OSError: if it cannot be written.
        """
        if isinstance(data, bytes) and "b" not in mode:
            mode += "b"
        with self.open(mode, encoding) as stream:
            stream.write(data)

    def touch(self) -> None:
        """Makes an empty file where there is none, and sets its times."""
        _make_parent(self.path)
        with open(self.path, "ab"):
            os.utime(self.path)
        self.update_hash()

    def remove(self) -> None:
        """Deletes the file; nothing happens where there is none."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path)
        self.update_hash()


class _AtomicWriter:
    """A stream into a temporary file beside the target, renamed over it when closed in good order."""

    def __init__(self, file: File, mode: str, encoding: str | None) -> None:
        self._file = file
        self._target = os.path.realpath(file.path)  # a link goes on naming the file that is written
        _make_parent(self._target)
        directory, name = os.path.split(self._target)
        # not `tempfile`: it costs every start 4 ms, and the name only has to be new
        self._temporary = os.path.join(directory, f".{name[:200]}.{os.urandom(8).hex()}.part")
        try:
            new = mode.replace("w", "x")
            self._stream: IO[Any] = open(self._temporary, new, encoding=_encoding(mode, encoding))  # noqa: SIM115  `close`
            if os.path.exists(self._target):
                os.fchmod(self._stream.fileno(), os.stat(self._target).st_mode & 0o7777)
        except BaseException:
            self._discard()
            raise

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # it was never opened
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __iter__(self) -> Any:
        return iter(self._stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()

    def close(self) -> None:
        """Gives the file its name."""
        if self._stream.closed:
            return
        try:
            self._stream.close()
            os.replace(self._temporary, self._target)
        except BaseException:
            self._discard()
            raise
        self._file.update_hash()

    def _discard(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self._stream.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)

    def __del__(self) -> None:
        if hasattr(self, "_stream") and not self._stream.closed:
            self._discard()


def _encoding(mode: str, encoding: str | None) -> str | None:
    return None if "b" in mode else (encoding or "utf-8")


def _make_parent(path: str) -> None:
    parent = os.path.dirname(path)
    if parent:
        os.makedirs(parent, exist_ok=True)


def _canonical(path: str) -> str:
    if "://" in path and not path.startswith("file://"):
        raise TaskError(f"File({path!r}): only local files so far", hint="pass a local path")
    full = os.path.abspath(path.removeprefix("file://"))
    below = os.getcwd().rstrip("/") + "/"
    return full.removeprefix(below)


def _encode(encoder: Encoder, file: File) -> Any:
    content = file.content()
    encoder.externals.append(file)
    return encoder.ext(codes.FILE, ["File", file.path, content])


def _read(decoder: Decoder, items: Any) -> File:
    _, path, content = items
    file = File.__new__(File)
    file.path = path
    file._content = content
    decoder.externals.append(file)
    return file


HANDLERS[File] = _encode
READERS[codes.FILE] = _read
