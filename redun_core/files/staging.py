"""Staging: files here and there. A script reads and writes files at local paths; where they belong is the remote.

A staging value is a pair. What counts of it is the remote, with its content; the local path is where it lies while a
script runs, relative to where that runs.
"""

from __future__ import annotations

import os
import shlex
from typing import Any, ClassVar, Final, Generic, Self, TypeAlias, TypeVar, cast

from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.errors import TaskError
from redun.core.expressions import Expression
from redun.core.files.copying import copy_path, copy_paths, pairs_below
from redun.core.files.file import ContentFile, File, IFile
from redun.core.files.filesystems import filesystem_of
from redun.core.files.local import LOCAL
from redun.core.files.sets import ContentDir, Dir, FileSet, IDir
from redun.core.values import Encoder

F = TypeVar("F", File, Dir)
#: Canonical paths of files, and of what their copies are to be.
Pairs: TypeAlias = list[tuple[str, str]]


class Staging(Generic[F]):
    """A file or directory at a local path, and where it belongs.

    Args:
        local: a path, as it is written: a relative one is relative to where a script runs.
        remote: the file or directory, or its path. May be lazy.

    Raises:
        TaskError: if there can be no such path.
    """

    __slots__ = ("_local", "remote")

    #: The class of both.
    _kind: ClassVar[type[Any]]

    def __init__(self, local: F | str | os.PathLike[str], remote: F | str | os.PathLike[str]) -> None:
        text = os.fsdecode(local)
        if not text or "\0" in text:
            raise TaskError(f"{text!r} is no local path", hint="give a path such as data.txt")
        self._local = text
        is_one = isinstance(remote, (self._kind, Expression))
        self.remote: F = cast(F, remote if is_one else self._kind(_path_of(remote)))

    @property
    def local(self) -> F:
        """The file or directory at the local path, seen from the working directory."""
        return cast(F, self._kind(self._local))

    @property
    def local_path(self) -> str:
        """The local path as it was written."""
        return self._local

    def __repr__(self) -> str:
        return f"{type(self).__name__}(local={self._local!r}, remote={self.remote!r})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._local == other._local and bool(self.remote == other.remote)

    def __hash__(self) -> int:
        return hash((self._local, self.remote))

    # -- copying ------------------------------------------------------------------------------------------------------

    def stage(self) -> F:
        """Copies the remote to the local path, and returns what is there then.

        Raises:
            OSError: if it cannot be copied.
        """
        copy_all(self.pairs_in(""))
        return self.local

    def unstage(self) -> F:
        """Copies what is at the local path to the remote, and returns that.

        Raises:
            OSError: if it cannot be copied.
        """
        copy_all(self._pairs(self._local, self.remote.path))
        self.remote.refresh()
        return self.remote

    def pairs_in(self, directory: str) -> Pairs:
        """Returns what is to be copied to stage it, the local path seen from a directory.

        Raises:
            OSError: if it is a directory that cannot be read.
        """
        return self._pairs(self.remote.path, os.path.join(directory, self._local))

    def _pairs(self, source: str, target: str) -> Pairs:
        raise NotImplementedError

    # -- as text of a shell -------------------------------------------------------------------------------------------

    def render_stage(self, as_mount: bool = False) -> str:
        """Returns a command of a shell that does what `stage` does; empty where there is nothing to copy.

        Raises:
            TaskError: if the remote is not of this machine: then `stage` copies it.
        """
        del as_mount  # nothing is mounted here
        return self._rendered(self.remote.path, self._local)

    def render_unstage(self, as_mount: bool = False) -> str:
        """Returns a command of a shell that does what `unstage` does; empty where there is nothing to copy.

        Raises:
            TaskError: as `render_stage`.
        """
        del as_mount
        return self._rendered(self._local, self.remote.path)

    def _rendered(self, source: str, target: str) -> str:
        for path in (source, target):
            if filesystem_of(path) is not LOCAL:
                raise TaskError(f"no command of a shell copies {path}", hint="stage() and unstage() do")
        if source == target:
            return ""
        parent = os.path.dirname(target)
        made = f"mkdir -p -- {shlex.quote(parent)} && " if parent else ""
        return made + self._command(shlex.quote(source), shlex.quote(target))

    def _command(self, source: str, target: str) -> str:
        return f"cp -- {source} {target}"


class StagingFile(Staging[File]):
    """A file at a local path, and where it belongs."""

    __slots__ = ()
    _kind = File

    def _pairs(self, source: str, target: str) -> Pairs:
        return file_pairs(source, target)


class ContentStagingFile(StagingFile):
    """A `StagingFile` of a `ContentFile`."""

    __slots__ = ()
    _kind = ContentFile


class IStagingFile(StagingFile):
    """A `StagingFile` of an `IFile`."""

    __slots__ = ()
    _kind = IFile


