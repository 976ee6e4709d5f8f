"""The pool of `async def` tasks: one event loop on a thread of its own, on which any number of bodies wait at once.

What a body awaits is put in the outbox with a future, as everything a pool has to say is; the run evaluates it and
gives the future what came of it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Final, NamedTuple

from redun.core.awaiting import asking
from redun.core.tasks import running
from redun.executor.pools.contract import Answer, Outbox, Reply, Work

#: Bodies at once: each costs some kilobytes.
_SLOTS: Final = 1000


class Asked(NamedTuple):
    """A body awaits an expression; `future` is to be given the value."""

    expression: Any
    future: asyncio.Future[Any]


class CoroutinePool:
    """Runs the bodies of async tasks.

    Args:
        asked: is told, on the run's own thread, what a body awaits: its tag, the expression, and a ticket for `tell`.
    """

    slots = _SLOTS
    ahead = 0

    def __init__(self, outbox: Outbox, asked: Callable[[Any, Any, Any], None]) -> None:
        self.outbox = outbox
        self._asked = asked
        self._loop = asyncio.new_event_loop()
        #: By the `id` of its work, each body: one that was cancelled may go on, while its job is tried again.
        self._bodies: dict[int, asyncio.Task[None]] = {}
        #: Work that was begun and not answered, by its tag.
        self._begun: dict[Any, Work] = {}
        #: By the `id` of the future that is to be given it, the tag of each body that waits for a value.
        self._waiting: dict[int, Any] = {}
        self._halted = False
        self._thread = threading.Thread(target=self._run, name="redun-async", daemon=True)
        self._thread.start()

    @property
    def messages(self) -> int:
        """Bodies that have not ended."""
        return len(self._begun)

    def submit(self, work: list[Work]) -> None:
        """Begins bodies."""
        for piece in work:
            self._begun[piece.tag] = piece
            self._loop.call_soon_threadsafe(self._begin, piece)

    def accept(self, event: tuple[Work, Answer | Asked]) -> Reply:
        """Returns what came of a body; what a body awaits is handed on. What one says that was cancelled is ignored."""
        work, said = event
        if self._begun.get(work.tag) is not work:
            return [], []
        if isinstance(said, Asked):
            if self._halted:
                self.cancel(work.tag)
            else:
                self._waiting[id(said.future)] = work.tag
                self._asked(work.tag, said.expression, said.future)
            return [], []
        del self._begun[work.tag]
        return [said], []

    def tell(self, future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
        """Gives a body what it awaits."""
        self._waiting.pop(id(future), None)
        self._loop.call_soon_threadsafe(_settle, future, value, error)

    def patience(self) -> float | None:
        """Never needs anything by itself."""
        return None

    def tend(self) -> Reply:
        """Has nothing to do."""
        return [], []

    def cancel(self, tag: Any) -> bool:
        """Cancels a body at what it awaits."""
        work = self._begun.pop(tag, None)
        if work is not None:
            self._loop.call_soon_threadsafe(self._cancel, work)
        return True

    def halt(self) -> None:
        """Cancels bodies that wait for a value: nothing is evaluated any more. Others may come to their end."""
        self._halted = True
        for tag in dict.fromkeys(self._waiting.values()):
            self.cancel(tag)
        self._waiting.clear()

    def close(self) -> None:
        """Cancels all bodies and ends the loop; does not wait for one that never awaits anything."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    # -- on the loop's thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        running.body = True
        try:
            self._loop.run_forever()
            bodies, self._bodies = list(self._bodies.values()), {}
            for body in bodies:
                body.cancel()
            self._loop.run_until_complete(asyncio.gather(*bodies, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    def _begin(self, work: Work) -> None:
        self._bodies[id(work)] = self._loop.create_task(self._body(work))

    def _cancel(self, work: Work) -> None:
        task = self._bodies.pop(id(work), None)
        if task is not None:
            task.cancel()

    async def _body(self, work: Work) -> None:
        asking.set(lambda expression: self._ask(work, expression))
        start = perf_counter_ns()
        try:
            value, ok = await work.function(*work.args, **work.kwargs), True
        except BaseException as error:  # noqa: BLE001  sys.exit() fails the task, it does not end the loop
            value, ok = error, False
        if self._bodies.pop(id(work), None) is None:
            return  # it was cancelled, and nobody waits for its answer
        self.outbox.put((self, (work, Answer(work.tag, ok, value, start, perf_counter_ns(), False))))

    def _ask(self, work: Work, expression: Any) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        self.outbox.put((self, (work, Asked(expression, future))))
        return future


def _settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():  # its body was cancelled meanwhile
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
