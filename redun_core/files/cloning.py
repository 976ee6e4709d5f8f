"""Copying what a local file holds: shared with the original where the disk can do that, else inside the kernel."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Final

_FICLONE: Final = 0x40049409
_PIECE: Final = 64 << 20
_CHUNK: Final = 1 << 20
#: What a kernel or a disk says that cannot do it; then it is tried another way.
_CANNOT: Final = frozenset(
    {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.EBADF, errno.ETXTBSY}
)


def clone(source: int, target: int) -> None:
    """Copies all of one open file into another, which is empty.

    Raises:
        OSError: if it cannot be read or written.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    copied = 0
    try:
        while count := os.copy_file_range(source, target, _PIECE):
            copied += count
    except OSError as error:
        if copied or error.errno not in _CANNOT:
            raise
    if not copied:  # some kernels copy nothing of files that only seem empty, as those in /proc
        while chunk := os.read(source, _CHUNK):
            _write(target, chunk)


def _write(target: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(target, view) :]
