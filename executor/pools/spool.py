"""Large messages between processes of one machine: kept in a file that the other side maps, so that no pipe has to
carry them. The file is in memory where the system has such a file system."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from typing import Any, Final

#: A body above this is kept in a file.
_LARGE: Final = 128 * 1024
#: Where the directory is made: in memory, or else where temporary files go. Not by `tempfile`, which costs every worker
#: 10 ms of its start.
_PLACES: Final = ("/dev/shm", os.environ.get("TMPDIR") or "/tmp")


def make() -> str:
    """Returns a new directory, or an empty text where none can be made."""
    for where in _PLACES:
        path = os.path.join(where, f"redun-{os.urandom(8).hex()}")
        with suppress(OSError):
            os.mkdir(path, 0o700)
            return path
    return ""


def remove(directory: str) -> None:
    """Removes it with all that is in it; nothing happens where it is gone."""
    if not directory:
        return
    with suppress(OSError):
        for name in os.listdir(directory):
            with suppress(OSError):  # who reads a message removes it
                os.unlink(os.path.join(directory, name))
        os.rmdir(directory)


def kept(body: bytes, directory: str) -> list[Any]:
    """Returns what to send for a body: itself, or where it is kept."""
    if len(body) <= _LARGE or not directory or not os.path.isdir(directory):
        return [body]
    path = os.path.join(directory, os.urandom(8).hex())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(body)
    except OSError:  # no room: then it goes with the message
        with suppress(OSError):
            os.unlink(path)
        return [body]
    return [path, len(body)]


def taken(sent: list[Any]) -> bytes | memoryview:
    """Returns the body of what was sent. A file is removed: a message is read once.

    Raises:
        OSError: if the file is gone or was cut short.
    """
    if len(sent) == 1:
        body: bytes = sent[0]
        return body
    path, size = sent
    with open(path, "rb") as file:
        os.unlink(path)
        if os.fstat(file.fileno()).st_size != size:
            raise OSError(f"{path} was cut short")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
