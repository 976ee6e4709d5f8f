"""A line on the terminal that says how far something long has come."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redun.cli.colors import is_terminal

#: Nothing is shown of what takes less, and the line is not rewritten more often than that (seconds).
_PATIENCE_S: Final = 0.5
_AGAIN_S: Final = 0.1
_CLEAR: Final = "\r\x1b[K"


class Steps:
    """Is told (what, how many done, of how many) now and then, and shows it where somebody looks."""

    def __init__(self, *, wanted: bool) -> None:
        self._live = wanted and is_terminal(sys.stderr)
        self._due = time.monotonic() + _PATIENCE_S
        self._shown = False

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows how far it has come."""
        now = time.monotonic()
        if self._live and now >= self._due:
            self._due, self._shown = now + _AGAIN_S, True
            sys.stderr.write(f"{_CLEAR}{what}: {done:,}" + (f" of {total:,}" if total else ""))
            sys.stderr.flush()

    def clear(self) -> None:
        """Makes room for a line of something else."""
        if self._shown:
            self._shown = False
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()


@contextmanager
def steps(*, wanted: bool) -> Iterator[Steps]:
    """Gives what shows the steps, and clears its line at the end."""
    shown = Steps(wanted=wanted)
    try:
        yield shown
    finally:
        shown.clear()
