"""What the store asks of a file system: whether it is local, synced directories, and our errors for its errors."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from redun.core.errors import StoreError, StoreFailing, StoreFull, StoreReadOnly

#: File systems whose shared memory maps or locks do not hold between machines (or at all): a data file there is damaged
#: sooner or later. FUSE is judged by its subtype.
NETWORK_TYPES: Final = frozenset({
    "9p", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs", "gfs2", "glusterfs", "gpfs", "lustre",
    "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb2", "smb3", "smbfs", "virtiofs",
    "vboxsf", "vmhgfs",
})  # fmt: skip
_NETWORK_FUSE: Final = (
    "afp", "beegfs", "ceph", "davfs", "gcsfuse", "glusterfs", "goofys", "httpfs", "juicefs", "mfs", "moosefs", "nfs",
    "rclone", "s3", "smb", "ssh", "webdav",
)  # fmt: skip

_MOUNTINFO: Final = "/proc/self/mountinfo"


def filesystem_type(path: str, mountinfo: str) -> str:
    """Returns the type of the file system that a resolved path lies on, or "" where the table does not say."""
    best, answer = -1, ""
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        fields = left.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = _unescape(fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:  # the last of equal ones is mounted on top
            best, answer = len(point), right.split(" ")[0]
    return answer


def _unescape(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def is_network_type(name: str) -> bool:
    """Returns whether LMDB must not be used on a file system of that type."""
    if name.startswith("fuse"):
        subtype = name.partition(".")[2]
        return any(subtype.startswith(word) for word in _NETWORK_FUSE)
    return name in NETWORK_TYPES


def type_at(path: Path) -> str:
    """Returns the type of the file system of a path (which need not exist yet), or "" where the system does not say."""
    try:
        with open(_MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
            table = file.read()
    except OSError:
        return ""  # not Linux
    return filesystem_type(os.path.realpath(path), table)


def refuse_network(path: Path) -> None:
    """Checks that a store may lie at a path (which need not exist yet).

    Raises:
        StoreError: on a network file system.
    """
    found = type_at(path)  # "" is let through: where there is no cheap answer, refusing everything would be worse
    if is_network_type(found):
        raise StoreError(
            f"{path} is on a network file system ({found}), whose memory maps and locks do not hold between machines: "
            "the store would be damaged",
            path=str(path),
            hint="put it on a local disk and leave a pointer here: redun init --at /local/path",
        )


#: What the system says when a disk, a quota or the largest file is full, and when permission is missing.
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
IN_THE_WAY: Final = (errno.EEXIST, errno.ENOTDIR, errno.ENOTEMPTY)
MAKE_ROOM: Final = "make room, then run again"
_PROBE_BYTES: Final = 256 * 1024


def is_full(directory: Path) -> bool:
    """Returns whether the disk of a directory takes no more, found out by writing to it."""
    try:
        path, file = new_file(directory)
        try:
            with file:
                file.write(bytes(_PROBE_BYTES))
        finally:
            path.unlink()
    except OSError as error:
        return error.errno in FULL
    return False


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns what the operating system says about a path into errors of the store.

    Raises:
        StoreFull: when the disk or a quota is full.
        StoreFailing: when it answers with input/output errors.
        StoreReadOnly: when permission is missing.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StoreFull(f"the disk of {path} is full", path=str(path), hint=MAKE_ROOM) from error
        if error.errno in FORBIDDEN:
            raise read_only(path) from error
        if error.errno == errno.EIO:
            raise failing(f"cannot use {path}", error, path) from error
        hint = f"something else lies there: move {path} away" if error.errno in IN_THE_WAY else ""
        raise StoreError(f"cannot use {path}: {error.strerror or error}", path=str(path), hint=hint) from error


def read_only(path: Path) -> StoreReadOnly:
    """Returns the error of a path that admits no writing."""
    hint = "ask its owner, or use another store: --store PATH, or redun init DIR"
    return StoreReadOnly(f"no permission to write to {path}", path=str(path), hint=hint)


def failing(what: str, error: Exception | None, path: Path) -> StoreFailing:
    """Returns the error of a disk that did not do what it was asked."""
    hint = "the disk may be failing: see the system's log, then run redun fsck"
    why = "" if error is None else f": {getattr(error, 'strerror', None) or error}"
    return StoreFailing(what + why, path=str(path), hint=hint)


def new_name(directory: Path, prefix: str = "") -> Path:
    """Returns a path in a directory that nobody else has chosen."""
    return directory / f"{prefix}{os.urandom(8).hex()}"  # `tempfile` loads for 5 ms


def new_file(directory: Path) -> tuple[Path, BinaryIO]:
    """Returns a new file to write and read, with its path."""
    path = new_name(directory)
    return path, open(path, "x+b")


def sync_directory(path: Path) -> None:
    """Returns when the names in a directory survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Makes a directory, and those above it that are missing, so that their names survive a loss of power."""
    # The last one is seen to also where it is there: a process that was killed may have made it a moment ago.
    made = [path, *(above for above in path.parents if not above.exists())]
    os.makedirs(path, exist_ok=True)
    for place in made:
        with contextlib.suppress(PermissionError):  # one may make a name in a directory that one may not read
            sync_directory(place.parent)


def write_whole(path: Path, text: str) -> None:
    """Writes a small text file so that it is there whole or not at all, and survives a loss of power."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_directory(path.parent)
