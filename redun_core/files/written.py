"""When this process wrote which path, as far as it did so by `File`: times of files have steps of some milliseconds, in
which a short body begins and ends."""

from __future__ import annotations

import time
from typing import Final

_WRITTEN: Final[dict[str, int]] = {}


def note_written(path: str) -> None:
    """Notes that what is at a path, as `File` keeps it, was changed or removed right now."""
    _WRITTEN[path] = time.perf_counter_ns()


def written_at(path: str) -> int:
    """Returns when a path was written last, on the performance counter; 0 for never."""
    return _WRITTEN.get(path, 0)
