"""Worker processes of this machine, each started by executing Python anew: nothing of the run's own process (threads,
locks, the open store) is in them.

A worker has a socket to the run and nothing else in common with it; it is a process group of its own, so that whatever
its bodies have started ends with it. When the run is gone, however it ended, the socket says so, and the worker ends.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Final

from redun.executor.config.records import ExecutorSettings
from redun.executor.pools.far import Begun, Deliver, Factory, Lost
from redun.executor.pools.frames import BEGUN, receive, send
from redun.executor.pools.messages import Message

#: What the interpreter of a worker runs. The path comes first: in some directories `redun` would be found elsewhere.
_START: Final = (
    "import sys; sys.path[:] = sys.argv[2:]; from redun.executor.pools.worker import serve; serve(int(sys.argv[1]))"
)
#: How long idle workers may take to end (seconds).
_GRACE_SECONDS: Final = 2.0


class _Worker:
    """One worker process, and the thread that listens to it."""

    def __init__(self, carrier: ProcessCarrier) -> None:
        self._carrier = carrier
        self.number: int | None = None
        self._socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, *_flags(), "-c", _START, str(theirs.fileno()), *(p or os.getcwd() for p in sys.path)],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                process_group=0,
            )
        threading.Thread(target=self._listen, name="redun-worker", daemon=True).start()

    def give(self, number: int, message: Message) -> None:
        """Sends it a message; one that is dead tells the listener."""
        self.number = number
        with suppress(OSError):
            send(self._socket, message)

    def _listen(self) -> None:
        while True:
            try:
                data = receive(self._socket)
            except OSError:
                data = None
            if data is None:
                break
            number = self.number
            if data == BEGUN:
                self._carrier.heard(self, number, Begun())
            else:
                self.number = None
                self._carrier.heard(self, number, data)
        number, self.number = self.number, None
        self._carrier.heard(self, number, Lost(_fate(self.process.wait())))

    def end(self) -> None:
        """Lets it end by itself: it is idle."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """Ends it with all that its bodies have started."""
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with suppress(OSError):
            self.process.kill()

    def bury(self) -> None:
        """Waits for its end, and sees to it."""
        try:
            self.process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()
        self._socket.close()


class ProcessCarrier:
    """A `Carrier` over worker processes. They are started when there is a message for them, and one that dies is
    replaced by the next message."""

    shares_fate = False
    tells_begin = True

    def __init__(self, slots: int, deliver: Deliver) -> None:
        self.slots = slots
        self._deliver = deliver
        self._idle: deque[_Worker] = deque()
        self._workers: set[_Worker] = set()
        self._closed = False

    def send(self, number: int, message: Message) -> None:
        """See `Carrier.send`."""
        worker = None
        while worker is None and self._idle:
            worker = self._idle.popleft()
            if worker.process.poll() is not None:
                worker = None
        if worker is None:
            worker = _Worker(self)
            self._workers.add(worker)
        worker.give(number, message)

    def heard(self, worker: _Worker, number: int | None, what: bytes | Lost | Begun) -> None:
        """Takes what a worker says, on the thread that listens to it."""
        if isinstance(what, Lost):
            self._workers.discard(worker)
        elif isinstance(what, bytes):
            self._idle.append(worker)
        if number is not None:
            self._deliver(number, what)

    def cancel(self, number: int) -> bool:
        """See `Carrier.cancel`."""
        for worker in list(self._workers):
            if worker.number == number:
                worker.kill()
                return True
        return False

    def close(self) -> None:
        """See `Carrier.close`."""
        workers = list(self._workers)
        for worker in workers:
            if worker.number is None:
                worker.end()
            else:
                worker.kill()
        for worker in workers:
            worker.bury()


def _fate(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"
    return f"ended with exit code {code}"


def _flags() -> list[str]:
    """What this interpreter was started with: `-O`, `-W error`, `-X dev`."""
    flags: Any = getattr(subprocess, "_args_from_interpreter_flags", list)
    return list(flags())


def factory_of(settings: ExecutorSettings) -> Factory:
    """Returns what makes the carrier of an executor: as many processes as it says, or one a core."""
    slots = settings.workers or cores()
    return lambda deliver: ProcessCarrier(slots, deliver)


def shares_files(_: ExecutorSettings) -> bool:
    """Returns whether the workers see the files of this machine: they do."""
    return True


def cores() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
