"""A line on the terminal that says how far something long has come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from redun.cli.colors import is_terminal

#: Nothing is shown of what takes less, and the line is not rewritten more often than that (seconds).
_PATIENCE_S: Final = 0.5
_AGAIN_S: Final = 0.1
_CLEAR: Final = "\r\x1b[K"


@contextmanager
def steps(*, wanted: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function that is told (what, how many done, of how many) now and then, and shows it on a terminal."""
    live = wanted and is_terminal(sys.stderr)
    due = time.monotonic() + _PATIENCE_S
    shown = False

    def progress(what: str, done: int, total: int) -> None:
        nonlocal due, shown
        now = time.monotonic()
        if live and now >= due:
            due, shown = now + _AGAIN_S, True
            sys.stderr.write(f"{_CLEAR}{what}: {done:,} of {total:,}")
            sys.stderr.flush()

    try:
        yield progress
    finally:
        if shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
