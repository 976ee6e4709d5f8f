"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from redun.core.digest import Digest
from redun.core.objects import Status, TaskCount, TraceRecord

# What explains a miss is loaded only when one is asked for.
if TYPE_CHECKING:
    from redun.executor.reasons import Reason


class Unreadable:
    """Stands for an argument that cannot be made in this process, and reads like it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One thing that happened to a job.

    Attributes:
        verb: `Run`, `Cached` or `Reject`.
        id: the job's id, hexadecimal.
        fullname: of its task.
        args: bound arguments, (name, value) in the order of the parameters; a value may be `Unreadable`.
        key: its cache key, hexadecimal; empty where it has none.
        executor: what runs it.
        reason: finds why it was not answered from the cache, where it is run. It looks at files as they are, so it is
            to be called while the event is told of, or not at all.
    """

    verb: str
    id: str
    fullname: str
    args: list[tuple[str, Any]]
    key: str
    executor: str
    reason: Callable[[], Reason] | None = None


@dataclass(frozen=True, slots=True)
class FailedJob:
    """One job of a job traceback.

    Attributes:
        file, line: where its task is defined, `text` that line; empty for one that comes with redun.
        args: bound arguments, (name, value); a value may be `Unreadable`.
    """

    id: str
    fullname: str
    file: str
    line: int
    text: str
    args: list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Execution:
    """One run that has ended.

    Attributes:
        uuid: its id, as printed.
        status: DONE, FAILED or INTERRUPTED.
        value: the result where it is DONE.
        error: what ended it where it is not.
        trace: traceback of the error.
        counts: jobs by task, in order of the names.
        duration: seconds.
        digest: id of the execution object.
        failed: the job traceback, outermost first.
    """

    uuid: str
    status: Status
    value: Any
    error: BaseException | None
    trace: TraceRecord | None
    counts: list[TaskCount]
    duration: float
    digest: Digest | None
    failed: list[FailedJob]


class Observer(Protocol):
    """Watches a run. Called on the scheduler's thread, between jobs: what it takes, the run waits for.

    Attributes:
        wants_jobs: whether `job`, `said` and `summed` are to be called; making an event costs some microseconds.
    """

    wants_jobs: bool

    def started(self, uuid: str) -> None:
        """The run has begun."""
        ...

    def job(self, event: JobEvent) -> None:
        """A job was run, answered from the cache, or rejected."""
        ...

    def summed(self, jobs: int) -> None:
        """That many more jobs were answered from the cache than are told of one by one."""
        ...

    def said(self, job: str, lines: list[str]) -> None:
        """The script that is the body of a job has written lines; the job by its id, hexadecimal."""
        ...

    def warned(self, message: str) -> None:
        """Something is not as it should be, though the run goes on."""
        ...

    def progress(self, counts: list[TaskCount]) -> None:
        """Some time has passed; `counts` are the jobs by task so far."""
        ...

    def finished(self, execution: Execution) -> None:
        """The run has ended and is recorded."""
        ...


#: The last of these makes the observer of each run that was given none: a notebook shows so how far runs are.
WATCHERS: Final[list[Callable[[], Observer]]] = []
