"""Python's cyclic garbage collector during a run.

A run makes a few tracked objects a job that live until the job has ended. With the collector's usual threshold (a young
generation of 700 objects) it looks at them again and again and finds nothing: measured, a third of the time of a job
that is answered from the store. So the threshold is raised while a run goes on, and the young are looked at by the
clock besides: bodies may leave cycles that hold much memory and few objects.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_YOUNG: Final = 250_000
_MIDDLE: Final = 50
#: Between two looks by the clock. One costs about 0.2 us for each young object.
_SECONDS: Final = 0.5
_lock: Final = threading.Lock()
_runs = 0
_before: tuple[int, int, int] = (700, 10, 10)
_looked = 0.0


@contextmanager
def calm_collector() -> Iterator[None]:
    """Makes the collector less eager while at least one run is going on in this process, in any thread. One that is
    switched off stays so."""
    global _runs, _before, _looked
    with _lock:
        if _runs == 0:
            _before = gc.get_threshold()
            _looked = time.monotonic()
            if 0 < _before[0] < _YOUNG:
                gc.set_threshold(_YOUNG, _MIDDLE, _before[2])
        _runs += 1
    try:
        yield
    finally:
        with _lock:
            _runs -= 1
            if _runs == 0:
                gc.set_threshold(*_before)


def look(now: float) -> None:
    """Collects the young generation if that was not done for a while; `now` is `time.monotonic()`. Call it often."""
    global _looked
    if now - _looked > _SECONDS and gc.isenabled():
        _looked = now
        if gc.get_count()[0] > _before[0] > 0:
            gc.collect(0)
