"""When this process wrote which path, as far as it did so by `File`: times of files have steps of some milliseconds, in
which a short body begins and ends."""

from __future__ import annotations

import threading
import time
from typing import Final

#: By path: when each thread wrote it last, on the performance counter.
_WRITTEN: Final[dict[str, dict[int, int]]] = {}
_LOCK: Final = threading.Lock()
#: Threads that are kept of one path.
_THREADS: Final = 8


def note_written(path: str) -> None:
    """Notes that what is at a path, as `File` keeps it, was changed or removed right now."""
    with _LOCK:
        times = _WRITTEN.get(path, {})
        # another dict each time: who looks at one may be in another thread
        kept = dict(sorted(times.items(), key=lambda item: item[1])[-_THREADS:]) if len(times) > _THREADS else times
        _WRITTEN[path] = {**kept, threading.get_ident(): time.perf_counter_ns()}


def written_at(path: str) -> int:
    """Returns when a path was written last, on the performance counter; 0 for never."""
    return max(_WRITTEN.get(path, {}).values(), default=0)


def writers_since(path: str, began: int) -> int:
    """Returns how many threads have written a path since then."""
    times = _WRITTEN.get(path)
    return sum(written >= began for written in times.values()) if times else 0
