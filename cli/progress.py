"""What a run prints while it runs: lines on standard error, cheap enough for thousands of jobs a second.

A line is appended to a queue (under a microsecond); a thread of its own writes what has gathered, 50 ms after the first
of it at the latest. On a terminal every line is written at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final

from redun.cli.colors import Paint, is_terminal, write_escaped
from redun.cli.render import ARGUMENT_CHARS, SHORT_ID, call_text, job_line, miss_line
from redun.core.forms import printable
from redun.core.parameters import VAR_KEYWORD, VAR_POSITIONAL
from redun.core.tasks import registry

if TYPE_CHECKING:
    from redun.cli.live import LiveTable
    from redun.core.history import TaskCount
    from redun.executor.observer import Execution, JobEvent
    from redun.executor.reasons import Reason

#: Longest that a line waits for others to be written with (seconds).
FLUSH_SECONDS: Final = 0.05
PREFIX: Final = "[redun] "
#: A run shorter than this gets no table that redraws itself (seconds).
LIVE_SECONDS: Final = 1.0


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
    """The observer of a run that prints a line for each job; how much is set by its level.

    Level 0 prints only what went wrong, 1 shortens long arguments, 2 shows more of them. `explains`: before the line of
    a job that runs, one says why. On a terminal a run of more than a second also gets a status table that redraws
    itself, where `draws`.

    Attributes:
        reasons: job, full name and reason of what ran, gathered where `explains` and somebody put a list there.
    """

    def __init__(
        self,
        stream: IO[str] | None,
        paint: Paint,
        command: str,
        level: int,
        *,
        explains: bool = False,
        draws: bool = True,
    ) -> None:
        self.wants_jobs = level > 0 or explains
        self.reasons: list[tuple[str, str, Reason]] | None = None
        self._explains = explains
        self._stream = stream
        self._writer = LineWriter(stream)
        self._paint = paint
        self._command = command
        self._level = level
        self._limit = ARGUMENT_CHARS if level < 2 else 20 * ARGUMENT_CHARS
        self._prefix = paint(PREFIX.rstrip(), "prefix") + " "
        self._gathering: dict[str, dict[str, int]] = {}
        self._live: LiveTable | None = None
        self._draws = draws and level > 0 and is_terminal(stream) and os.environ.get("TERM") != "dumb"
        self._began = time.monotonic()

    def say(self, text: str = "") -> None:
        """Prints a line with the prefix of redun's own, at level 1 and above."""
        if self._level:
            self.tell(text)

    def tell(self, text: str = "") -> None:
        """Prints a line with the prefix whatever the level: what went wrong is always told."""
        line = self._prefix + text
        if self._live is None:
            self._writer.line(line)
        else:
            self._live.line(line)

    def flush(self) -> None:
        """Writes what has gathered, before others write to the same stream."""
        self._writer.flush()

    def close(self) -> None:
        """Writes the rest, takes the table away, and ends the thread. Lines may still be printed after it."""
        if self._live is not None:
            self._live.close()
            self._live = None
        self._draws = False
        self._writer.close()

    def names(self, command: str) -> None:
        """Replaces the command line that is printed when the execution starts."""
        self._command = command

    # -- what the scheduler calls -------------------------------------------------------------------------------------

    def started(self, uuid: str) -> None:
        """Prints how the execution is named."""
        self.say(f"Start Execution {self._paint(uuid, 'id')}:  {self._command}")

    def job(self, event: JobEvent) -> None:
        """Prints the line of a job."""
        if self._explains and event.reason is not None:
            reason = event.reason()
            if self.reasons is not None:
                self.reasons.append((event.id, event.fullname, reason))
            self.tell(miss_line(self._paint, event.id, event.fullname, reason.text()))
        if self._level:
            call = call_text(event.fullname, self._arguments(event), self._limit)
            self.tell(job_line(self._paint, event.verb, event.id, call, key=event.key, executor=event.executor))

    def summed(self, jobs: int) -> None:
        """Prints how many more jobs were answered from the cache."""
        self.say(f"{self._paint('Cached', 'cached')} {jobs:,} more jobs")

    def said(self, job: str, lines: list[str]) -> None:
        """Prints what a script has written, as lines of its job."""
        if self._level:
            name = self._paint(job[:SHORT_ID], "id")
            for line in lines:
                self.tell(f"{name} | {printable(line)}")

    def warned(self, message: str) -> None:
        """Prints a warning."""
        self.tell(f"{self._paint('Warning', 'failed')}: {printable(message)}")

    def progress(self, counts: list[TaskCount]) -> None:
        """Redraws the table on a terminal."""
        if not self._draws or self._stream is None or time.monotonic() - self._began < LIVE_SECONDS:
            return
        if self._live is None:
            # Here and not at the top: rich costs more than a whole short run, and a pipe never needs it.
            from redun.cli.live import LiveTable

            self._writer.flush()
            self._live = LiveTable(self._stream, colored=self._paint("", "run") != "")
        self._live.show(counts, table_time())

    def finished(self, execution: Execution) -> None:
        """Takes the table away. What there is to say at the end is said by the command, which has more to say."""
        if self._live is not None:
            self._live.close()
            self._live = None
        self._draws = False

    def _arguments(self, event: JobEvent) -> list[tuple[str, Any]]:
        """Returns the arguments with what `*args` and `**kwargs` gathered as it was written in the call."""
        gathering = self._gathering.get(event.fullname)
        if gathering is None:
            task = registry.get(event.fullname)
            kinds = task.params if task is not None else ()
            gathering = {name: kind for name, kind in kinds if kind in (VAR_POSITIONAL, VAR_KEYWORD)}
            self._gathering[event.fullname] = gathering
        if not gathering:
            return event.args
        spread: list[tuple[str, Any]] = []
        for name, value in event.args:
            if gathering.get(name) == VAR_POSITIONAL:
                if value:  # what stands before further words was given by place, too
                    spread = [("", earlier) for _, earlier in spread]
                spread.extend(("", item) for item in value)
            elif gathering.get(name) == VAR_KEYWORD:
                spread.extend(value.items())
            else:
                spread.append((name, value))
        return spread


def table_time() -> str:
    """Returns the local time as the status table shows it."""
    return time.strftime("%Y/%m/%d %H:%M:%S")
