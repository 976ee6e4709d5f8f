"""Stopping a run from outside: Ctrl-C, SIGTERM and SIGHUP become a request that the loop sees between jobs.

An exception in the middle of the evaluator would leave it in pieces. The second signal is not a request any more: it
raises KeyboardInterrupt wherever the program is.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stop_requests(request: Callable[[], None]) -> Iterator[None]:
    """Calls `request` on the first SIGINT, SIGTERM or SIGHUP. A signal that is ignored stays so: `nohup` asks for it.
    Does nothing off the main thread: signals are not ours there."""
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
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, handle)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _give_back_in_child() -> None:
    """Makes signals mean what they mean to any program, in a process that a body has forked: that is not the run.
    `multiprocessing` ends its workers by SIGTERM and waits for them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if str(getattr(signal.getsignal(number), "__module__", "")).startswith("redun."):
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


os.register_at_fork(after_in_child=_give_back_in_child)
