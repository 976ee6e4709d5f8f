"""Keeping the bytes of files in the store: a file that is returned points to the blob with what it held.

The pointer is in the value that the store has, and in no value that a program has: what depends on a file depends on
its path and state, kept or not.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from redun.core import codes, limits
from redun.core.codec import ExtType, Pointer, pack
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import CannotEncode, StoreDamaged
from redun.core.files.filesystems import Filesystem, filesystem_of
from redun.core.frame import stream_id
from redun.core.values import Encoder, Ready

_CHUNK: Final = 1 << 20
#: Bytes of small files that wait in memory to be written with the rest of a value.
_IN_MEMORY: Final = 32 * limits.MIB
_LOCAL: Final = "local"
_FSCK: Final = "redun fsck tells what else is damaged"


def archived_file(encoder: Encoder, filesystem: Filesystem, path: str, by: str, state: bytes) -> Ready:
    """Keeps the bytes of a file and returns what its value says of them.

    Raises:
        OSError: if it cannot be read.
        CannotEncode: if it is no longer in that state.
        StoreFull: if there is no room.
    """
    return Ready(_archived(encoder, filesystem, path, by, state))


def _archived(encoder: Encoder, filesystem: Filesystem, path: str, by: str, state: bytes) -> ExtType:
    with _content(encoder, filesystem, path, by, state) as (digest, data):
        _put(encoder, digest, data)
    return ExtType(codes.ARCHIVE, pack([Pointer(digest), filesystem.name == _LOCAL and os.access(path, os.X_OK)]))


def archived_set(
    encoder: Encoder, filesystem: Filesystem, prefix: str, by: str, pieces: Iterable[Mapping[str, bytes]]
) -> Ready:
    """Keeps the bytes of all members of a set of files and returns what its value says of them.

    Args:
        prefix: what stands before the path of a member.
        pieces: the members with their states, in the parts in which they are written.

    Raises:
        OSError, CannotEncode, StoreFull: as `archived_file`.
    """
    parts = []
    for piece in pieces:
        kept = [_archived(encoder, filesystem, prefix + name, by, state) for name, state in piece.items()]
        parts.append(Pointer(encoder.put("value", pack(kept))))
    return Ready(ExtType(codes.ARCHIVE, pack(parts)))


@contextmanager
def _content(
    encoder: Encoder, filesystem: Filesystem, path: str, by: str, state: bytes
) -> Iterator[tuple[Digest, bytes | memoryview]]:
    """The id of a file's bytes, and they themselves as they are now: those of a large file are mapped from a copy,
    which nobody else writes to."""
    with filesystem.open(path, "rb") as stream:
        head = stream.read(limits.INLINE_BYTES + 1)
        if len(head) <= limits.INLINE_BYTES:
            _check(filesystem, path, by, state, [head])
            yield stream_id(encoder.format, "blob", len(head), [head]), head
            return
        with tempfile.TemporaryFile() as copy:
            copy.write(head)
            while part := stream.read(_CHUNK):
                copy.write(part)
            copy.flush()
            with mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as data:
                parts = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
                try:
                    _check(filesystem, path, by, state, parts)
                    yield stream_id(encoder.format, "blob", len(data), parts), data
                finally:
                    for part in parts:
                        part.release()


def _check(filesystem: Filesystem, path: str, by: str, state: bytes, parts: Sequence[bytes | memoryview]) -> None:
    """Looks whether the bytes are those of the state.

    Raises:
        CannotEncode: if they are not.
    """
    if by == "content" and filesystem.name == _LOCAL:
        import hashlib  # it loads OpenSSL, which takes 3 ms of every start

        hasher = hashlib.sha256()
        for part in parts:
            hasher.update(part)
        same = hasher.digest() == state
    else:
        same = filesystem.state(path, by) == state
    if not same:
        hint = "something else writes it: let it be written once, or to a path of its own"
        raise CannotEncode(f"{path} changed while it was archived", hint=hint)


def _put(encoder: Encoder, digest: Digest, data: bytes | memoryview) -> None:
    """Adds the blob to what is to be written, or writes its file at once where it is large or there are many."""
    count, size = encoder.kept
    if len(encoder.objects) < count:  # those were written meanwhile
        size = 0
    size += len(data)
    if encoder.write_blob is not None and (not isinstance(data, bytes) or size > _IN_MEMORY):
        encoder.write_blob(digest, data)
    else:
        encoder.add({digest: ("blob", bytes(data))})
        encoder.kept = len(encoder.objects), size


def bring_back(fmt: ObjectFormat, blob: Digest, data: memoryview, path: str, *, executable: bool) -> None:
    """Writes the bytes of a blob to a file: all of them, or none.

    Raises:
        StoreDamaged: if they are not those of the blob.
        OSError, TaskError: if the file cannot be written.
    """
    parts = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    if stream_id(fmt, "blob", len(data), parts) != blob:
        raise StoreDamaged(f"blob {blob.hex()}, with the bytes of {path}, has other bytes than it should", hint=_FSCK)
    filesystem = filesystem_of(path)
    with filesystem.open(path, "wb") as stream:
        for part in parts:
            stream.write(part)
        if executable and filesystem.name == _LOCAL:
            mode = os.fstat(stream.fileno()).st_mode
            os.fchmod(stream.fileno(), mode & 0o7777 | (mode & 0o444) >> 2)
