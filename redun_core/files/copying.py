"""Copying files and directories from any filesystem to any other. A target changes at once or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import Final

from redun.core.errors import TaskError
from redun.core.files.filesystems import Filesystem, filesystem_of
from redun.core.files.local import LOCAL
from redun.core.files.written import note_written

_CHUNK: Final = 4 << 20
_THREADS: Final = 16
_ALL: Final = "**"

#: Is told how many files, and how many bytes, are copied so far.
Told = Callable[[int, int], None]


def copy_file(source: str | os.PathLike[str], target: str | os.PathLike[str], skip_if_exists: bool = False) -> None:
    """Copies a file from any path or URL to any other.

    Args:
        skip_if_exists: does nothing where there is a file already, whatever that holds.

    Raises:
        OSError: if it cannot be read or written.
        TaskError: if there can be no such path.
    """
    from_path, to_path = os.fsdecode(source), os.fsdecode(target)
    here, there = filesystem_of(from_path), filesystem_of(to_path)
    copy_path(here.canonical(from_path), there.canonical(to_path), skip_if_exists)


def copy_path(
    source: str, target: str, skip_if_exists: bool = False, told: Callable[[int], None] | None = None
) -> bool:
    """Copies a file; returns whether it did.

    Args:
        source: the canonical path of a file.
        target: the canonical path that its copy is to have. Directories above it are made.
        skip_if_exists: does nothing where there is a file already, whatever that holds.
        told: is told now and then how many bytes are copied so far, where they go through this process.

    Raises:
        OSError: if it cannot be read or written.
    """
    copied = _copied(source, target, skip_if_exists, told)
    if copied:
        note_written(target)
    return copied


def _copied(source: str, target: str, skip_if_exists: bool, told: Callable[[int], None] | None = None) -> bool:
    here, there = filesystem_of(source), filesystem_of(target)
    if skip_if_exists and there.is_file(target):
        return False
    if source == target:
        if not here.is_file(source):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
        return False
    _copy(here, source, there, target, told)
    return True


def _copy(here: Filesystem, source: str, there: Filesystem, target: str, told: Callable[[int], None] | None) -> None:
    if here is there:
        here.copy(source, target)
        return
    upload = getattr(there, "upload", None) if here is LOCAL else None
    if upload is not None:
        with open(source, "rb"):  # it is there, and may be read
            upload(target, source, told)
        return
    done = 0
    with here.open(source, "rb") as read, there.open(target, "wb") as written:
        while chunk := read.read(_CHUNK):
            written.write(chunk)
            done += len(chunk)
            if told is not None:
                told(done)


def copy_paths(
    pairs: Sequence[tuple[str, str]], skip_if_exists: bool = False, told: Callable[[int], None] | None = None
) -> int:
    """Copies many files side by side; returns how many.

    Args:
        pairs: of canonical paths: a file, and where its copy is to be.
        told: is told how many are done.

    Raises:
        OSError: as `copy_path`, for the first one that fails; those before it are copied.
    """
    from concurrent.futures import ThreadPoolExecutor  # most runs copy nothing

    copied = 0
    places = {filesystem_of(path) for pair in pairs[:1] for path in pair}
    threads = min([_THREADS, max(1, len(pairs)), *(getattr(place, "parallel", _THREADS) for place in places)])
    with ThreadPoolExecutor(threads, "redun-copy") as pool:
        futures = [pool.submit(_copied, source, target, skip_if_exists) for source, target in pairs]
        try:
            for done, (future, (_, target)) in enumerate(zip(futures, pairs, strict=True), 1):
                if future.result():
                    copied += 1
                    note_written(target)  # here: it is this thread's body that writes, whoever copies for it
                if told is not None:
                    told(done)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return copied


def pairs_below(source: str, target: str, hidden: bool) -> list[tuple[str, str]]:
    """Returns the files below a directory, each with the path of its copy below another.

    Raises:
        OSError: if there is no such directory, or it cannot be read.
        TaskError: if the other one lies in it.
    """
    here, there = filesystem_of(source), filesystem_of(target)
    if not here.is_dir(source):
        code = errno.ENOTDIR if here.exists(source) else errno.ENOENT
        raise OSError(code, os.strerror(code), source)
    if here is there and source != target and _lies_in(target, source):
        raise TaskError(f"{target} lies in {source}, of which it was to be a copy", hint="copy it elsewhere")
    names = here.find(source, _ALL, hidden)
    return [(_below(here, source, name), _below(there, target, name)) for name in names]


def _lies_in(path: str, directory: str) -> bool:
    if directory == ".":
        return not os.path.isabs(path)
    return path.startswith(f"{directory.rstrip('/')}/")


def _below(filesystem: Filesystem, base: str, name: str) -> str:
    return filesystem.canonical(name if base == "." else f"{base.rstrip('/')}/{name}")
