"""The pool for somebody who debugs: bodies run on the run's own thread, one after the other, and are watched."""

from __future__ import annotations

import signal
import threading
from bdb import BdbQuit
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import NotFound
from redun.core.parameters import POSITIONAL, POSITIONAL_ONLY
from redun.core.values import Encoded, Encoder
from redun.executor.dropped import CALLERS
from redun.executor.pools.contract import Answer, Outbox, Work
from redun.executor.pools.threads import ThreadPool
from redun.executor.value_changes import differences

#: Changes of one argument that are told.
_TOLD: Final = 3


class HerePool(ThreadPool):
    """Runs a body as soon as it is submitted, on the thread that does so: a debugger has its terminal to itself, and
    what runs when is the same each time.

    Args:
        fmt: the store's object format.
        warned: is told what a body has changed of its arguments: no other call sees that, and on its next run neither
            does the task itself.
    """

    def __init__(self, outbox: Outbox, fmt: ObjectFormat, warned: Callable[[str], None]) -> None:
        super().__init__(1, outbox)
        self._fmt = fmt
        self._warned = warned

    def _send(self, message: deque[Work]) -> None:
        self._messages += 1
        self._here = threading.get_ident()
        try:
            reply = self._work(message)
        finally:
            self._here = 0
        self.outbox.put((self, (message, reply)))

    def _work(self, message: deque[Work]) -> tuple[deque[Answer], list[Work]]:
        for place, work in enumerate(message):
            message[place] = work._replace(function=_Watched(work, self._fmt, self._warned))
        return super()._work(message)


class _Watched:
    """A body that is looked at before and after: whether it changes its arguments, and whether the debugger was left in
    it."""

    def __init__(self, work: Work, fmt: ObjectFormat, warned: Callable[[str], None]) -> None:
        self._work = work
        self._fmt = fmt
        self._warned = warned

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self._work.function  # under this name it is looked for where a call is dropped
        given = list(_named(self._work.tag.task, args, kwargs))
        before = [self._encoded(value) for _, value in given]
        try:
            return function(*args, **kwargs)
        except BdbQuit:
            if threading.current_thread() is not threading.main_thread():
                raise
            signal.raise_signal(signal.SIGINT)  # who leaves the debugger means the run
            raise KeyboardInterrupt from None
        finally:
            for (name, value), old in zip(given, before, strict=True):
                self._compare(name, old, self._encoded(value))

    def _encoded(self, value: Any) -> tuple[Encoded, Encoder] | None:
        """The value's encoding; None where it has none, or stands for something outside, which may change."""
        encoder = Encoder(self._fmt)
        try:
            encoded = encoder.encode(value)
        except Exception:  # noqa: BLE001  the user's own code runs while a value gives its state
            return None
        return None if encoded.externals else (encoded, encoder)

    def _compare(self, name: str, old: tuple[Encoded, Encoder] | None, new: tuple[Encoded, Encoder] | None) -> None:
        if old is None or new is None or old[0].payload == new[0].payload:
            return
        objects = {**old[1].objects, **new[1].objects}

        def fetch(digest: Digest) -> tuple[str, bytes]:
            if digest not in objects:
                raise NotFound(digest.hex())
            return objects[digest]

        found = differences(name, old[0].payload, new[0].payload, fetch)
        told = "; ".join(change.text() for change in found.changes[:_TOLD])
        more = ", and more" if found.more or len(found.changes) > _TOLD else ""
        task = self._work.tag.task.fullname
        self._warned(f"{task} changes its argument {name}, which nobody else sees: {told}{more}; change a copy instead")


CALLERS.add(_Watched.__call__.__code__)


def _named(task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    names = [name for name, kind in task.params if kind in (POSITIONAL_ONLY, POSITIONAL)]
    for place, value in enumerate(args):
        yield (names[place] if place < len(names) else f"*args[{place - len(names)}]"), value
    yield from kwargs.items()
