"""Lines of executions, and of times and states. Text only; what is shown is decided elsewhere."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

from redun.cli.colors import Paint
from redun.cli.render import shell_text
from redun.core.forms import printable
from redun.core.objects import Status
from redun.store.lookup_names import Run

SHORT: Final = 8
_RULE: Final = "-" * 80
#: The state of a job that was answered without running.
CACHED: Final = "CACHED"

#: (six characters, role of the colour) of a state.
STATES: Final = {
    Status.RUNNING: (" RUN  ", "run"),
    Status.DONE: (" DONE ", "done"),
    Status.FAILED: ("FAILED", "failed"),
    Status.CANCELLED: ("CANCEL", "faint"),
    Status.INTERRUPTED: ("INTERR", "failed"),
}


def run_state(run: Run, paint: Paint) -> str:
    """Returns `[ DONE ]` and its like for an execution."""
    return f"[{paint(*STATES[run.status])}]"


def clock(microseconds: int) -> str:
    """Returns a time as `YYYY-MM-DD HH:MM:SS` in the reader's time zone."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(microseconds // 1_000_000))
    except (OverflowError, ValueError, OSError):  # a record of a stranger may hold any number
        return "unknown time"


def duration_text(microseconds: int) -> str:
    """Returns a duration as `H:MM:SS.hh`."""
    hundredths = max(microseconds, 0) // 10_000
    seconds, hundredths = divmod(hundredths, 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}.{hundredths:02}"


def command_text(run: Run) -> str:
    """Returns the command of an execution as a shell reads it, without the program's own name."""
    words = list(run.argv)
    if words and PurePath(words[0]).name == "redun":
        del words[0]
    return shell_text(words)


def full_uuid(run: Run) -> str:
    """Returns an execution's uuid in its usual form."""
    return uuid_text(run.uuid)


def uuid_text(raw: bytes) -> str:
    """Returns a uuid in its usual form."""
    return str(uuid.UUID(bytes=raw))


def run_duration(run: Run) -> int:
    """Returns how long an execution took, or has taken so far, in microseconds."""
    end = run.end
    if end is None:
        end = time.time_ns() // 1000 if run.status is Status.RUNNING else run.start
    return end - run.start


# -- executions -------------------------------------------------------------------------------------------------------


def run_line(run: Run, paint: Paint, *, full: bool = False) -> str:
    """Returns the line of an execution."""
    name = full_uuid(run) if full else full_uuid(run)[:SHORT]
    tags = f" ({tags_text(run.tags)})" if run.tags else ""
    came = f" (from {came_from(run)})" if run.remote else ""
    return f"Exec {paint(name, 'id')} {run_state(run, paint)} {clock(run.start)}:  {command_text(run)}{tags}{came}"


def came_from(run: Run) -> str:
    """Returns `origin: ada@host` for an execution that came by a remote: its name, and who ran it where."""
    facts = dict(run.info)
    who = "@".join(filter(None, (facts.get("user", ""), facts.get("host", ""))))
    return printable(": ".join(filter(None, (run.remote, who))))


def tags_text(tags: Iterable[tuple[str, str]]) -> str:
    """Returns `env=prod, doc="My doc"`."""
    from redun.core.tags import shown_tag  # here: most executions have no tags

    return ", ".join(printable(shown_tag(name, value)) for name, value in tags)


def run_header(run: Run, paint: Paint) -> list[str]:
    """Returns the lines above an execution's jobs."""
    so_far = " (so far)" if run.status is Status.RUNNING else ""
    return [
        run_line(run, paint, full=True),
        f"Duration: {duration_text(run_duration(run))}{so_far}",
        *(f"Context: {printable(text)}" for name, text in run.info if name == "context"),
        "",
        jobs_text(run),
        _RULE,
    ]


def jobs_text(run: Run) -> str:
    """Returns `Jobs: 3 (DONE: 3, CACHED: 0, FAILED: 0)`, and how many have begun and not ended where there are any.

    Jobs that were never begun are not among them.
    """
    columns = ("done", "cached", "failed", "running")
    done, cached, failed, running = (sum(getattr(c, name) for c in run.counts) for name in columns)
    parts = [f"DONE: {done}", f"CACHED: {cached}", f"FAILED: {failed}"]
    cut_off = Status.CANCELLED if run.status is Status.FAILED else run.status
    parts += [f"{STATES[cut_off][0].strip()}: {running}"] if running else []
    return f"Jobs: {done + cached + failed + running} ({', '.join(parts)})"
