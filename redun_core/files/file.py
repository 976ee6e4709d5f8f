"""Files as values: a path and the content that it had. A file value is valid while the file still has that content."""

from __future__ import annotations

import importlib
import os
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final, Self

from redun.core import codes
from redun.core.codec import ExtType
from redun.core.decoding import POINTER_READERS, READERS, Decoder
from redun.core.errors import CannotEncode, MalformedObject, RemoteFileError, TaskError
from redun.core.files.atomic import Written
from redun.core.files.copying import copy_path
from redun.core.files.filesystems import Filesystem, filesystem_of
from redun.core.files.kinds import read_kind, register_kinds, write_kind
from redun.core.files.places import Place
from redun.core.files.written import note_written
from redun.core.values import Encoder

if TYPE_CHECKING:
    from redun.core.files.staging import StagingFile

#: What files may be compared by.
WAYS: Final = ("content", "stat", "path")

_UNREAD: Final = b"unread"
#: It was opened for writing and dropped unclosed: there is nothing that it could stand for.
_DROPPED: Final = b"dropped"


class File:
    """A file, as an argument or result of a task.

    As an argument its content is part of the cache key; as a result it makes its task run again when it was changed or
    deleted. Paths below the working directory are kept relative to it, so a project may move.

    Args:
        path: a path, or a URL of another filesystem.
        by: what the file is compared by: "content", or "stat" (its size and the time of its last change), which reads
            nothing and takes a touched file for a changed one.

    Raises:
        TaskError: if there can be no such path.
    """

    __slots__ = ("_kept", "_owner", "_state", "by", "path")

    #: What it is compared by where nothing else is said, and whether anything else may be.
    _by: ClassVar[str] = "content"
    _by_is_fixed: ClassVar[bool] = False

    def __init__(self, path: str | os.PathLike[str], by: str | None = None) -> None:
        self.by = chosen(type(self), by)
        text = os.fsdecode(path)
        self.path = filesystem_of(text).canonical(text)
        self._state: bytes | None = _UNREAD
        self._owner: Any = None

    @classmethod
    def known(cls, path: str, by: str, state: bytes | None, owner: Any = None) -> Self:
        """Returns a file of a canonical path that stands for a state, or for what it is when it is looked at.

        Args:
            state: what it stands for.
            owner: a set that is to be refreshed when the file is written.
        """
        file = cls.__new__(cls)
        file.by = by
        file.path = path
        file._state = state
        file._owner = owner
        return file

    @classmethod
    def unread(cls, path: str, by: str, owner: Any = None) -> Self:
        """Returns a file of a canonical path that stands for what it is when it is first looked at."""
        return cls.known(path, by, _UNREAD, owner)

    def __repr__(self) -> str:
        state = self._state
        way = "" if self.by == self._by else f", by={self.by}"
        if state is _UNREAD or state is _DROPPED or self.by == "path":
            return f"{type(self).__name__}(path={self.path}{way})"
        shown = "missing" if state is None else state.hex()[:8]
        return f"{type(self).__name__}(path={self.path}{way}, hash={shown})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, File)
            and type(other) is type(self)
            and other.path == self.path
            and other.by == self.by
            and other.hash == self.hash
        )

    def __hash__(self) -> int:
        return hash(self.path)

    def __fspath__(self) -> str:
        return self.path

    def __reduce__(self) -> Any:
        # these two are known by being themselves, which pickle does not keep
        unread = self._state is _UNREAD or self._state is _DROPPED
        kept = (None, {"_kept": True}) if getattr(self, "_kept", False) else None
        return _restored, (type(self), self.path, self.by, unread, None if unread else self._state), kept

    @property
    def filesystem(self) -> Filesystem:
        """Where the file lies.

        Raises:
            TaskError: if what that needs is not installed here.
        """
        return filesystem_of(self.path)

    # -- what it stands for -------------------------------------------------------------------------------------------

    @property
    def hash(self) -> str:
        """What it is compared by, in hexadecimal: the SHA-256 of the content where that is local; empty where the file
        is missing. Read once per object."""
        return (self.state() or b"").hex()

    def state(self) -> bytes | None:
        """Returns what this value stands for; None stands for a missing file.

        Raises:
            OSError: if the file cannot be read.
            TaskError: if it was opened for writing and dropped unclosed.
        """
        if self._state is _UNREAD:
            self._state = self.filesystem.state(self.path, self.by)
        elif self._state is _DROPPED:
            raise TaskError(
                f"{self.path} was opened for writing and never closed, so nothing was written",
                hint="use `with file.open('w') as stream:`, or close the stream",
            )
        return self._state

    def refresh(self) -> None:
        """Makes this value stand for the file as it is now."""
        self._state = _UNREAD
        if self._owner is not None:
            self._owner.refresh()

    update_hash = refresh

    def is_valid(self) -> bool:
        """Returns whether the file still has the content that this value stands for.

        Raises:
            RemoteFileError: if that is not to be told, as its server cannot be reached.
        """
        try:
            return self.by == "path" or self.filesystem.state(self.path, self.by) == self.state()
        except RemoteFileError:  # nothing is known of it: that is no answer
            raise
        except (OSError, TaskError):
            return False

    def describe(self) -> str:
        """Returns the path."""
        return self.path

    def archive(self) -> Self:
        """Returns this file. Where a task returns it, the store keeps its bytes: `redun restore` brings them back."""
        self._kept = True
        return self

    # -- the file itself ----------------------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Returns whether there is a file at the path."""
        return self.filesystem.is_file(self.path)

    def isfile(self) -> bool:
        """Returns whether there is a file at the path."""
        return self.filesystem.is_file(self.path)

    def isdir(self) -> bool:
        """Returns whether there is a directory at the path."""
        return self.filesystem.is_dir(self.path)

    def size(self) -> int:
        """Returns the size in bytes.

        Raises:
            OSError: if there is no such file.
        """
        return self.filesystem.size(self.path)

    def basename(self) -> str:
        """Returns the last part of the path."""
        return os.path.basename(self.path)

    def dirname(self) -> str:
        """Returns the path without its last part."""
        return os.path.dirname(self.path)

    def open(self, mode: str = "r", encoding: str | None = None) -> IO[Any]:
        """Opens the file; text is UTF-8 where nothing else is said.

        `w` and `x` write beside it: the content takes the name when the stream is closed without an error, so that a
        half-written file is never taken for a good one. `a` and `r+` write in place, at once. Parent directories are
        made.

        Raises:
            OSError: if it cannot be opened.
        """
        stream = self.filesystem.open(self.path, mode, encoding)
        if not {"w", "x", "a", "+"}.intersection(mode):
            return stream
        self.refresh()
        return Written(stream, self._written)  # type: ignore[return-value]  # it delegates to a real one

    def _written(self, how: str) -> None:
        note_written(self.path)
        self.refresh()
        if how == "dropped":
            self._state = _DROPPED
            import warnings  # it is hardly ever needed

            told = f"{self.path} was opened for writing and never closed, so nothing was written: close the stream"
            warnings.warn(told, RuntimeWarning, stacklevel=2)

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
        """Makes an empty file where there is none, and sets its times.

        Raises:
            OSError: if that cannot be.
        """
        self.filesystem.touch(self.path)
        note_written(self.path)
        self.refresh()

    def remove(self) -> None:
        """Deletes the file; nothing happens where there is none.

        Raises:
            OSError: if it cannot be deleted.
        """
        self.filesystem.remove(self.path)
        note_written(self.path)
        self.refresh()

    def copy_to(self, dest_path: File | str | os.PathLike[str], skip_if_exists: bool = False) -> File:
        """Copies the file to another place, of this or another filesystem; returns the copy.

        Args:
            dest_path: a file, a path or a URL; one that ends with a slash names the directory that the copy goes to.
            skip_if_exists: keeps a file that is there already, whatever it holds.

        Raises:
            OSError: if it cannot be read or written; then what was there before stays.
        """
        target = dest_path if isinstance(dest_path, File) else self._beside(os.fsdecode(dest_path))
        copy_path(self.path, target.path, skip_if_exists)
        target.refresh()
        return target

    def _beside(self, path: str) -> File:
        return type(self)(path + self.basename() if path.endswith("/") else path)

    # -- for scripts --------------------------------------------------------------------------------------------------

    def stage(self, local: str | os.PathLike[str] | None = None) -> StagingFile:
        """Returns this with the local path at which a script reads or writes it; by default its name alone."""
        staging = importlib.import_module("redun.core.files.staging")  # it stands on files
        made: StagingFile = staging.staged(self, local)
        return made


