"""Starting worker processes, ending them, and learning how they ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from itertools import count
from typing import Any, Final, Protocol
from weakref import WeakSet

from redun.executor.pools.template import BORN, DEAD, FORK, KILL, WORD

#: What an interpreter runs. The path comes first: in some directories `redun` would be found elsewhere.
_RUN: Final = (
    "import sys; sys.path[:] = sys.argv[2:]; from redun.executor.pools.{module} import {name}; {name}(int(sys.argv[1]))"
)
#: How it ended, where nobody can say.
UNKNOWN: Final = 1 << 20


class Process(Protocol):
    """A process that was started."""

    def kill(self) -> None:
        """Ends it with all that it has started. Harmless where it has ended."""
        ...

    def wait(self, timeout: float | None) -> int | None:
        """Returns its exit code (negative: the signal that ended it, `UNKNOWN` where nobody can say); None when the
        time (seconds) is over."""
        ...


class Starter(Protocol):
    """Starts worker processes."""

    def start(self, descriptor: int) -> Process:
        """Starts a worker with that socket, which the caller closes on its side."""
        ...

    def close(self) -> None:
        """Ends what the starter itself needed; the workers have ended by then."""
        ...


class Spawner:
    """Executes Python anew for each worker."""

    def start(self, descriptor: int) -> Process:
        """See `Starter.start`."""
        return _Spawned(_python("worker", "serve", descriptor))

    def close(self) -> None:
        """See `Starter.close`."""


class _Spawned:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def kill(self) -> None:
        if self._process.returncode is None:  # nobody has waited for it, so that the number is its own
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, timeout: float | None) -> int | None:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None


class Forker:
    """Executes Python anew once, for a template that forks the workers: they start in milliseconds."""

    def __init__(self) -> None:
        self._numbers = count()
        self._lock = threading.Lock()
        self._unborn: dict[int, _Forked] = {}
        self._alive: dict[int, _Forked] = {}
        self._begin()

    def _begin(self) -> None:
        self._control, theirs = socket.socketpair()
        watch(self._control)
        with theirs:
            self._template = _python("template", "stand_by", theirs.fileno())
        self._thread = threading.Thread(target=self._listen, args=(self._control,), name="redun-template", daemon=True)
        self._thread.start()

    def start(self, descriptor: int) -> Process:
        """See `Starter.start`."""
        if self._template.poll() is not None:
            self.close()
            self._begin()
        forked = _Forked(self._control)
        number = next(self._numbers)
        with self._lock:
            self._unborn[number] = forked
        try:
            socket.send_fds(self._control, [WORD.pack(FORK, number, 0)], [descriptor])
        except OSError:  # it died just now: the worker's socket says so to whoever listens
            forked.ended(UNKNOWN)
        return forked

    def _listen(self, control: socket.socket) -> None:
        while True:
            try:
                data = control.recv(WORD.size, socket.MSG_WAITALL)
            except OSError:
                data = b""
            if len(data) < WORD.size:
                break
            word, one, other = WORD.unpack(data)
            with self._lock:
                if word == BORN:
                    forked = self._alive[other] = self._unborn.pop(one)
                    forked.born(other)
                elif word == DEAD and one in self._alive:
                    self._alive.pop(one).ended(other)
        with self._lock:
            lost = [*self._unborn.values(), *self._alive.values()]
            self._unborn, self._alive = {}, {}
        for forked in lost:
            forked.ended(UNKNOWN)

    def close(self) -> None:
        """See `Starter.close`."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._template.wait()
        self._thread.join()
        self._control.close()


class _Forked:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._pid = 0
        self._code = UNKNOWN
        self._wanted_dead = False
        self._lock = threading.Lock()
        self._over = threading.Event()

    def born(self, pid: int) -> None:
        """Takes its number."""
        with self._lock:
            self._pid = pid
            wanted_dead = self._wanted_dead
        if wanted_dead:
            self.kill()

    def ended(self, code: int) -> None:
        """Takes how it ended."""
        self._code = code
        self._over.set()

    def kill(self) -> None:
        with self._lock:
            self._wanted_dead = True
            pid = self._pid
        if pid and not self._over.is_set():
            with suppress(OSError):
                self._control.sendall(WORD.pack(KILL, pid, 0))

    def wait(self, timeout: float | None) -> int | None:
        return self._code if self._over.wait(timeout) else None


#: Our ends of sockets. A process that is forked from this one must not keep them open: the workers would not see that
#: the run is gone.
_ENDS: Final[WeakSet[socket.socket]] = WeakSet()


def watch(end: socket.socket) -> None:
    """Closes our end of a socket in every process that is forked from this one."""
    _ENDS.add(end)


def _close_ends() -> None:
    for end in list(_ENDS):
        end.close()


os.register_at_fork(after_in_child=_close_ends)


def _python(module: str, name: str, descriptor: int) -> subprocess.Popen[bytes]:
    """Starts an interpreter as this one was started, in a process group of its own: Ctrl-C is for the run alone."""
    flags: Any = getattr(subprocess, "_args_from_interpreter_flags", list)  # `-O`, `-W error`, `-X dev`
    path = [entry or os.getcwd() for entry in sys.path]
    return subprocess.Popen(
        [sys.executable, *flags(), "-c", _RUN.format(module=module, name=name), str(descriptor), *path],
        stdin=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        process_group=0,
    )
