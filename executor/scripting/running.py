"""Running a command: a process group of its own, nothing on its standard input, what it writes read as it comes.

When the command has ended, what it has started and left behind has a second to end, too, and is then killed: a job that
is done leaves nothing behind. What made a session of its own (`setsid`) is left alone, as everywhere.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import IO, Final, NamedTuple

from redun.executor.pools.attended import Say, attended
from redun.executor.scripting.guardian import guardian
from redun.executor.scripting.lines import Lines

#: The most of standard output that is a value. More of it would have to be held in memory to be stored.
STDOUT_BYTES: Final = 256 << 20
#: The end of standard error that an error keeps.
STDERR_BYTES: Final = 64 << 10
#: How long what was started may outlive the command, and one that is told to end may take (seconds).
GRACE_SECONDS: Final = 1.0
_READ_BYTES: Final = 1 << 16
_SPOOLED_BYTES: Final = 1 << 20
#: How often it is looked whether a command has ended, where the system cannot say it by itself (seconds).
_LOOK_SECONDS: Final = 0.05


class CannotStartError(Exception):
    """The system does not start a command; the argument is what it says, an OSError."""


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
        code: its exit code; negative: the signal that ended it.
        stdout: what it wrote there, where that was to be kept.
        stderr: the end of what it wrote there; `left_out` bytes were before it.
        flooded: whether it was ended because it wrote more to standard output than can be kept.
    """

    code: int
    stdout: bytes
    stderr: bytes
    left_out: int
    flooded: bool


def run_command(argv: Sequence[str | bytes], directory: str | None = None, *, keeps: bool = True) -> Ended:
    """Runs a command to its end.

    Args:
        directory: where it runs; the working directory if None.
        keeps: whether its standard output is kept; else it is said, line by line, as standard error always is.

    Raises:
        CannotStartError: if it cannot be started.
        OSError: if there is no room for what it writes.
        Interrupted: if it was to stop before it began.
    """
    with ExitStack() as stack:
        process = _Process(argv, directory)
        stack.callback(process.close)
        attendant = attended()
        if attendant is not None:
            stack.enter_context(attendant.stoppable(process.stop))
        out = stack.enter_context(_Kept()) if keeps else _Said(attendant and attendant.say)
        err = _Tail(attendant and attendant.say)
        flooded = process.drain(out, err)
        out.end()
        err.end()
        code = process.close()
        return Ended(code, out.value(), bytes(err.data), err.left_out, flooded)


class _Process:
    """A command under way."""

    def __init__(self, argv: Sequence[str | bytes], directory: str | None) -> None:
        try:
            self._popen = subprocess.Popen(
                argv,
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=directory,
                start_new_session=True,  # no terminal: what asks for a password fails instead of waiting
            )
        except OSError as error:
            raise CannotStartError(error) from error
        self._pid = self._popen.pid
        self._lock = threading.Lock()
        self._closed = False
        guardian.watch(self._pid)
        self._watch = _watch(self._pid)

    def drain(self, out: _Sink, err: _Sink) -> bool:
        """Reads all that it writes until it has ended, and for a while what others write that it has started. Returns
        whether it was ended for writing too much."""
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        sinks = {self._popen.stdout.fileno(): out, self._popen.stderr.fileno(): err}
        poll = select.poll()
        for descriptor in sinks:
            poll.register(descriptor, select.POLLIN)
        if self._watch >= 0:
            poll.register(self._watch, select.POLLIN)
        deadline: float | None = None
        while sinks or deadline is None:
            if deadline is None:
                wait = None if self._watch >= 0 else _LOOK_SECONDS
            elif (wait := deadline - time.monotonic()) <= 0:
                break
            for descriptor, _ in poll.poll(None if wait is None else wait * 1000):
                if descriptor == self._watch:
                    poll.unregister(descriptor)
                elif data := os.read(descriptor, _READ_BYTES):
                    if not sinks[descriptor].take(data):
                        return True
                else:
                    poll.unregister(descriptor)
                    del sinks[descriptor]
            if deadline is None and self._has_ended():
                deadline = time.monotonic() + GRACE_SECONDS
        return False

    def _has_ended(self) -> bool:
        """Whether the command itself has ended; it is not buried, so that its number stays its own."""
        try:
            return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # whoever started us has us ignore children, so nobody keeps its number
            return True

    def stop(self) -> None:
        """Tells the group to end, and kills it where it does not."""
        self._signal(signal.SIGTERM)
        timer = threading.Timer(GRACE_SECONDS, self._signal, (signal.SIGKILL,))
        timer.daemon = True
        timer.start()

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            if not self._closed:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._pid, number)

    def close(self) -> int:
        """Kills what is left of the group, and returns how the command ended. May be called again."""
        if not self._closed:
            self._signal(signal.SIGKILL)
            with self._lock:
                self._closed = True
                guardian.leave(self._pid)
                self._popen.wait()
            for stream in (self._popen.stdout, self._popen.stderr):
                if stream is not None:
                    stream.close()
            if self._watch >= 0:
                os.close(self._watch)
        return self._popen.returncode


def _watch(pid: int) -> int:
    """A descriptor that is ready to read when the process has ended, or -1."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # an old kernel, or a sandbox that forbids it
        return -1


# -- where what it writes goes ----------------------------------------------------------------------------------------


class _Sink:
    """Takes what a process writes to one stream."""

    def take(self, data: bytes) -> bool:
        """Takes the next piece; returns whether there is room for more."""
        raise NotImplementedError

    def end(self) -> None:
        """There is no more."""

    def value(self) -> bytes:
        """Returns what was kept."""
        return b""


class _Kept(_Sink):
    """Keeps all: what is little in memory, more of it in a file."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> _Kept:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def take(self, data: bytes) -> bool:
        self._size += len(data)
        if self._file is None and self._size > _SPOOLED_BYTES:
            self._file = tempfile.TemporaryFile(prefix="redun-stdout-")  # noqa: SIM115  closed by `__exit__`
            self._file.writelines(self._parts)
            self._parts = []
        if self._file is None:
            self._parts.append(data)
        else:
            self._file.write(data)
        return self._size <= STDOUT_BYTES

    def value(self) -> bytes:
        if self._file is None:
            return b"".join(self._parts)
        if self._size > STDOUT_BYTES:
            return b""
        self._file.seek(0)
        return self._file.read()


class _Said(_Sink):
    """Says it line by line, where anybody listens."""

    def __init__(self, say: Say | None) -> None:
        self._say = say
        self._lines = Lines()

    def take(self, data: bytes) -> bool:
        if self._say is not None and (lines := self._lines.feed(data)):
            self._say(lines)
        return True

    def end(self) -> None:
        if self._say is not None and (lines := self._lines.end()):
            self._say(lines)


class _Tail(_Said):
    """Says it, and keeps the end.

    Attributes:
        data: the end.
        left_out: how many bytes were before it.
    """

    def __init__(self, say: Say | None) -> None:
        super().__init__(say)
        self.data = bytearray()
        self.left_out = 0

    def take(self, data: bytes) -> bool:
        self.data += data
        if len(self.data) > 2 * STDERR_BYTES:
            self._cut()
        return super().take(data)

    def end(self) -> None:
        self._cut()
        super().end()

    def _cut(self) -> None:
        over = len(self.data) - STDERR_BYTES
        if over > 0:
            self.left_out += over
            del self.data[:over]
