"""The thread pool: workers take messages of several jobs from one queue and answer through another.

A queue costs 0.6 microseconds a message and a `Future` 15 to 40, so there are no futures. Tiny jobs travel many to a
message; a worker that finds its message taking long hands back what it has not begun, so that a slow job among fast
ones holds nobody up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import perf_counter_ns
from typing import Any, Final, NamedTuple

from redun.core.tasks import running

#: A worker gives back the rest of its message after this time.
_PATIENCE_NS: Final = 10_000_000


class Work(NamedTuple):
    """One body to run. `tag` is the submitter's own, handed back with the answer."""

    tag: Any
    function: Callable[..., Any]
    args: tuple[Any, ...] | list[Any]
    kwargs: dict[str, Any]


class Answer(NamedTuple):
    """What became of one body: its value or error, and when it ran (nanoseconds of the performance counter)."""

    tag: Any
    ok: bool
    value: Any
    started: int
    stopped: int


#: Answers to a message, and the part of it that was not begun.
Reply = tuple[list[Answer], list[Work]]


class ThreadPool:
    """Runs bodies in threads of this process.

    Promised: every submitted piece of work is answered or handed back exactly once; bodies run concurrently. Not
    promised: any order. `submit`, `take` and `close` belong to one thread.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._inbox: SimpleQueue[list[Work] | None] = SimpleQueue()
        self._outbox: SimpleQueue[Reply | None] = SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._messages = 0
        self._halted = False

    @property
    def messages(self) -> int:
        """Messages that have not been answered."""
        return self._messages

    def submit(self, work: list[Work]) -> None:
        """Sends one message."""
        self._messages += 1
        if len(self._workers) < min(self.threads, self._messages):
            worker = threading.Thread(target=self._run, name=f"redun-{len(self._workers)}", daemon=True)
            self._workers.append(worker)
            worker.start()
        self._inbox.put(work)

    def take(self, timeout: float | None) -> Reply | None:
        """Returns the next reply, or None when the time (seconds) is over or `wake` was called."""
        try:
            reply = self._outbox.get(timeout=timeout)
        except Empty:
            return None
        if reply is not None:
            self._messages -= 1
        return reply

    def run_here(self, work: list[Work]) -> Reply:
        """Runs work on the calling thread and returns the reply. Waking another thread and being woken by it costs more
        than a tiny body does."""
        return self._work(work)

    def wake(self) -> None:
        """Makes `take` return. May be called from a signal handler or another thread."""
        self._outbox.put(None)

    def halt(self) -> None:
        """Makes workers hand back all work that they have not begun."""
        self._halted = True

    def close(self) -> None:
        """Ends the workers after what they are doing; does not wait for a body that never returns."""
        for _ in self._workers:
            self._inbox.put(None)
        self._workers = []

    def _run(self) -> None:
        while (message := self._inbox.get()) is not None:
            self._outbox.put(self._work(message))

    def _work(self, message: list[Work]) -> Reply:
        running.body = True
        try:
            return self._answers(message)
        finally:
            running.body = False

    def _answers(self, message: list[Work]) -> Reply:
        answers: list[Answer] = []
        begin = start = perf_counter_ns()
        for position, (tag, function, args, kwargs) in enumerate(message):
            if self._halted or start - begin > _PATIENCE_NS:
                return answers, message[position:]
            try:
                value = function(*args, **kwargs)
                ok = True
            except BaseException as error:  # noqa: BLE001  sys.exit() fails the task, it does not end the worker
                value, ok = error, False
            stop = perf_counter_ns()
            answers.append(Answer(tag, ok, value, start, stop))
            start = stop
        return answers, []
