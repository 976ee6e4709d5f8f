"""Filesystems by the scheme of a URL: none and `file://` are this machine's, the others are made when one is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Protocol

from redun.core.errors import TaskError
from redun.core.files.local import LOCAL


class Filesystem(Protocol):
    """What a place for files can do. Paths are canonical, and URLs keep their scheme; what cannot be done is an
    OSError. A place that cannot be reached is an OSError too, never a missing file.

    `by` says what files are compared by: "content", "stat" (size and time of change), or "path" (always the same). What
    they are compared by is their *state*: bytes, None for a missing file.
    """

    name: str

    def canonical(self, path: str) -> str: ...
    def state(self, path: str, by: str) -> bytes | None: ...
    def states(
        self, paths: Sequence[str], by: str, expected: Sequence[bytes | None] | None = None
    ) -> list[bytes | None]:
        """Returns the state of each. Where one is known to differ from what is `expected`, others need not be looked
        at, and are empty."""
        ...

    def find(self, base: str, pattern: str, hidden: bool) -> list[str]:
        """Returns the files below a directory that match (`*`, `?`, `[...]`, `**`), by their paths from there, sorted;
        none where there is no such directory."""
        ...

    def members(
        self, base: str, pattern: str, hidden: bool, by: str, expected: Mapping[str, bytes] | None = None
    ) -> dict[str, bytes]:
        """Returns what `find` does, with the state of each, in that order. Where it is known to differ from what is
        `expected`, not all need to be looked at: the states of those that were not are empty."""
        ...

    def open(self, path: str, mode: str = "r", encoding: str | None = None) -> IO[Any]:
        """Opens a file. What is written takes the name when the stream is closed, whole: a `with` block that ends with
        an error, and `discard()` of the stream, leave what was there before. Parent directories are made."""
        ...

    def exists(self, path: str) -> bool: ...
    def is_file(self, path: str) -> bool: ...
    def is_dir(self, path: str) -> bool: ...
    def size(self, path: str) -> int: ...
    def touch(self, path: str) -> None: ...
    def remove(self, path: str) -> None: ...
    def make_dirs(self, path: str) -> None: ...
    def remove_dir(self, path: str, recursive: bool) -> None: ...
    def copy(self, source: str, target: str) -> None: ...


#: Makes the filesystem of a scheme, when it is first needed.
Factory = Callable[[str], Filesystem]

_factories: dict[str, Factory] = {}
_made: dict[str, Filesystem] = {"file": LOCAL}


def register_filesystem(scheme: str, factory: Factory) -> None:
    """Makes `scheme://...` name files of a filesystem, in this process.

    Args:
        scheme: what stands before `://`.
        factory: called with the scheme when a path of it is first used.

    Raises:
        TaskError: if the scheme is that of local files.
    """
    if scheme == "file":
        raise TaskError("file:// is this machine's own", hint="register another scheme")
    _factories[scheme] = factory
    _made.pop(scheme, None)


def filesystem_of(path: str) -> Filesystem:
    """Returns the filesystem that a path or URL belongs to.

    Raises:
        TaskError: if nobody knows the scheme, or what it needs is not installed.
    """
    scheme, found, _ = path.partition("://")
    if found and "::" in scheme:
        raise TaskError(f"{path!r}: one scheme at a time", hint="name the file itself, without what stands before ::")
    if not found or not scheme.replace("+", "").replace("-", "").isalnum():
        return LOCAL
    known = _made.get(scheme)
    if known is None:
        known = _made[scheme] = _make(scheme, path)
    return known


def get_filesystem(proto: str | None = None, url: str | None = None) -> Filesystem:
    """Returns the filesystem of a path or URL, or of a scheme, as redun names them: "local" is this machine's.

    Raises:
        TaskError: if neither is given, nobody knows the scheme, or what it needs is not installed.
    """
    if url is None and proto is None:
        raise TaskError("get_filesystem() is given nothing", hint="give proto='s3' or url='s3://bucket/key'")
    if url is None:
        return LOCAL if proto == "local" else filesystem_of(f"{proto}://")
    return filesystem_of(url)


def get_proto(url: str) -> str:
    """Returns the scheme of a path or URL, "local" where that is this machine's."""
    return "local" if filesystem_of(url) is LOCAL else url.partition("://")[0]


def open_file(url: str, mode: str = "r", encoding: str | None = None) -> IO[Any]:
    """Opens a file of any filesystem, as `File.open` does.

    Raises:
        OSError: if it cannot be opened.
        TaskError: if there can be no such path.
    """
    filesystem = filesystem_of(url)
    return filesystem.open(filesystem.canonical(url), mode, encoding)


def schemes() -> list[str]:
    """Returns the schemes of all filesystems that can be had, if what they need is installed."""
    from redun.core.files.remote.connections import known_schemes  # most runs have local files only

    return sorted({*_factories, *_made, *known_schemes()})


def _make(scheme: str, path: str) -> Filesystem:
    factory = _factories.get(scheme) or _factories.get(scheme.lower())
    if factory is not None:
        return factory(scheme)
    from redun.core.files.remote.filesystem import FsspecFilesystem  # most runs have local files only

    return FsspecFilesystem(scheme, path)
