"""Sets of files as values: what a pattern names, or all that is below a directory."""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from redun.core import codes
from redun.core.codec import ExtType, Pointer
from redun.core.decoding import READERS, Decoder
from redun.core.errors import MalformedObject, RemoteFileError, TaskError
from redun.core.files.copying import copy_paths, pairs_below
from redun.core.files.file import ContentFile, File, IFile, chosen, unreadable
from redun.core.files.filesystems import Filesystem, filesystem_of
from redun.core.files.globs import is_literal, joined, split_pattern
from redun.core.files.kinds import read_kind, register_kinds, write_kind
from redun.core.files.members import check, digest_of, packed, pieces
from redun.core.files.places import Place
from redun.core.limits import CHILD_BYTES
from redun.core.values import Encoder

if TYPE_CHECKING:
    from redun.core.files.staging import StagingDir

_ALL: Final = "**"
#: So few members are written in one piece: no path has more than 4,096 bytes.
_FEW: Final = 8


class FileSet:
    """The files that a pattern names, as an argument or result of a task: valid while they are the same files, each
    with the state that it had.

    Args:
        pattern: a path with `*`, `?`, `[...]`, and `**` for any directories.
        hidden: whether wildcards match names that begin with a dot.
        by: what each file is compared by: "content", or "stat" (size and time of the last change).

    Raises:
        TaskError: if there can be no such path.
    """

    __slots__ = ("_digest", "_kept", "_members", "by", "hidden", "pattern")

    _by: ClassVar[str] = "content"
    _by_is_fixed: ClassVar[bool] = False
    _file: ClassVar[type[File]] = File

    def __init__(self, pattern: str | os.PathLike[str], hidden: bool = False, by: str | None = None) -> None:
        self.by = chosen(type(self), by)
        self.hidden = bool(hidden)
        self.pattern = self._canonical(os.fsdecode(pattern))
        self._members: dict[str, bytes] | None = None
        self._digest: bytes | None = None

    @classmethod
    def known(cls, pattern: str, hidden: bool, by: str, members: dict[str, bytes] | None) -> Self:
        """Returns a set of a canonical pattern that stands for these members, or for what it is when looked at."""
        found = cls.__new__(cls)
        found.by = by
        found.hidden = hidden
        found.pattern = pattern
        found._members = members
        found._digest = None
        return found

    def _copy(self) -> Self:
        found = self.known(self.pattern, self.hidden, self.by, self._members)
        found._digest = self._digest
        return found

    @staticmethod
    def _canonical(pattern: str) -> str:
        filesystem = filesystem_of(pattern)
        if not pattern or "\0" in pattern:
            raise TaskError(f"{pattern!r} is no pattern of files", hint="give a pattern such as data/*.csv")
        base, rest = split_pattern(pattern)
        if ".." in rest.split("/"):
            raise TaskError(f"{pattern!r} has `..` behind a wildcard", hint="write the path without `..`")
        base = filesystem.canonical(base or ".")
        return joined(base, rest)

    def _split(self) -> tuple[str, str]:
        base, rest = split_pattern(self.pattern)
        return base or ".", rest

    def __repr__(self) -> str:
        name = f"{type(self).__name__}({self._shown()}{', hidden=True' if self.hidden else ''}"
        if self.by != self._by:
            name += f", by={self.by}"
        if self._members is None or self.by == "path":
            return f"{name})"
        return f"{name}, files={len(self._members)}, hash={self.hash[:8]})"

    def _shown(self) -> str:
        return f"pattern={self.pattern}"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, FileSet)
            and type(other) is type(self)
            and (other.pattern, other.hidden, other.by) == (self.pattern, self.hidden, self.by)
            and other.members() == self.members()
        )

    def __hash__(self) -> int:
        return hash(self.pattern)

    @property
    def filesystem(self) -> Filesystem:
        """Where the files lie.

        Raises:
            TaskError: if what that needs is not installed here.
        """
        return filesystem_of(self.pattern)

    @property
    def base(self) -> str:
        """The directory that all the files lie below."""
        return self._split()[0]

    # -- the files ----------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[File]:
        """Yields the files in the order of their paths, as they were when this value was made or first read.

        Raises:
            OSError: if a directory cannot be read.
        """
        prefix = self._prefix()
        if self._members is None:
            base, rest = self._split()
            names = self.filesystem.find(base, rest, self.hidden)
            if not names:
                self._refuse_other_kind()
            for name in names:
                yield self._file.unread(prefix + name, self.by, self)
        else:
            for name, state in self._members.items():
                yield self._file.known(prefix + name, self.by, state, self)

    def files(self) -> list[File]:
        """Returns the files in the order of their paths.

        Raises:
            OSError: if a directory cannot be read.
        """
        return list(self)

    def _prefix(self) -> str:
        return joined(self.base, "")

    # -- what it stands for -------------------------------------------------------------------------------------------

    def members(self) -> Mapping[str, bytes]:
        """Returns the files that this value stands for, by their paths from `base`, with the state of each.

        Raises:
            OSError: if a directory or a file cannot be read.
        """
        if self._members is None:
            self._members = self._now()
        return self._members

    def _now(self, expected: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
        base, rest = self._split()
        found = self.filesystem.members(base, rest, self.hidden, self.by, expected)
        if not found:
            self._refuse_other_kind()
        return found

    def _refuse_other_kind(self) -> None:
        """Raises an error where there is nothing in the set because something else was meant."""
        if is_literal(self.pattern) and self.filesystem.is_dir(self.pattern):
            told = "Is a directory, where a pattern of files was meant: use Dir"
            raise IsADirectoryError(errno.EISDIR, told, self.pattern)

    def _hashed(self) -> bytes:
        if self._digest is None:
            self._digest = digest_of(self.members())
        return self._digest

    @property
    def hash(self) -> str:
        """The SHA-256 of paths and states in hexadecimal; read once per object."""
        return self._hashed().hex()

    def refresh(self) -> None:
        """Makes this value stand for the files as they are now."""
        self._members = self._digest = None

    update_hash = refresh

    def stand_for(self, members: Mapping[str, bytes]) -> None:
        """Makes this value stand for these files, which were looked at."""
        self._members, self._digest = dict(members), None

    def is_valid(self) -> bool:
        """Returns whether these are the same files, each with the state that this value stands for.

        Raises:
            RemoteFileError: if that is not to be told, as their server cannot be reached.
        """
        return self.look()[0]

    def look(self) -> tuple[bool, Mapping[str, bytes] | None]:
        """Returns what `is_valid` does, and the files as they are now; None in place of these where it was clear before
        all were looked at, or they cannot be read.

        Raises:
            RemoteFileError: as `is_valid`.
        """
        if self.by == "path":
            return True, None
        try:
            known = self.members()
            found = self._now(known)
        except RemoteFileError:  # nothing is known of them: that is no answer
            raise
        except (OSError, TaskError):
            return False, None
        return (True, found) if found == known else (False, None if b"" in found.values() else found)

    def archive(self) -> Self:
        """Returns these files. Where a task returns them, the store keeps their bytes: `redun restore` brings them
        back."""
        self._kept = True
        return self

    def describe(self) -> str:
        """Returns the pattern, or the path of a directory."""
        return self.pattern


class Dir(FileSet):
    """A directory with all the files below it. Directories without files do not count.

    Args:
        path: the directory.
        hidden: whether files and directories whose names begin with a dot belong to it.
        by: what each file is compared by: "content", or "stat" (size and time of the last change).

    Raises:
        TaskError: if there can be no such path.
    """

    __slots__ = ()

    def __init__(self, path: str | os.PathLike[str], hidden: bool = False, by: str | None = None) -> None:
        super().__init__(path, hidden, by)

    @staticmethod
    def _canonical(pattern: str) -> str:
        return filesystem_of(pattern).canonical(pattern)

    def _split(self) -> tuple[str, str]:
        return self.pattern, _ALL

    def _refuse_other_kind(self) -> None:
        if self.filesystem.is_file(self.pattern):
            raise NotADirectoryError(errno.ENOTDIR, "Is a file, where a directory was meant: use File", self.pattern)

    def _shown(self) -> str:
        return f"path={self.pattern}"

    def __fspath__(self) -> str:
        return self.pattern

    @property
    def path(self) -> str:
        """The directory's path."""
        return self.pattern

    def file(self, rel_path: str) -> File:
        """Returns the file at a path below the directory. Writing it changes what this value stands for.

        Raises:
            TaskError: if the path leads out of the directory.
        """
        if not rel_path or rel_path.startswith("/") or ".." in rel_path.split("/"):
            told = f"{rel_path!r} is no path below {self.path}"
            raise TaskError(told, hint="give a path from there, such as sub/a.txt")
        path = self.filesystem.canonical(self._prefix() + rel_path)
        return self._file.unread(path, self.by, self)

    def rel_path(self, path: str | os.PathLike[str]) -> str:
        """Returns the path of a file from the directory.

        Raises:
            TaskError: if it does not lie below.
        """
        full = self.filesystem.canonical(os.fsdecode(path))
        prefix = self._prefix()
        if not full.startswith(prefix) or (not prefix and full.startswith("/")):
            raise TaskError(f"{full} does not lie below {self.path}", hint="give a path of a file in the directory")
        return full.removeprefix(prefix)

    def exists(self) -> bool:
        """Returns whether there is such a directory."""
        return self.filesystem.is_dir(self.path)

    def mkdir(self) -> None:
        """Makes the directory and those above it, where they are not there.

        Raises:
            OSError: if that cannot be.
        """
        self.filesystem.make_dirs(self.path)
        self.refresh()

    def copy_to(self, dest_path: Dir | str | os.PathLike[str], skip_if_exists: bool = False) -> Dir:
        """Copies the files below this directory to another, of this or another filesystem; returns that one. What lies
        in it beside the copies stays.

        Args:
            dest_path: a directory, a path or a URL.
            skip_if_exists: keeps files that are there already, whatever they hold.

        Raises:
            OSError: if one cannot be read or written; each is copied whole or not at all.
        """
        target = dest_path if isinstance(dest_path, Dir) else type(self)(dest_path, self.hidden)
        pairs = pairs_below(self.path, target.path, self.hidden)
        target.mkdir()
        copy_paths(pairs, skip_if_exists)
        target.refresh()
        return target

    def rmdir(self, recursive: bool = False) -> None:
        """Deletes the directory; nothing happens where there is none.

        Args:
            recursive: deletes what is in it too.

        Raises:
            OSError: if it cannot be deleted, or is not empty.
        """
        self.filesystem.remove_dir(self.path, recursive)
        self.refresh()

    # -- for scripts --------------------------------------------------------------------------------------------------

    def stage(self, local: str | os.PathLike[str] | None = None) -> StagingDir:
        """Returns this with the local path at which a script reads or writes it; by default its name alone."""
        staging = importlib.import_module("redun.core.files.staging")  # it stands on files
        made: StagingDir = staging.staged(self, local)
        return made


class ContentFileSet(FileSet):
    """Files compared by their content, as those of every `FileSet` are: redun's name for what is the rule here."""

    __slots__ = ()
    _by_is_fixed = True
    _file = ContentFile


class ContentDir(Dir):
    """A directory whose files are compared by their content, as those of every `Dir` are: redun's name for it."""

    __slots__ = ()
    _by_is_fixed = True
    _file = ContentFile


class IFileSet(FileSet):
    """Files whose paths say all: always valid, also when they were changed or deleted."""

    __slots__ = ()
    _by = "path"
    _by_is_fixed = True
    _file = IFile


class IDir(Dir):
    """A directory whose path says all: always valid, also when files in it were changed or deleted."""

    __slots__ = ()
    _by = "path"
    _by_is_fixed = True
    _file = IFile


def glob_file(pattern: str) -> list[str]:
    """Returns the paths of the files that a pattern names, sorted.

    Raises:
        OSError: if a directory cannot be read.
        TaskError: if there can be no such path.
    """
    return [file.path for file in FileSet(pattern)]


def _encode(encoder: Encoder, files: FileSet) -> ExtType:
    members: Any = {}
    digest, count = b"", 0
    if files.by != "path":
        try:
            members = dict(files.members())
        except RemoteFileError:  # it tells itself what to do
            raise
        except (OSError, TaskError) as error:
            raise unreadable(error) from error
        digest, count = files._hashed(), len(members)
        packs = packed(members) if count > _FEW else []
        if sum(map(len, packs)) > CHILD_BYTES:
            members = [Pointer(encoder.put("value", piece)) for piece in packs]
    encoder.externals.append(files._copy())  # the value itself goes on, and changes
    items = [write_kind(encoder, files, SET_KINDS), files.pattern, files.hidden, digest, count, members]
    if count and encoder.archives(files):
        from redun.core.files.archive import archived_set  # most files are not kept

        parts = pieces(files.members()) if type(members) is list else [files.members()]
        items.append(archived_set(encoder, files.filesystem, files._prefix(), files.by, parts))
    return encoder.ext(codes.FILESET, items)


def _read(decoder: Decoder, items: Any) -> FileSet:
    written, pattern, hidden, digest, count, members = items[:6]
    if type(pattern) is not str or not pattern or "\0" in pattern or type(hidden) is not bool or len(items) > 7:
        raise MalformedObject("a set of files has a pattern and a flag")
    kind, by = read_kind(decoder, written, SET_KINDS)
    if type(members) is list:
        members = {path: state for piece in members for path, state in piece.items()}
    found = check(members)
    if by == "path":
        files: FileSet = kind.known(pattern, hidden, by, None)
    elif len(found) == count and digest_of(found) == digest:
        files = kind.known(pattern, hidden, by, found)
        files._digest = digest
    else:
        raise MalformedObject("a set of files has other members than it says")
    decoder.externals.append(files._copy())  # what is given out goes on, and changes
    if decoder.renews:
        files.refresh()
    return files


def _place(files: FileSet) -> Place | None:
    return None if files.by == "path" else Place(type(files), files.by, files.pattern, files.hidden, True)


#: Classes of sets of files.
SET_KINDS: Final = (FileSet, Dir, ContentFileSet, ContentDir, IFileSet, IDir)
register_kinds(SET_KINDS, _encode, _place)
READERS[codes.FILESET] = _read
