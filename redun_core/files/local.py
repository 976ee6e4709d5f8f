"""Files of this machine."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import struct
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

import xxhash

from redun.core.errors import TaskError
from redun.core.files.atomic import AtomicWriter, make_parent
from redun.core.files.cloning import clone
from redun.core.files.globs import find, joined
from redun.core.files.memo import STATS, size_and_time

_SCHEME: Final = "file://"
#: What a file is compared by whose path says all.
_ALWAYS: Final = b""


class LocalFilesystem:
    """The filesystem that needs no library. Paths below the working directory are kept relative to it."""

    name = "local"

    def canonical(self, path: str) -> str:
        """Returns the one spelling of a path: relative to the working directory where it lies below, else absolute.

        Raises:
            TaskError: if there can be no such path.
        """
        if path[:1] not in ("", "/", ".") and path[-1] != "/" and not ("/." in path or "//" in path or "\0" in path):
            return path  # it is so already; the rest takes some time
        if not path or "\0" in path:
            raise TaskError(f"{path!r} is no path of a file", hint="give the path of a file, such as data/in.csv")
        path = _without_scheme(path)
        here = os.getcwd()
        if ".." in path.split("/"):
            path = _without_parents(path)
        full = os.path.normpath(os.path.join(here, path))
        if full[:2] == "//":  # which means the root, too, on this system
            full = full[1:]
        if full == here:
            return "."
        below = here.rstrip("/") + "/"
        if full.startswith(below):
            return full.removeprefix(below)
        return _by_way_of_links(full, here)

    def state(self, path: str, by: str) -> bytes | None:
        """Returns what a file is compared by, None where it is missing.

        Raises:
            OSError: if there is something that cannot be read, or that is no file.
        """
        if by == "content":
            return STATS.content(path)
        if by == "path":
            return _ALWAYS
        found = size_and_time(path)
        return None if found is None else _stat_state(*found)

    def states(
        self, paths: Sequence[str], by: str, expected: Sequence[bytes | None] | None = None
    ) -> list[bytes | None]:
        """Returns the states of many; where one is known to differ from what is `expected`, the rest is not read.

        Raises:
            OSError: as `state`, for the first one.
        """
        if by == "content":
            return STATS.contents(paths, expected)
        return [self.state(path, by) for path in paths]

    def find(self, base: str, pattern: str, hidden: bool) -> list[str]:
        """Returns the files below a directory that match a pattern, by their paths from there, sorted.

        Raises:
            OSError: if a directory cannot be read.
        """
        return find(base, pattern, hidden)

    def members(
        self, base: str, pattern: str, hidden: bool, by: str, expected: Mapping[str, bytes] | None = None
    ) -> dict[str, bytes]:
        """Returns the files below a directory that match, with their states, in the order of their paths from there.
        Where it is known to differ from what is `expected`, the states of those that were not looked at are empty.

        Raises:
            OSError: if a directory or a file cannot be read.
        """
        names = find(base, pattern, hidden)
        if expected is not None and len(names) != len(expected):
            return dict.fromkeys(names, b"")
        known = None if expected is None else [expected.get(name) for name in names]
        prefix = joined(base, "")
        states = self.states([prefix + name for name in names], by, known)
        # what has gone since the directory was read is no member
        return {name: state for name, state in zip(names, states, strict=True) if state is not None}

    def open(self, path: str, mode: str = "r", encoding: str | None = None) -> IO[Any]:
        """Opens a file. `w` and `x` are atomic: see `AtomicWriter`. `a` and `r+` write in place. Parents are made.

        Raises:
            OSError: if it cannot be opened.
        """
        coding = None if "b" in mode else (encoding or "utf-8")
        if "w" in mode or "x" in mode:
            return AtomicWriter(path, mode, coding)  # type: ignore[return-value]  # it delegates to a real one
        if "a" in mode:
            make_parent(path)
        return open(path, mode, encoding=coding)

    def exists(self, path: str) -> bool:
        """Returns whether there is anything."""
        return os.path.exists(path)

    def is_file(self, path: str) -> bool:
        """Returns whether there is a file."""
        return os.path.isfile(path)

    def is_dir(self, path: str) -> bool:
        """Returns whether there is a directory."""
        return os.path.isdir(path)

    def size(self, path: str) -> int:
        """Returns the size in bytes.

        Raises:
            OSError: if there is no such file.
        """
        return os.path.getsize(path)

    def touch(self, path: str) -> None:
        """Makes an empty file where there is none, and sets its times.

        Raises:
            OSError: if that cannot be.
        """
        make_parent(path)
        with open(path, "ab"):
            os.utime(path)

    def remove(self, path: str) -> None:
        """Deletes a file; nothing happens where there is none.

        Raises:
            OSError: if it cannot be deleted.
        """
        if os.path.isdir(path) and not os.path.islink(path):
            raise IsADirectoryError(errno.EISDIR, "Is a directory: use Dir(...).rmdir()", path)
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)

    def make_dirs(self, path: str) -> None:
        """Makes a directory and those above it, where they are not there.

        Raises:
            OSError: if that cannot be.
        """
        os.makedirs(path, exist_ok=True)

    def remove_dir(self, path: str, recursive: bool) -> None:
        """Deletes a directory, with all that is in it or only if it is empty; nothing happens where there is none.

        Raises:
            OSError: if it cannot be deleted.
        """
        with contextlib.suppress(FileNotFoundError):
            if recursive and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.rmdir(path)

    def copy(self, source: str, target: str) -> None:
        """Copies a file's content and permissions; the target changes at once or not at all.

        Raises:
            OSError: if it cannot be read or written.
        """
        with open(source, "rb") as read, AtomicWriter(target, "wb", None) as written:
            clone(read.fileno(), written.fileno())
            os.fchmod(written.fileno(), os.fstat(read.fileno()).st_mode & 0o7777)


LOCAL: Final = LocalFilesystem()
#: Times of more than 64 bits are those of files that say to be of the year 2262 or later.
_BITS: Final = 2**64 - 1


def _stat_state(size: int, changed: int) -> bytes:
    return xxhash.xxh3_128_digest(struct.pack("<QQ", size & _BITS, changed & _BITS))


def _without_scheme(path: str) -> str:
    if not path.startswith(_SCHEME):
        return path
    rest = path.removeprefix(_SCHEME)
    if not rest.startswith("/"):
        rest = rest.removeprefix("localhost")
    if not rest.startswith("/"):
        told = f"{path!r} names a machine, or a path that does not begin at the root"
        raise TaskError(told, hint="write file:///whole/path, or the path without file://")
    return rest


def _without_parents(path: str) -> str:
    """Resolves `..` as the system does: behind a link to a directory it is that directory's parent."""
    parts = path.split("/")
    last = len(parts) - parts[::-1].index("..")
    head = "/".join(parts[:last])
    plain = os.path.abspath(head)
    if os.path.realpath(plain) != os.path.realpath(head):
        plain = os.path.realpath(head)
    return os.path.join(plain, *parts[last:])


def _by_way_of_links(full: str, here: str) -> str:
    """Shortens an absolute path that names the working directory by way of links, as the shell does in PWD."""
    shown = os.environ.get("PWD", "").rstrip("/")
    if shown and (full == shown or full.startswith(shown + "/")):
        with contextlib.suppress(OSError):
            if os.path.samefile(shown, here):
                return full[len(shown) + 1 :] or "."
    return full