class ContentFile(File):
    """A file compared by its content, as every `File` is: redun's name for what is the rule here."""

    __slots__ = ()
    _by_is_fixed = True


class IFile(File):
    """A file whose path says all: always valid, also when it was changed or deleted."""

    __slots__ = ()
    _by = "path"
    _by_is_fixed = True


def chosen(kind: type[Any], by: str | None) -> str:
    """Returns what values of that class are compared by.

    Raises:
        TaskError: if it cannot be `by`.
    """
    own: str = kind._by
    if by is None or by == own:
        return own
    if kind._by_is_fixed or by not in WAYS[:2]:
        ways = repr(own) if kind._by_is_fixed else " or ".join(map(repr, WAYS[:2]))
        raise TaskError(
            f"{kind.__name__}(by={by!r}): it can be {ways}", hint="IFile and IDir are compared by their path"
        )
    return by


def _restored(kind: type[File], path: str, by: str, unread: bool, state: bytes | None) -> File:
    return kind.unread(path, by) if unread else kind.known(path, by, state)


def unreadable(error: OSError | TaskError) -> CannotEncode:
    """Returns the error of a value that cannot be stored because a file cannot be read."""
    if isinstance(error, TaskError):
        return CannotEncode(error.message, hint=error.hint)
    return CannotEncode(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _encode(encoder: Encoder, file: File) -> ExtType:
    try:
        state = file.state()
    except RemoteFileError:  # it tells itself what to do
        raise
    except (OSError, TaskError) as error:
        raise unreadable(error) from error
    encoder.externals.append(type(file).known(file.path, file.by, state))  # the value itself goes on, and changes
    items: list[Any] = [write_kind(encoder, file, FILE_KINDS), file.path, state]
    if state is not None and encoder.archives(file):
        from redun.core.files.archive import archived_file  # most files are not kept

        items.append(archived_file(encoder, file.filesystem, file.path, file.by, state))
    return encoder.ext(codes.FILE, items)


def _read(decoder: Decoder, items: Any) -> File:
    written, path, state = items[:3]
    if type(path) is not str or not path or "\0" in path or not (state is None or type(state) is bytes):
        raise MalformedObject("a file has a path and a state")
    kind, by = read_kind(decoder, written, FILE_KINDS)
    decoder.externals.append(kind.known(path, by, state))  # what is given out goes on, and changes
    file: File = kind.known(path, by, state)
    if decoder.renews:
        file.refresh()
    return file


def _place(file: File) -> Place | None:
    return None if file.by == "path" else Place(type(file), file.by, file.path, False, False)


#: Classes of single files.
FILE_KINDS: Final = (File, ContentFile, IFile)
register_kinds(FILE_KINDS, _encode, _place)
READERS[codes.FILE] = _read
POINTER_READERS[codes.ARCHIVE] = lambda _, items: None  # programs do without: it is for `redun restore`
