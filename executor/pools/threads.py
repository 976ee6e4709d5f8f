"""The thread pool: workers take messages of several jobs from one queue and answer through another.

A queue costs 0.6 microseconds a message and a `Future` 15 to 40, so there are no futures. Tiny jobs travel many to a
message; when one takes long after all, idle workers are given the same message and take what has not been begun, so
that a slow job among fast ones holds nobody up.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from sys import getprofile, getrecursionlimit, gettrace, setprofile, setrecursionlimit, settrace
from time import perf_counter_ns
from typing import Any, Final

from redun.core.tasks import running
from redun.executor.pools.attended import Attended, stop_on
from redun.executor.pools.contract import Answer, Outbox, Reply, Work

#: After this time (seconds) idle workers help with a message, and what it has come to so far is handed over.
_PATIENCE: Final = 0.01
#: How often it is looked whether there is more of that.
_LOOK: Final = 0.05


class ThreadPool:
    """Runs bodies in threads of this process; a `Pool` that takes `Work`.

    A thread cannot be stopped from outside: a body that is cancelled runs on, and `close` does not wait for it. The
    processes of a script are ended.
    """

    ahead = 0

    def __init__(self, threads: int, outbox: Outbox) -> None:
        self.slots = threads
        self._inbox: SimpleQueue[deque[Work] | None] = SimpleQueue()
        self.outbox = outbox
        self._workers: list[threading.Thread] = []
        self._messages = 0
        #: Messages of several pieces of work that were sent, oldest first, until they are found empty.
        self._sent: list[deque[Work]] = []
        #: By their tags, messages of one piece of work that may be cancelled, and what they run.
        self._timed: dict[Any, tuple[deque[Work], Any]] = {}
        #: Messages that were given up while their bodies ran: each takes up a worker until it ends.
        self._given_up: list[deque[Work]] = []
        #: Worker -> answers to the message that it works on, where that is several pieces of work.
        self._open: dict[int, deque[Answer]] = {}
        self._halted = False
        #: The thread that `run_here` runs a body on, 0 while there is none.
        self._here = 0

    @property
    def messages(self) -> int:
        """Messages that have not been answered."""
        return self._messages

    def submit(self, work: list[Work]) -> None:
        """Sends one message."""
        message = deque(work)
        if len(work) > 1:
            self._sent.append(message)
        elif work[0].timed:
            self._timed[work[0].tag] = message, work[0].function
        self._send(message)

    def _send(self, message: deque[Work]) -> None:
        self._messages += 1
        if len(self._workers) - len(self._given_up) < min(self.slots, self._messages):
            worker = threading.Thread(target=self._run, name=f"redun-{len(self._workers)}", daemon=True)
            self._workers.append(worker)
            worker.start()
        self._inbox.put(message)

    def accept(self, event: tuple[deque[Work], tuple[deque[Answer], list[Work]]]) -> Reply:
        """See `Pool.accept`."""
        message, reply = event
        if self._given_up and any(other is message for other in self._given_up):
            self._given_up = [other for other in self._given_up if other is not message]
            return [], []
        self._messages -= 1
        answers, left = list(reply[0]), reply[1]
        if self._timed:
            for answer in answers:
                self._timed.pop(answer.tag, None)
        return answers, left

    def patience(self) -> float | None:
        """See `Pool.patience`."""
        if self._sent:
            return _PATIENCE
        return _LOOK if self._open else None

    def tend(self) -> Reply:
        """Lets idle workers take part in messages that nobody has finished, and returns what these came to so far: one
        slow body is no reason why what ended before it should be lost in a crash."""
        self._sent = [message for message in self._sent if message]
        for message in self._sent:
            for _ in range(min(self.slots - self._messages, len(message))):
                self._send(message)
        early: list[Answer] = []
        for answers in list(self._open.values()):
            with suppress(IndexError):
                while True:
                    early.append(answers.popleft())
        return early, []

    def cancel(self, tag: Any) -> bool:
        """See `Pool.cancel`: nothing stops a thread. Another one takes its place, for work that is timed. A script is
        ended all the same, so that its thread comes to its end soon."""
        message, function = self._timed.pop(tag, (None, None))
        if message is None:
            return False
        self._messages -= 1
        self._given_up.append(message)
        try:
            message.popleft()
        except IndexError:
            if isinstance(function, Attended):
                function.stop()
            return False
        return True

    def run_here(self, work: list[Work]) -> Reply:
        """Runs work on the calling thread and returns the reply. Waking another thread and being woken by it costs more
        than a tiny body does."""
        self._here = threading.get_ident()
        try:
            answers, left = self._work(deque(work))
            return list(answers), left
        finally:
            self._here = 0

    def interrupt(self) -> None:
        """Sends SIGINT to a body that `run_here` runs on the main thread; no other can be reached. Any thread may."""
        if self._here == threading.main_thread().ident:
            signal.pthread_kill(self._here, signal.SIGINT)

    def halt(self) -> None:
        """Makes workers hand back all work that they have not begun."""
        self._halted = True

    def close(self) -> None:
        """Ends the workers after what they are doing, which is cut short where it is a script; does not wait for a body
        that never returns."""
        stop_on(worker.ident for worker in self._workers)
        for _ in self._workers:
            self._inbox.put(None)
        self._workers = []

    def _run(self) -> None:
        while (message := self._inbox.get()) is not None:
            self.outbox.put((self, (message, self._work(message))))

    def _work(self, message: deque[Work]) -> tuple[deque[Answer], list[Work]]:
        before = running.body, running.nested  # a body may run expressions, whose bodies may run on the same thread
        running.body, running.nested = True, False
        answers: deque[Answer] = deque()
        if len(message) > 1:
            self._open[threading.get_ident()] = answers
        try:
            return answers, self._answers(message, answers)
        finally:
            running.body, running.nested = before
            self._open.pop(threading.get_ident(), None)

    def _answers(self, message: deque[Work], answers: deque[Answer]) -> list[Work]:
        """Runs what is in the message; returns what was not begun."""
        forks, trace, profile, limit = _forks, gettrace(), getprofile(), getrecursionlimit()
        start = perf_counter_ns()
        while not self._halted:
            try:
                tag, function, args, kwargs, _ = message.popleft()
            except IndexError:
                return []
            try:
                value = function(*args, **kwargs)
                ok = True
            except BaseException as error:  # noqa: BLE001  sys.exit() fails the task, it does not end the worker
                value, ok = error, False
            if forks != _forks:
                _end_child(value, ok)
            try:  # what the body left behind in its thread would break the code that runs after it
                if gettrace() is not trace:
                    settrace(trace)
                if getprofile() is not profile:
                    setprofile(profile)
                if getrecursionlimit() < limit:
                    setrecursionlimit(limit)
            except BaseException:  # noqa: BLE001  it was a profiler that raises, and Python has taken it away
                settrace(trace)
            stop = perf_counter_ns()
            nested = running.nested
            if nested:
                running.nested = False
            answers.append(Answer(tag, ok, value, start, stop, nested))
            start = stop
        return _drained(message)


#: How many forks lie between the first process and this one.
_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


def _end_child(value: Any, ok: bool) -> None:
    """Ends a process that a body forked and let run on: two processes must not go on with one execution."""
    code = 0
    if not ok:
        code = value.code if isinstance(value, SystemExit) and isinstance(value.code, int) else 1
    with suppress(Exception):
        if not isinstance(value, SystemExit):
            sys.stderr.write("redun: a process that a task forked came to the end of the task's body; it ends\n")
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _drained(message: deque[Work]) -> list[Work]:
    left: list[Work] = []
    with suppress(IndexError):  # others may be at it, too
        while True:
            left.append(message.popleft())
    return left
