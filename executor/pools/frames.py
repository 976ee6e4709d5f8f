"""Frames on a socket: the size of a message, and the message."""

from __future__ import annotations

import socket
import struct
from typing import Final

_SIZE: Final = struct.Struct("!Q")
#: A frame that says that a body begins; no answer is as short.
BEGUN: Final = b"b"


def send(connection: socket.socket, data: bytes) -> None:
    """Sends a frame.

    Raises:
        OSError: if nobody is there any more.
    """
    if len(data) > 64 * 1024:
        connection.sendall(_SIZE.pack(len(data)))
        connection.sendall(data)
    else:
        connection.sendall(_SIZE.pack(len(data)) + data)


def receive(connection: socket.socket) -> bytes | None:
    """Returns the next frame, or None at the end.

    Raises:
        OSError: if the connection broke.
    """
    head = _read(connection, _SIZE.size)
    return None if head is None else _read(connection, _SIZE.unpack(head)[0])


def _read(connection: socket.socket, size: int) -> bytes | None:
    data = connection.recv(min(size, 1 << 20))
    if len(data) == size:
        return data
    parts = bytearray(data)
    while data and len(parts) < size:
        data = connection.recv(min(size - len(parts), 1 << 20))
        parts += data
    return bytes(parts) if len(parts) == size else None
