"""What local files hold, known without reading what has not changed: a hash is remembered by size, times and inode.

The content of a file is its SHA-256, whatever the store's object format: a file can be written by anyone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

#: (size, mtime_ns, ctime_ns, inode, sha256)
StatRow = tuple[int, int, int, int, bytes]
Seen = tuple[int, int, int, int]
#: Bits of a mode that say what kind of thing it is.
_KIND: Final = 0o170000
_CHUNK: Final = 1 << 20
#: A file changed within this time (ns) could change again without its times moving, so its hash is not remembered.
_SETTLED: Final = 50_000_000
#: A file that says to be from the year 2200 or later is not remembered: its time may not fit in a row.
_FAR: Final = 173 * 365 * 86_400 * 10**9
#: How often a file that changes while it is read is read again.
_TRIES: Final = 5
#: Files are read in threads where there are this many, or bytes: starting threads takes longer than reading a few.
_MANY_FILES: Final = 256
_MANY_BYTES: Final = 16 << 20
_THREADS: Final = 4


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

    def prefetch(self, paths: Sequence[str]) -> None:
        """Reads what is remembered of many files at once."""
        here = os.getcwd()
        self._prefetch([from_root(path, here) for path in paths])

    def _prefetch(self, full_paths: list[str]) -> None:
        many = self.backing_many  # another thread may take it away
        rows = self._rows
        if many is not None:
            unknown = [path for path in full_paths if path not in rows]
            for path, row in zip(unknown, many(unknown) if unknown else [], strict=True):
                if row is not None:
                    rows[path] = row

    def learn(self, rows: dict[str, StatRow]) -> None:
        """Takes rows that another process has made."""
        self._rows.update(rows)
        self.fresh.update(rows)

    def remembered(self, url: str, seen: Seen) -> bytes | None:
        """Returns the hash of what is not a local file, if it was remembered of the state that is seen now."""
        row = self._rows.get(url)
        backing = self.backing  # another thread may take it away
        if row is None and backing is not None:
            row = backing(url)
            if row is not None:
                self._rows[url] = row
        return row[4] if row is not None and row[:4] == seen else None

    def remember(self, url: str, row: StatRow) -> None:
        """Keeps the hash of what is not a local file, with what its state is known by."""
        self._rows[url] = self.fresh[url] = row

    def content(self, path: str) -> bytes | None:
        """Returns the SHA-256 of the file's content, or None where there is no file. The path is as `File` keeps it.

        Raises:
            OSError: if there is something that cannot be read, or that is no file.
        """
        full = from_root(path, os.getcwd())
        seen = _seen(path)
        if seen is None:
            return None
        row = self._rows.get(full)
        backing = self.backing  # another thread may take it away
        if row is None and backing is not None:
            row = backing(full)
            if row is not None:
                self._rows[full] = row
        if row is not None and row[:4] == seen:
            return row[4]
        return self._keep(full, _read_row(path))

    def contents(self, paths: Sequence[str], expected: Sequence[bytes | None] | None = None) -> list[bytes | None]:
        """Returns what `content` does for each path; files to be read are read in threads where that pays.

        Args:
            paths: as `File` keeps them.
            expected: what the caller hopes for. Where what is remembered shows that it is not so, nothing is read, and
                what would have been is empty.

        Raises:
            OSError: as `content`, for the first path.
        """
        here = os.getcwd()
        full_paths = [path if path[:1] == "/" else f"{here}/{path}" for path in paths]
        self._prefetch(full_paths)
        rows, look = self._rows, os.stat
        found: list[bytes | None] = []
        unread: list[int] = []
        size = 0
        # what `content` does, but written out: there may be 100,000
        for path, full in zip(paths, full_paths, strict=True):
            try:
                status = look(path)
            except (FileNotFoundError, NotADirectoryError):
                found.append(None)
                continue
            if status.st_mode & _KIND != stat.S_IFREG:
                raise _no_file(status.st_mode, path)
            row = rows.get(full)
            if (
                row is not None
                and row[1] == status.st_mtime_ns
                and row[2] == status.st_ctime_ns
                and row[0] == status.st_size
                and row[3] == status.st_ino
            ):
                found.append(row[4])
            else:
                unread.append(len(found))
                size += status.st_size
                found.append(b"")
        if not unread or (expected is not None and _differ(found, expected)):
            return found
        unread_paths = [paths[place] for place in unread]
        in_threads = len(unread) >= _MANY_FILES or (size >= _MANY_BYTES and len(unread) > 1)
        for place, row in zip(unread, _read_rows(unread_paths, in_threads), strict=True):
            found[place] = self._keep(full_paths[place], row)
        return found

    def _keep(self, full: str, row: StatRow | None) -> bytes | None:
        if row is None:
            return None
        now = time.time_ns()
        if now - row[2] > _SETTLED and _SETTLED < abs(now - row[1]) < _FAR:
            self._rows[full] = self.fresh[full] = row
        return row[4]


def from_root(path: str, here: str) -> str:
    """Returns the path from the root. `os.path.abspath` costs as much as a `stat`; these paths are normal already."""
    return path if path[:1] == "/" else f"{here}/{path}"


def size_and_time(path: str) -> tuple[int, int] | None:
    """Returns size and time of the last change (ns) of a file, or None where there is none.

    Raises:
        OSError: if that cannot be known, or there is something that is no file.
    """
    seen = _seen(path)
    return None if seen is None else seen[:2]


def _seen(path: str) -> Seen | None:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _status(found, path)


def _status(found: os.stat_result, path: str) -> Seen:
    if not stat.S_ISREG(found.st_mode):
        raise _no_file(found.st_mode, path)
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _no_file(mode: int, path: str) -> OSError:
    if stat.S_ISDIR(mode):
        return IsADirectoryError(errno.EISDIR, "Is a directory, where a file was meant: use Dir", path)
    kind = "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
    return OSError(errno.EINVAL, f"Is a {kind}, which has no content of its own: write it to a file first", path)


def _differ(found: Sequence[bytes | None], expected: Sequence[bytes | None]) -> bool:
    return any(one != other for one, other in zip(found, expected, strict=True) if one != b"")


def _read_rows(paths: Sequence[str], in_threads: bool) -> Iterable[StatRow | None]:
    if not in_threads:
        return map(_read_row, paths)
    from concurrent.futures import ThreadPoolExecutor  # most runs read few files

    with ThreadPoolExecutor(min(_THREADS, 2 * (os.cpu_count() or 1)), "redun-files") as pool:
        step = max(1, min(512, len(paths) // 16))
        slices = [paths[start : start + step] for start in range(0, len(paths), step)]
        return [row for rows in pool.map(lambda part: [_read_row(path) for path in part], slices) for row in rows]


def _read_row(path: str) -> StatRow | None:
    """Reads a file that stays the same meanwhile, or gives up; None where there is none any more."""
    import hashlib  # it loads OpenSSL, which takes 3 ms of every start

    for _ in range(_TRIES):
        try:
            # a pipe that has taken the file's place must not make us wait for a writer
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            before = _status(os.fstat(handle), path)
            hasher = hashlib.sha256()
            left = before[0]
            while left > 0 and (chunk := os.read(handle, min(left, _CHUNK))):
                hasher.update(chunk)
                left -= len(chunk)
            if _status(os.fstat(handle), path) == before:
                return (*before, hasher.digest())
        except OSError as error:
            raise error if error.filename is not None else OSError(error.errno, error.strerror, path) from None
        finally:
            os.close(handle)
    raise OSError(errno.EBUSY, "Changed each time it was read: wait until what writes it has finished", path)


STATS: Final = StatMemo()