class StagingDir(Staging[Dir]):
    """A directory at a local path, and where it belongs."""

    __slots__ = ()
    _kind = Dir

    def _pairs(self, source: str, target: str) -> Pairs:
        return tree_pairs(source, target, hidden=self.remote.hidden)

    def _command(self, source: str, target: str) -> str:
        return f"mkdir -p -- {target} && cp -r -- {source}/. {target}"


class ContentStagingDir(StagingDir):
    """A `StagingDir` of a `ContentDir`."""

    __slots__ = ()
    _kind = ContentDir


class IStagingDir(StagingDir):
    """A `StagingDir` of an `IDir`."""

    __slots__ = ()
    _kind = IDir


def staged(remote: Any, local: str | os.PathLike[str] | None = None) -> Any:
    """Returns a file or directory with a local path; by default its name alone.

    Raises:
        TaskError: if it has no name.
    """
    name = os.path.basename(remote.path.rstrip("/")) if local is None else local
    return _STAGED[type(remote)](name, remote)


_STAGED: Final[dict[type[Any], type[Staging[Any]]]] = {
    File: StagingFile,
    ContentFile: ContentStagingFile,
    IFile: IStagingFile,
    Dir: StagingDir,
    ContentDir: ContentStagingDir,
    IDir: IStagingDir,
}


def _path_of(given: Any) -> str:
    try:
        return os.fsdecode(given)
    except TypeError:
        raise TaskError(f"a {type(given).__name__} is no path", hint="give a path, or a File or Dir") from None


def file_pairs(source: str, target: str) -> Pairs:
    """Returns what is to be copied for a file, as `copy_all` takes it: nothing where it lies there already."""
    pair = filesystem_of(source).canonical(source), filesystem_of(target).canonical(target)
    return [] if pair[0] == pair[1] else [pair]


def tree_pairs(source: str, target: str, *, hidden: bool = False) -> Pairs:
    """Returns what is to be copied for a directory, and makes that of the copies; what is in it besides them stays.

    Raises:
        OSError: if there is no such directory, or it cannot be read.
        TaskError: if one lies in the other.
    """
    here, there = filesystem_of(source), filesystem_of(target)
    source, target = here.canonical(source), there.canonical(target)
    if source == target:
        return []
    pairs = pairs_below(source, target, hidden)
    there.make_dirs(target)
    return pairs


def copy_all(pairs: Pairs) -> None:
    """Copies files, also from one filesystem to another, side by side where there are several. Each target is replaced
    at once.

    Raises:
        OSError: for the first one that cannot be copied.
    """
    if len(pairs) == 1:
        copy_path(*pairs[0])
    elif pairs:
        copy_paths(pairs)


# -- outputs ----------------------------------------------------------------------------------------------------------


class Output:
    """What a script is to make: what kind of value it will be and where, whatever is there now.

    Attributes:
        kind: class of the value, `File` for standard output.
        by, hidden: as the value will have them.
        path: where it belongs; `-` is standard output.
        local: where the script writes it, None where it writes it in its place.
    """

    __slots__ = ("by", "hidden", "kind", "local", "path")

    def __init__(self, kind: type[Any], path: str, local: str | None, by: str, hidden: bool = False) -> None:
        self.kind = kind
        self.path = path
        self.local = local
        self.by = by
        self.hidden = hidden

    @classmethod
    def of(cls, value: Any) -> Self | None:
        """Returns what a declared output is to be; None for what is no file."""
        local = value.local_path if isinstance(value, Staging) else None
        remote = value.remote if isinstance(value, Staging) else value
        if isinstance(remote, FileSet):
            return cls(type(remote), remote.pattern, local, remote.by, remote.hidden)
        return cls(type(remote), remote.path, local, remote.by) if isinstance(remote, File) else None

    def value(self) -> Any:
        """Returns the file or directory as it is now."""
        if issubclass(self.kind, FileSet):
            return self.kind.known(self.path, self.hidden, self.by, None)
        return self.kind.unread(self.path, self.by)

    def __repr__(self) -> str:
        where = "" if self.local is None else f", local={self.local!r}"
        return f"{self.kind.__name__}(path={self.path}{where})"


_OUTPUTS: Final = {kind.__name__: kind for kind in (*_STAGED, FileSet)}


def _output_state(_: Encoder, output: Output) -> list[Any]:
    return [output.kind.__name__, output.path, output.local, output.by, output.hidden]


def _read_output(_: Decoder, state: Any) -> Output:
    name, path, local, by, hidden = state
    return Output(_OUTPUTS[name], path, local, by, hidden)


register(Output, "redun_files.Output", _output_state, _read_output)


def _staging_state(_: Encoder, pair: Staging[Any]) -> list[Any]:
    return [pair.local_path, pair.remote]


def _register(kind: type[Staging[Any]]) -> None:
    def read(_: Decoder, state: Any) -> Staging[Any]:
        pair: Staging[Any] = kind.__new__(kind)
        pair._local, pair.remote = state  # the remote may be anything that stands for a lazy one
        return pair

    register(kind, f"redun_files.{kind.__name__}", _staging_state, read)


for _kind in _STAGED.values():
    _register(_kind)
