"""Stopping a run from outside: Ctrl-C and SIGTERM become a request that the loop sees between jobs.

An exception in the middle of the evaluator would leave it in pieces. The second signal is not a request any more: it
raises KeyboardInterrupt wherever the program is.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stop_requests(request: Callable[[], None]) -> Iterator[None]:
    """Calls `request` on the first SIGINT or SIGTERM. Does nothing off the main thread: signals are not ours there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            raise KeyboardInterrupt
        request()

    before: dict[signal.Signals, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, handle)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
