"""Which executions and jobs `redun log` shows: by task, state and time, and how many."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import time
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from redun.cli.exits import UsageError
from redun.cli.history_view import CACHED
from redun.core.objects import Status
from redun.store.lookup_names import Run

#: Executions of a list, and jobs of one execution, where the user names no number.
_RUNS: Final = 20
_JOBS: Final = 500
STATES: Final = (*(status.name for status in Status), CACHED)


class Filters(NamedTuple):
    """What the options of the command line chose.

    Attributes:
        task: full name of a task, or the end of one after a dot; None for any.
        status: one of STATES; None for any.
        since: microseconds since the epoch; None for any.
        number: how many at most; 0 for all, None for the default.
    """

    task: str | None = None
    status: str | None = None
    since: int | None = None
    number: int | None = None

    def given(self) -> list[str]:
        """Returns the options that were given, as they are written."""
        pairs = (("--task", self.task), ("--status", self.status), ("--since", self.since), ("-n", self.number))
        return [name for name, value in pairs if value is not None]

    @property
    def selective(self) -> bool:
        """Whether some are left out for what they are."""
        return self.task is not None or self.status is not None or self.since is not None

    @property
    def most_runs(self) -> int | None:
        """How many executions to list, None for all."""
        return _RUNS if self.number is None else self.number or None

    @property
    def most_jobs(self) -> int | None:
        """How many jobs to list, None for all."""
        return _JOBS if self.number is None else self.number or None

    def runs(self, runs: Iterable[Run]) -> Iterator[Run]:
        """Yields the executions that are in the asked state, began in the time, and have a job of the task.

        Raises:
            UsageError: if the state is one of jobs only.
        """
        if self.status == CACHED:
            raise UsageError("an execution is never CACHED, its jobs are", hint="redun log ID --status cached")
        return (run for run in runs if self._takes_run(run))

    def _takes_run(self, run: Run) -> bool:
        return (
            (self.status is None or run.status.name == self.status)
            and (self.since is None or run.start >= self.since)
            and (self.task is None or any(self.names(count.fullname) for count in run.counts))
        )

    def names(self, fullname: str) -> bool:
        """Returns whether a task of that full name is the asked one."""
        return fullname == self.task or fullname.endswith(f".{self.task}")


def read_status(text: str) -> str:
    """Returns the state that a word, or the start of one, names.

    Raises:
        UsageError: if it names none, or several.
    """
    matching = [state for state in STATES if text and state.startswith(text.upper())]
    if len(matching) != 1:
        known = ", ".join(state.lower() for state in STATES)
        raise UsageError(f"--status {text}: no state is called so", hint=f"the states are {known}")
    return matching[0]


_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def read_since(text: str, now: float) -> int:
    """Returns the time that a word means, in microseconds since the epoch; `now` in seconds.

    A date or time in ISO form (in the reader's time zone unless it names one), `today`, `yesterday`, or how long ago:
    `45s 30m 2h 3d 1w`.

    Raises:
        UsageError: if it means none.
    """
    word = text.strip().lower()
    amount, unit = word[:-1], word[-1:]
    if unit in _UNITS and amount.isascii() and amount.isdigit():
        return int((now - int(amount[:9]) * _UNITS[unit]) * 1_000_000)
    if word in ("today", "yesterday"):
        day = time.localtime(now)
        back = 1 if word == "yesterday" else 0
        return int(time.mktime((day.tm_year, day.tm_mon, day.tm_mday - back, 0, 0, 0, 0, 0, -1))) * 1_000_000
    from datetime import datetime  # here: most lists are asked for without a time

    try:
        return int(datetime.fromisoformat(text.strip()).timestamp() * 1_000_000)
    except (ValueError, OverflowError, OSError):
        hint = "write 2026-06-18, 2026-06-18T07:40, today, yesterday, or how long ago: 30m, 2h, 3d, 1w"
        raise UsageError(f"--since {text}: no such time", hint=hint) from None
