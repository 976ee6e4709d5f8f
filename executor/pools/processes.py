"""Worker processes of this machine, each started by executing Python anew: nothing of the run's own process (threads,
locks, the open store) is in them.

A worker has a socket to the run and nothing else in common with it; it is a process group of its own, so that whatever
its bodies have started ends with it. When the run is gone, however it ended, the socket says so, and the worker ends.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import deque
from contextlib import suppress
from typing import Final

from redun.core.codec import unpack
from redun.executor.config.records import ExecutorSettings
from redun.executor.pools.far import Begun, Deliver, Factory, Lost, Said
from redun.executor.pools.frames import BEGUN, SAID, receive, send
from redun.executor.pools.messages import Message
from redun.executor.pools.starting import UNKNOWN, Forker, Spawner, Starter, watch

#: How long a worker that is told to end, or whose socket has ended, may take (seconds).
_GRACE_SECONDS: Final = 2.0


class _Worker:
    """One worker process, and the thread that listens to it.

    Attributes:
        number: of the message that it works on.
    """

    def __init__(self, carrier: ProcessCarrier, starter: Starter) -> None:
        self._carrier = carrier
        self.number: int | None = None
        self._gone = False
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        watch(self._socket)
        with theirs:
            self._process = starter.start(theirs.fileno())
        self._thread = threading.Thread(target=self._listen, name="redun-worker", daemon=True)
        self._thread.start()

    def give(self, number: int, message: Message) -> bool:
        """Sends it a message; returns False where it is gone."""
        with self._lock:  # until then its descriptor stays what it is, also where it is found gone meanwhile
            if self._gone:
                return False
            self.number = number
            with suppress(OSError):  # then the listener finds it gone
                send(self._socket.fileno(), message)
        return True

    def _listen(self) -> None:
        while (data := self._next()) is not None:
            number = self.number
            if data == BEGUN:
                self._carrier.heard(self, number, Begun())
            elif data.startswith(SAID):
                self._carrier.heard(self, number, Said(*unpack(data[1:])))
            else:
                self.number = None
                self._carrier.heard(self, number, data)
        code = self._end_code()
        with self._lock:
            self._gone = True
            number, self.number = self.number, None
        self._socket.close()
        self._carrier.heard(self, number, Lost(_fate(code)))

    def _next(self) -> bytes | None:
        try:
            return receive(self._socket.fileno())
        except OSError:
            return None

    def _end_code(self) -> int:
        """Waits for its end, which is near, and returns how it ended."""
        if self.number is not None:  # it is no use any more, and what its bodies have started goes with it
            self.kill()
        code = self._process.wait(_GRACE_SECONDS)
        if code is None:  # threads that bodies have left behind keep it, or it closed its socket
            self.kill()
            code = self._process.wait(None)
        return UNKNOWN if code is None else code

    def end(self) -> None:
        """Lets it end by itself: it is idle."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """Ends it with all that its bodies have started."""
        self._process.kill()

    def join(self) -> None:
        """Waits until it has ended."""
        self._thread.join()


class ProcessCarrier:
    """A `Carrier` over worker processes. They are started when there is a message for them, and one that dies is
    replaced by the next message.

    As many messages again may wait here. A worker that has answered is given the next one by whoever listens to it, so
    that it need not wait for the run, which has the answer to look at.
    """

    isolates_after: int | None = None
    tells_begin = True

    def __init__(self, slots: int, starter: Starter, deliver: Deliver) -> None:
        self.slots = slots
        self.ahead = slots
        self._starter = starter
        self._deliver = deliver
        #: Guards what follows: the run and those who listen to workers share it.
        self._lock = threading.Lock()
        self._idle: deque[_Worker] = deque()
        self._workers: set[_Worker] = set()
        self._waiting: deque[tuple[int, Message]] = deque()
        self._closing = False

    def send(self, number: int, message: Message) -> None:
        """See `Carrier.send`."""
        with self._lock:
            self._waiting.append((number, message))
            self._hand_out()

    def _hand_out(self) -> None:
        """Gives messages to workers, as long as there are both. The caller holds the lock."""
        while self._waiting and not self._closing:
            if self._idle:
                if self._idle.popleft().give(*self._waiting[0]):
                    self._waiting.popleft()
            elif len(self._workers) < self.slots:
                worker = _Worker(self, self._starter)
                self._workers.add(worker)
                self._idle.append(worker)
            else:
                return

    def heard(self, worker: _Worker, number: int | None, what: bytes | Lost | Begun | Said) -> None:
        """Takes what a worker says, on the thread that listens to it."""
        if not isinstance(what, Begun | Said):
            with self._lock:
                if isinstance(what, Lost):
                    self._workers.discard(worker)
                else:
                    self._idle.append(worker)
                self._hand_out()
        if number is not None:
            self._deliver(number, what)

    def cancel(self, number: int) -> bool:
        """See `Carrier.cancel`."""
        with self._lock:
            waiting = deque(item for item in self._waiting if item[0] != number)
            if len(waiting) < len(self._waiting):
                self._waiting = waiting
                return True
            for worker in self._workers:
                if worker.number == number:
                    worker.kill()
                    return True
        return False

    def close(self) -> None:
        """See `Carrier.close`."""
        with self._lock:
            self._closing = True
            workers = list(self._workers)
        for worker in workers:
            if worker.number is None:
                worker.end()
            else:
                worker.kill()
        for worker in workers:
            worker.join()
        self._starter.close()


def _fate(code: int) -> str:
    if code == UNKNOWN:
        return "is gone, nobody knows how"
    if code < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"
    return f"ended with exit code {code}"


def factory_of(settings: ExecutorSettings) -> Factory:
    """Returns what makes the carrier of an executor: as many processes as it says, or one a core."""
    slots = settings.workers or cores()
    starter = Spawner if settings.start_method == "spawn" else Forker
    return lambda deliver: ProcessCarrier(slots, starter(), deliver)


def shares_files(_: ExecutorSettings) -> bool:
    """Returns whether the workers see the files of this machine: they do."""
    return True


def reads_store(_: ExecutorSettings) -> bool:
    """Returns whether the workers read the store by themselves: they do."""
    return True


def cores() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
