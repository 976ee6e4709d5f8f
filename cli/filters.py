"""Which executions, jobs and calls `redun log` shows: by task, state, time, tag, value and file, and how many."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from redun.cli.exits import UsageError
from redun.cli.history_view import CACHED
from redun.core.digest import Digest
from redun.core.objects import Status
from redun.store.lookup_names import Run

if TYPE_CHECKING:
    from redun.store.queries import Wanted

#: Lines of a list, jobs of one execution, and calls of a lineage, where the user names no number.
_RUNS: Final = 20
_JOBS: Final = 500
_STEPS: Final = 100
STATES: Final = (*(status.name for status in Status), CACHED)


class Filters(NamedTuple):
    """What the options of the command line chose.

    Attributes:
        task: full name of a task, or the end of one after a dot; None for any.
        status: one of STATES; None for any.
        since, until: microseconds since the epoch; None for any.
        number: how many at most; 0 for all, None for the default.
        skip: how many to leave out before.
        tags, argument, result, value, file: as in `queries.Wanted`.
    """

    task: str | None = None
    status: str | None = None
    since: int | None = None
    until: int | None = None
    number: int | None = None
    skip: int = 0
    tags: tuple[tuple[str, str | None], ...] = ()
    argument: Digest | None = None
    result: Digest | None = None
    value: Digest | None = None
    file: str | None = None

    def given(self) -> list[str]:
        """Returns the options that were given and choose within an execution, as they are written."""
        pairs = (("--task", self.task), ("--status", self.status), ("--since", self.since), ("--until", self.until))
        return [name for name, value in (*pairs, ("-n", self.number)) if value is not None]

    def of_history(self) -> list[str]:
        """Returns the options that were given and choose from all that was run, as they are written."""
        pairs = (("--tag", self.tags), ("--arg", self.argument), ("--result", self.result), ("--value", self.value))
        return [name for name, value in (*pairs, ("--file", self.file), ("--skip", self.skip)) if value]

    def wanted(self) -> "Wanted":
        """Returns what is asked for, for the store."""
        from redun.store.queries import Wanted  # here: the list of executions does without

        return Wanted(
            task=self.task,
            status=self.status,
            since=self.since,
            until=self.until,
            tags=self.tags,
            argument=self.argument,
            result=self.result,
            value=self.value,
            file=self.file,
        )

    @property
    def selective(self) -> bool:
        """Whether some are left out for what they are."""
        return any(option is not None for option in (self.task, self.status, self.since, self.until))

    @property
    def most_runs(self) -> int | None:
        """How many executions to list, None for all."""
        return _RUNS if self.number is None else self.number or None

    @property
    def most_steps(self) -> int | None:
        """How many calls of a lineage to list, None for all."""
        return _STEPS if self.number is None else self.number or None

    @property
    def most_jobs(self) -> int | None:
        """How many jobs to list, None for all."""
        return _JOBS if self.number is None else self.number or None

    def runs(self, runs: Iterable[Run]) -> Iterator[Run]:
        """Yields the executions that are in the asked state, began in the time, and have a job of the task.

        Raises:
            UsageError: if the state is one of jobs only.
        """
        self.check_runs()
        return (run for run in runs if self._takes_run(run))

    def check_runs(self) -> None:
        """Raises UsageError if executions cannot be chosen so."""
        if self.status == CACHED:
            hint = "redun log ID --status cached, or redun log --jobs --status cached"
            raise UsageError("an execution is never CACHED, its jobs are", hint=hint)

    def _takes_run(self, run: Run) -> bool:
        return (
            (self.status is None or run.status.name == self.status)
            and (self.since is None or run.start >= self.since)
            and (self.until is None or run.start <= self.until)
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


def read_since(text: str, now: float, option: str = "--since") -> int:
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
        raise UsageError(f"{option} {text}: no such time", hint=hint) from None
