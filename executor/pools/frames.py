"""Frames on a stream socket, by its descriptor: the size of a message, and the message."""

from __future__ import annotations

import os
import struct
from typing import Final

_SIZE: Final = struct.Struct("!Q")
#: A frame that says that a body begins; no answer is as short.
BEGUN: Final = b"b"
#: The first byte of a frame that says what a body says; no answer begins with it.
SAID: Final = b"s"
_STEP: Final = 1 << 20


def send(descriptor: int, data: bytes) -> None:
    """Sends a frame.

    Raises:
        OSError: if nobody is there any more.
    """
    left = memoryview(_SIZE.pack(len(data)) + data)
    while left:
        left = left[os.write(descriptor, left) :]


def receive(descriptor: int) -> bytes | None:
    """Returns the next frame, or None at the end.

    Raises:
        OSError: if the connection broke.
    """
    head = _read(descriptor, _SIZE.size)
    return None if head is None else _read(descriptor, _SIZE.unpack(head)[0])


def _read(descriptor: int, size: int) -> bytes | None:
    data = os.read(descriptor, min(size, _STEP))
    if len(data) == size:
        return data
    parts = bytearray(data)
    while data and len(parts) < size:
        data = os.read(descriptor, min(size - len(parts), _STEP))
        parts += data
    return bytes(parts) if len(parts) == size else None
