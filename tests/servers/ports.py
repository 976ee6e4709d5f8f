"""Ports for servers that cannot take any: who names one has to know beforehand that it will be free."""

from __future__ import annotations

import random
import socket
from typing import Final

#: Ports that no system gives to whoever asks for any, or to those who connect.
_OURS: Final = range(20_000, 32_000)


def free_port() -> int:
    """Returns a port on loopback that nobody uses, and that nobody is given by chance."""
    while True:
        port = random.SystemRandom().choice(_OURS)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
