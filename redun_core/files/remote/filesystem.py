"""Files elsewhere: on web servers, in object stores, over ssh, wherever a library of fsspec reaches.

What such a file is compared by (its state) is what its server says of the content: a checksum, an ETag, a
generation, a version. A server that knows none of these is asked for the content itself, which is hashed; the hash is
remembered for as long as size and time of change stay, where the server tells both.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import IO, Any, Final, TypeVar

from redun.core.errors import RemoteFileError
from redun.core.files.globs import joined
from redun.core.files.memo import STATS
from redun.core.files.remote.connections import Place, attempt, library_of, path_of
from redun.core.files.remote.patterns import depth_of, matcher
from redun.core.files.remote.reading import RemoteReader, reading
from redun.core.files.remote.urls import WEB, canonical, scheme_of, without_secrets
from redun.core.files.remote.validators import state_of, validator_of
from redun.core.files.remote.writing import RemoteWriter, put

T = TypeVar("T")
R = TypeVar("R")

_THREADS: Final = 16
#: ssh servers turn away those who knock while ten others do.
_CONNECTIONS: Final = 4
_CHUNK: Final = 4 << 20
#: Stores without directories: where nothing lies there is nothing to make or to remove.
_FLAT: Final = frozenset({"s3", "gs", "az", "abfs", "abfss", "oss", "oci"})
#: Parts of names that no path has: stores take any key.
_ODD: Final = frozenset(("", ".", ".."))
_ALWAYS: Final = b""


class FsspecFilesystem:
    """The filesystem of a scheme. It keeps nothing: connections are those of the process that it is used in.

    Raises:
        TaskError: if there is no library for the scheme, or it is not installed.
    """

    def __init__(self, scheme: str, path: str = "") -> None:
        self.name = scheme_of(f"{scheme}://")
        library = library_of(self.name, path or f"{scheme}://...")
        #: Requests that are made side by side, each by a connection of its own where these cannot be shared.
        self.parallel: int = _THREADS if library.async_impl else _CONNECTIONS

    def canonical(self, path: str) -> str:
        """Returns the one spelling of a URL.

        Raises:
            TaskError: if a secret stands in it, or a character that has no place there.
        """
        return canonical(path)

    # -- states -------------------------------------------------------------------------------------------------------

    def state(self, path: str, by: str) -> bytes | None:
        """Returns what a file is compared by, None where it is missing.

        Raises:
            OSError: if that is not to be told; a server that cannot be reached is no missing file.
        """
        if by == "path":
            return _ALWAYS
        try:
            info = self._info(path)
        except FileNotFoundError:
            return None
        return self._state(path, info, by)

    def states(
        self, paths: Sequence[str], by: str, expected: Sequence[bytes | None] | None = None
    ) -> list[bytes | None]:
        """Returns the states of many, asked for side by side.

        Raises:
            OSError: as `state`, for the first one.
        """
        return self._side_by_side(lambda path: self.state(path, by), paths)

    def find(self, base: str, pattern: str, hidden: bool) -> list[str]:
        """Returns the files below a directory that match a pattern, by their paths from there, sorted.

        Raises:
            OSError: if the directory cannot be listed.
        """
        return list(self._listed(base, pattern, hidden))

    def members(
        self, base: str, pattern: str, hidden: bool, by: str, expected: Mapping[str, bytes] | None = None
    ) -> dict[str, bytes]:
        """Returns the files below a directory that match, with their states, in the order of their paths from there.
        Where it is known to differ from what is `expected`, the states of those that were not looked at are empty.

        Raises:
            OSError: if the directory cannot be listed, or a state is not to be told.
        """
        found = self._listed(base, pattern, hidden)
        if expected is not None and found.keys() != expected.keys():
            return dict.fromkeys(found, b"")
        if by == "path":
            return dict.fromkeys(found, _ALWAYS)

        def state(item: tuple[str, Mapping[str, Any]]) -> bytes | None:
            try:
                return self._state(joined(base, item[0]), item[1], by)
            except FileNotFoundError:  # what has gone since is no member
                return None

        states = self._side_by_side(state, list(found.items()))
        return {name: state for name, state in zip(found, states, strict=True) if state is not None}

    def _side_by_side(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        if len(items) < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(min(self.parallel, len(items)), "redun-remote") as pool:
            futures = [pool.submit(function, item) for item in items]
            try:
                return [future.result() for future in futures]
            except BaseException:  # the others would fail alike, each after its own wait
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _state(self, path: str, info: Mapping[str, Any], by: str) -> bytes:
        if info.get("type") == "directory":
            raise IsADirectoryError(
                errno.EISDIR, "Is a directory, where a file was meant: use Dir", without_secrets(path)
            )
        validator = validator_of(info)
        if validator.strong and self.name != "memory":
            return state_of(validator.strong)
        if by == "stat" and validator.size >= 0 and validator.mtime >= 0:
            return state_of(validator.weak)
        settled = validator.settled and self.name != "memory"
        if settled and (known := STATS.remembered(path, validator.row)) is not None:
            return known
        content = self._hash(path)
        if settled and validator_of(self._info(path)) == validator:
            STATS.remember(path, (*validator.row, content))
        return content

    def _hash(self, path: str) -> bytes:
        def read(place: Place) -> bytes:
            hasher = sha256()
            with reading(place, path) as stream:
                while chunk := stream.read(_CHUNK):
                    hasher.update(chunk)
            return hasher.digest()

        return attempt(path, "read", read)

    def _info(self, path: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = attempt(path, "look at", lambda place: place.fs.info(place.path))
        return found

    def _listed(self, base: str, pattern: str, hidden: bool) -> dict[str, Mapping[str, Any]]:
        """The files below a directory that match, by their paths from there, with what the listing says of each."""
        if self.name in WEB:
            raise RemoteFileError(
                f"cannot list {without_secrets(base)}: web servers tell of files, not of directories",
                url=without_secrets(base),
                hint="name the files one by one",
            )
        depth = depth_of(pattern)

        def listed(place: Place) -> tuple[str, dict[str, Any]]:
            return place.path, place.fs.find(place.path, maxdepth=depth, detail=True)

        try:
            top, infos = attempt(base, "list", listed)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        prefix = f"{top.rstrip('/')}/"
        matches = matcher(pattern, hidden)
        found = {
            name.removeprefix(prefix): info
            for name, info in infos.items()
            if name.startswith(prefix) and info.get("type") != "directory"
        }
        names = [name for name in sorted(found) if matches(name)]
        for name in names:
            if _ODD.intersection(name.split("/")):
                told = "An object whose name is no path: leave it out by the pattern, or rename it"
                raise OSError(errno.EINVAL, told, f"{without_secrets(base).rstrip('/')}/{name}")
        return {name: found[name] for name in names}

    # -- contents -----------------------------------------------------------------------------------------------------

    def open(self, path: str, mode: str = "r", encoding: str | None = None) -> IO[Any]:
        """Opens a file. What is written is gathered on this machine, and sent when the stream is closed in good order:
        a body that fails leaves what was there before. To append is to write all of it anew.

        Raises:
            OSError: if it cannot be opened.
        """
        if any(letter in mode for letter in "wax+"):
            return RemoteWriter(self, path, mode, encoding)  # type: ignore[return-value]  # it delegates to a real one
        return RemoteReader(path).opened(mode, encoding)

    def upload(self, path: str, source: str, told: Callable[[int], None] | None = None) -> None:
        """Makes a local file the content of `path`; that changes at once or not at all.

        Args:
            told: is told now and then how many bytes are sent so far.

        Raises:
            OSError: if it cannot be written.
        """
        if self.name in WEB:
            shown = without_secrets(path)
            raise OSError(errno.EROFS, "Files of web servers can be read, not written", shown)
        attempt(path, "write", lambda place: put(place, self.name, source, told))

    def download(self, path: str, write: Callable[[bytes], Any]) -> None:
        """Hands the content on, piece by piece.

        Raises:
            OSError: if it cannot be read.
        """
        with self.open(path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                write(chunk)

    def exists(self, path: str) -> bool:
        """Returns whether there is anything.

        Raises:
            OSError: if that is not to be told.
        """
        return self._kind(path) != ""

    def is_file(self, path: str) -> bool:
        """Returns whether there is a file.

        Raises:
            OSError: if that is not to be told.
        """
        return self._kind(path) not in ("", "directory")

    def is_dir(self, path: str) -> bool:
        """Returns whether there is a directory.

        Raises:
            OSError: if that is not to be told.
        """
        return self.name not in WEB and self._kind(path) == "directory"

    def _kind(self, path: str) -> str:
        try:
            return str(self._info(path).get("type", "file"))
        except FileNotFoundError:
            return ""

    def size(self, path: str) -> int:
        """Returns the size in bytes. Where the server does not tell it, the file is read.

        Raises:
            OSError: if there is no such file.
        """
        size = self._info(path).get("size")
        if isinstance(size, int):
            return size
        sizes: list[int] = []
        self.download(path, lambda chunk: sizes.append(len(chunk)))
        return sum(sizes)

    def touch(self, path: str) -> None:
        """Makes an empty file where there is none; times of files elsewhere are not for us to set.

        Raises:
            OSError: if that cannot be.
        """
        if not self.exists(path):
            with self.open(path, "wb"):
                pass

    def remove(self, path: str) -> None:
        """Deletes a file; nothing happens where there is none.

        Raises:
            OSError: if it cannot be deleted.
        """
        kind = self._kind(path)
        if kind == "directory":
            raise IsADirectoryError(errno.EISDIR, "Is a directory: use Dir(...).rmdir()", without_secrets(path))
        if kind:
            attempt(path, "delete", _ignoring_missing(lambda place: place.fs.rm_file(place.path)))

    def make_dirs(self, path: str) -> None:
        """Makes a directory and those above it, where there are such things.

        Raises:
            OSError: if that cannot be.
        """
        if self.name not in _FLAT and self.name not in WEB:
            attempt(path, "make", lambda place: place.fs.makedirs(place.path, exist_ok=True))

    def remove_dir(self, path: str, recursive: bool) -> None:
        """Deletes a directory, with all that is in it or only if it is empty; nothing happens where there is none.

        Raises:
            OSError: if it cannot be deleted.
        """
        if not self.is_dir(path):
            return
        if recursive:
            attempt(path, "delete", _ignoring_missing(lambda place: place.fs.rm(place.path, recursive=True)))
        elif attempt(path, "list", lambda place: place.fs.ls(place.path, detail=False)):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), without_secrets(path))
        else:
            attempt(path, "delete", _ignoring_missing(lambda place: place.fs.rmdir(place.path)))

    def copy(self, source: str, target: str) -> None:
        """Copies a file to another place of the same filesystem; the target changes at once or not at all.

        Raises:
            OSError: if it cannot be read or written.
        """
        if self.name in _FLAT or self.name == "memory":  # these copy by themselves, and a copy is whole or not there

            def copied(place: Place) -> None:
                place.fs.cp_file(place.path, path_of(target, type(place.fs)))

            attempt(source, f"copy to {without_secrets(target)} from", copied)
            return
        with self.open(target, "wb") as written:
            self.download(source, written.write)


def _ignoring_missing(action: Callable[[Place], Any]) -> Callable[[Place], None]:
    def acted(place: Place) -> None:
        try:
            action(place)
        except FileNotFoundError:
            return

    return acted
