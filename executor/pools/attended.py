"""Bodies that more can be said of than that they ran: scripts, which say things meanwhile and can be stopped.

A thread cannot be stopped from outside, but the processes that its body waits for can. A body finds who attends to it
by the thread that it runs on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from redun.core.errors import Interrupted

#: Takes lines that a body says while it runs.
Say = Callable[[list[str]], None]


class Attended:
    """A body that is told to stop by `stop`, and says what it has to say by `say`, where anybody listens.

    `stop` may be called on any thread, at any time, also before the body has begun and after it has ended.
    """

    __slots__ = ("_function", "_lock", "_stop", "_stopped", "say")

    def __init__(self, function: Callable[..., Any], say: Say | None = None) -> None:
        self._function = function
        self.say = say
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self._stopped = False

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        thread = threading.get_ident()
        before = _BUSY.get(thread)  # a body may run expressions, whose bodies may run on the same thread
        _BUSY[thread] = self
        try:
            return self._function(*args, **kwargs)
        finally:
            if before is None:
                del _BUSY[thread]
            else:
                _BUSY[thread] = before

    def stop(self) -> None:
        """Stops what the body waits for, now or as soon as it begins to."""
        with self._lock:
            self._stopped = True
            if self._stop is not None:
                self._stop()

    @contextmanager
    def stoppable(self, stop: Callable[[], None]) -> Iterator[None]:
        """Lets `stop` be what stops the body meanwhile.

        Raises:
            Interrupted: if it was to stop before.
        """
        with self._lock:
            if self._stopped:
                raise Interrupted("it was stopped before it began")
            before, self._stop = self._stop, stop
        try:
            yield
        finally:
            with self._lock:
                self._stop = before


#: By its thread, what is under way.
_BUSY: Final[dict[int, Attended]] = {}


def attended() -> Attended | None:
    """Returns who attends to the body that the calling thread runs, if anybody does."""
    return _BUSY.get(threading.get_ident())


def stop_on(threads: Iterable[int | None]) -> None:
    """Stops the bodies that run on these threads, as far as they can be."""
    for thread in threads:
        found = _BUSY.get(thread or 0)
        if found is not None:
            found.stop()
