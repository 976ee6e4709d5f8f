"""The contract of pools: what runs the bodies of jobs, in threads, in processes, or wherever else.

A run may use several pools at once. Each is given work and told what to do by the run's own thread, and says what came
of it through one outbox that all of them share: whatever another thread, a callback or a process has to say is only put
there. So no pool runs any of the engine's code on a thread of its own.

There are two sorts. *Near* pools (threads) run functions of this process on values that it has decoded. *Far* pools
(processes, and any other executor) get a job as bytes and answer with bytes (`messages`), so that a user's exception
never crosses as a Python object: whatever does cross is infrastructure, and is retried (`remote`).
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeAlias

from redun.core.objects import TraceRecord
from redun.core.values import Encoded


class Work(NamedTuple):
    """One body to run. `tag` is the submitter's own, handed back with the answer; `timed`: it may be cancelled."""

    tag: Any
    function: Callable[..., Any]
    args: tuple[Any, ...] | list[Any]
    kwargs: dict[str, Any]
    timed: bool = False


class Answer(NamedTuple):
    """What became of one body.

    Attributes:
        value: what it returned; from a far pool a `Reduction`. What it raised; from a far pool `Told`.
        started, stopped: when it ran (nanoseconds of this process's performance counter).
        nested: whether it ran expressions itself.
        attempts: how often it was begun, where workers were lost meanwhile.
        unkept: why its answer is none for later runs; empty where it is one.
    """

    tag: Any
    ok: bool
    value: Any
    started: int
    stopped: int
    nested: bool
    attempts: int = 1
    unkept: str = ""


class Told(NamedTuple):
    """An error that a body raised elsewhere.

    Attributes:
        error: the error, or what stands for it where its class cannot be had here.
        value: it as a value, as it is recorded.
        traces: its traceback, and those of its causes after it.
    """

    error: BaseException
    value: Encoded
    traces: tuple[TraceRecord, ...]


#: Answers, and work that was not begun and never will be unless it is submitted again.
Reply: TypeAlias = tuple[list[Answer], list[Any]]


#: Through which pools speak: whose event it is, and the event. None wakes the reader.
Outbox: TypeAlias = "SimpleQueue[tuple[Speaker, Any] | None]"


class Speaker(Protocol):
    """Something that speaks through the outbox."""

    def accept(self, event: Any) -> Reply:
        """Returns what came of something that it put there. May be nothing so far."""
        ...


class Pool(Protocol):
    """Runs bodies.

    Promised: every submitted piece of work is answered or handed back exactly once, except after `close` and where it
    was cancelled; several run at once. Not promised: any order; that a body runs once (a far one whose worker is lost
    runs again). All methods belong to one thread.
    """

    #: Where it puts what it has to say.
    outbox: Outbox

    @property
    def slots(self) -> int:
        """How many messages it works on at once."""
        ...

    @property
    def ahead(self) -> int:
        """How many messages it takes beyond that, which wait in it until a worker is free."""
        ...

    @property
    def messages(self) -> int:
        """Messages that have not been answered."""
        ...

    def submit(self, work: list[Any]) -> None:
        """Sends one message: pieces of work that run one after the other. They are of the sort that the pool takes."""
        ...

    def accept(self, event: Any) -> Reply:
        """Returns what came of something that the pool put in the outbox. May be nothing so far."""
        ...

    def patience(self) -> float | None:
        """Returns after how many seconds `tend` is to be called if nothing comes; None: it need not be."""
        ...

    def tend(self) -> Reply:
        """Does what is due by now."""
        ...

    def cancel(self, tag: Any) -> bool:
        """Gives up a piece of work, which may be submitted anew at once. Returns whether its body is stopped, or never
        begins; else it runs on, and what comes of it is ignored."""
        ...

    def halt(self) -> None:
        """Makes it hand back all work that it has not begun."""
        ...

    def close(self) -> None:
        """Ends the workers. Bodies that run are cut short where they can be; no answer comes any more."""
        ...


def take(outbox: Outbox, pools: list[Pool], timeout: float) -> Reply | None:
    """Returns the next reply of any of these pools; None when the time (seconds) is over or somebody woke it."""
    end = monotonic() + timeout
    while True:
        wait = max(end - monotonic(), 0.0)
        due, soonest = None, wait
        for pool in pools:
            patience = pool.patience()
            if patience is not None and patience < soonest:
                due, soonest = pool, patience
        try:
            if due is None or soonest > 0:  # what is overdue is not put off for ever by others' answers
                event = outbox.get(timeout=soonest)
                return None if event is None else event[0].accept(event[1])
        except Empty:
            if due is None:
                return None
        reply = due.tend()
        if any(reply):
            return reply
