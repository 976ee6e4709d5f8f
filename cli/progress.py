"""What a run prints while it runs: lines on standard error, cheap enough for thousands of jobs a second.

A line is appended to a queue (under a microsecond); a thread of its own writes what has gathered, 50 ms after the first
of it at the latest. On a terminal every line is written at once.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

from redun.cli.colors import Paint, is_terminal, write_escaped
from redun.cli.render import ARGUMENT_CHARS, call_text, job_line
from redun.core.forms import printable

if TYPE_CHECKING:
    from redun.executor.scheduler import Execution, JobEvent

#: Longest that a line waits for others to be written with (seconds).
FLUSH_SECONDS: Final = 0.05
PREFIX: Final = "[redun] "


class LineWriter:
    """Writes lines to a stream, gathered where nobody watches.

    Safe to use from any thread. A stream whose reader has gone takes no further lines and raises nothing: the run is
    worth more than what is said about it. Nothing is promised about lines of other writers in between.
    """

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream = stream
        self._lines: deque[str] = deque()
        self._gathers = not is_terminal(stream)
        self._waiting = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def line(self, text: str) -> None:
        """Adds a line; the line break is put by the writer."""
        self._lines.append(text)
        if not self._gathers:
            self.flush()
        elif not self._waiting:
            self._waiting = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_on, name="redun-lines", daemon=True)
                self._thread.start()
            self._wake.set()

    def flush(self) -> None:
        """Writes what has gathered."""
        with self._writing:
            self._waiting = False
            gathered = []
            with suppress(IndexError):  # the way a deque says that it is empty, safe beside threads that append
                while True:
                    gathered.append(self._lines.popleft())
            if gathered:
                self._write("\n".join(gathered) + "\n")

    def close(self) -> None:
        """Writes the rest and ends the thread."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.flush()

    def _write_on(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closing.wait(FLUSH_SECONDS)
            self.flush()

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            write_escaped(self._stream, text)
            self._stream.flush()
        except (OSError, ValueError):  # the reader has gone, or the stream was closed
            self._stream = None


class RunLines:
    """The observer of a run that prints a line for each job; what it prints is set by its level.

    Level 0 prints nothing while the run goes on, 1 shortens long arguments, 2 shows more of them.
    """

    def __init__(self, writer: LineWriter, paint: Paint, command: str, level: int) -> None:
        self._writer = writer
        self._paint = paint
        self._command = command
        self._level = level
        self._limit = ARGUMENT_CHARS if level < 2 else 20 * ARGUMENT_CHARS
        self._prefix = paint(PREFIX.rstrip(), "prefix") + " "

    def say(self, text: str = "") -> None:
        """Prints a line with the prefix of redun's own, at level 1 and above."""
        if self._level:
            self._writer.line(self._prefix + text)

    def tell(self, text: str = "") -> None:
        """Prints a line with the prefix whatever the level: what went wrong is always told."""
        self._writer.line(self._prefix + text)

    def started(self, uuid: str) -> None:
        """Prints how the execution is named."""
        self.say(f"Start Execution {self._paint(uuid, 'id')}:  {self._command}")

    def job(self, event: JobEvent) -> None:
        """Prints the line of a job."""
        if self._level:
            call = call_text(event.fullname, event.args, self._limit)
            line = job_line(self._paint, event.verb, event.id, call, key=event.key, executor=event.executor)
            self._writer.line(self._prefix + line)

    def finished(self, execution: Execution) -> None:
        """Prints nothing: what there is to say at the end is said by the command, which has more to say."""


def command_text(words: list[str]) -> str:
    """Returns the words of a command line as a shell would read them, escaped for a terminal."""
    from shlex import quote  # here: only a run needs it

    return printable(" ".join(map(quote, words)))
