"""The far pool: jobs go out as bytes over a carrier, answers come back as bytes, what is lost is sent again.

A carrier (worker processes, `concurrent.futures`, Dask) only carries: bytes out, bytes or the news of a loss back. All
that a pool promises is here, once for all of them: a loss is no error of the job until it has happened several times,
the carrier is made anew where it is broken, what comes late is ignored, jobs that were in one message with the one that
kills its workers are not blamed for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from time import monotonic, perf_counter_ns
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from redun.core.errors import JobTimeout, RedunError, WorkerLost
from redun.executor.pools import spool
from redun.executor.pools.contract import Answer, Outbox, Reply
from redun.executor.pools.crossing import Crossing, FarWork, request_of
from redun.executor.pools.messages import Message, pack_request, unpack_response

#: How often a job is begun before the loss of its worker is its own failure.
ATTEMPTS: Final = 3


class Lost(NamedTuple):
    """News that a message will not be answered.

    Attributes:
        reason: completes "the worker ...".
        broken: whether the carrier can carry nothing any more, so that all that is under way is lost.
        hint: what to do, where that is not to look at the body.
    """

    reason: str
    broken: bool = False
    hint: str = ""


class Begun(NamedTuple):
    """News that the first body of a message begins."""


class Said(NamedTuple):
    """News of what the body of a message says, which of them by its place there."""

    place: int
    lines: list[str]


#: What a carrier calls, on any thread, with the number of a message and what came of it.
Deliver: TypeAlias = Callable[[int, "bytes | Lost | Begun | Said"], None]


class Carrier(Protocol):
    """Carries messages to workers. All methods belong to one thread, and none waits for a worker. One that has an
    attribute `ahead` takes so many messages more than there are workers, and keeps them until a worker is free.

    Promised: every message that was sent is delivered as bytes or as `Lost` once, except after `cancel` and `close`.
    It may be delivered late, or again.
    """

    #: After how many losses a job is sent while nothing else is under way, so that the next loss is its own: 0 where
    #: one worker takes the messages of all others with it, None where it takes nobody's.
    isolates_after: int | None
    #: Whether it delivers `Begun` for messages that ask for it.
    tells_begin: bool

    @property
    def slots(self) -> int:
        """How many messages are under way at once."""
        ...

    def send(self, number: int, message: Message) -> None:
        """Sends a message, which `bodies.run_job` takes where it arrives.

        Raises:
            Exception: whatever says that nothing can be sent any more.
        """
        ...

    def cancel(self, number: int) -> bool:
        """Stops what runs a message, or never begins with it; returns whether that could be done."""
        ...

    def close(self) -> None:
        """Ends the workers, also those that are at work."""
        ...


#: Makes a carrier that delivers through a function.
Factory: TypeAlias = Callable[[Deliver], Carrier]


class _Sent:
    """A message that is under way."""

    __slots__ = ("deadline", "given_up", "works")

    def __init__(self, works: list[FarWork]) -> None:
        self.works = works
        #: Works whose outcomes nobody waits for: they were cancelled, and the message went on.
        self.given_up: set[int] = set()
        self.deadline: float | None = None

    def left(self) -> list[FarWork]:
        """Returns the works that somebody waits for."""
        return [work for work in self.works if id(work) not in self.given_up]


class FarPool:
    """A `Pool` over a carrier; it takes `FarWork`.

    Args:
        name: what users call it.
        factory: makes the carrier, and makes it again where it broke.
        directory: where large messages are kept on the way; it is removed at the end.
    """

    def __init__(self, name: str, factory: Factory, outbox: Outbox, crossing: Crossing, directory: str = "") -> None:
        self.name = name
        self._factory = factory
        self.outbox = outbox
        self._crossing = crossing
        self._directory = directory
        self._numbers = count()
        self._sent: dict[int, _Sent] = {}
        #: Works that are to be sent again, each alone.
        self._again: deque[list[FarWork]] = deque()
        #: How often works that were lost have been begun; those are suspects, and travel alone.
        self._attempts: dict[Any, int] = {}
        self._breakdowns = 0
        self._carrier = factory(self._deliver)

    @property
    def slots(self) -> int:
        """See `Pool.slots`. A carrier's workers may become more and fewer."""
        return self._carrier.slots

    @property
    def ahead(self) -> int:
        """See `Pool.ahead`: short messages, for workers that are about to be free."""
        ahead: int = getattr(self._carrier, "ahead", 0)
        return ahead

    def _deliver(self, number: int, what: bytes | Lost | Begun | Said) -> None:
        self.outbox.put((self, (number, what, perf_counter_ns())))

    @property
    def messages(self) -> int:
        """See `Pool.messages`."""
        return len(self._sent) + len(self._again)

    def submit(self, work: list[FarWork]) -> None:
        """See `Pool.submit`. The works are of one task."""
        self._again.append(work)
        self._flush()

    def _flush(self) -> None:
        while self._again and len(self._sent) < self.slots + self.ahead and self._may_send(self._again[0]):
            works = self._again.popleft()
            number = next(self._numbers)
            timed = works[0].timeout is not None
            sent = self._sent[number] = _Sent(works)
            if timed and not self._carrier.tells_begin:
                sent.deadline = monotonic() + (works[0].timeout or 0.0)
            request = request_of(self._crossing.setup, works, tells=timed)
            message = pack_request(request, self._directory)
            try:
                self._carrier.send(number, message)
            except Exception as error:  # noqa: BLE001  whatever another library says of its state
                self._deliver(number, Lost(f"could not be reached: {type(error).__name__}: {error}", broken=True))
                return

    def _may_send(self, works: list[FarWork]) -> bool:
        """Where the loss of a worker takes others with it, suspects run while nothing else does."""
        if self._carrier.isolates_after is None or not self._sent or not self._attempts:
            return True
        return not self._suspects(works) and not any(self._suspects(sent.works) for sent in self._sent.values())

    def _suspects(self, works: list[FarWork]) -> bool:
        least = self._carrier.isolates_after
        return least is not None and any(self._attempts.get(work.tag, -1) >= least for work in works)

    def accept(self, event: tuple[int, bytes | Lost | Begun | Said, int]) -> Reply:
        """See `Pool.accept`."""
        number, what, arrived = event
        sent = self._sent.get(number)
        if sent is None:
            return [], []  # it was given up, or answered before
        if isinstance(what, Begun):
            sent.deadline = monotonic() + (sent.works[0].timeout or 0.0)
            return [], []
        if isinstance(what, Said):
            self._crossing.said(sent.works[what.place].tag, what.lines)
            return [], []
        reply = self._lost(number, what) if isinstance(what, Lost) else self._answered(number, what, arrived)
        self._flush()
        return reply

    def _answered(self, number: int, data: bytes, arrived: int) -> Reply:
        try:
            response = unpack_response(data)
        except (RedunError, OSError) as error:
            return self._lost(number, Lost(f"sent an answer that cannot be read: {error}"))
        self._breakdowns = 0
        sent = self._sent.pop(number)
        self._crossing.learn(response)
        answers: list[Answer] = []
        for work, outcome in zip(sent.works, response.outcomes, strict=True):
            if id(work) in sent.given_up:
                continue
            ok, value = self._crossing.value(outcome, work.tag.task)
            began = arrived - outcome.age
            attempts = self._attempts.pop(work.tag, 0) + 1
            answer = Answer(
                work.tag, ok, value, began, began + outcome.duration, outcome.nested, attempts, outcome.unkept
            )
            answers.append(answer)
        return answers, []

    # -- losses -------------------------------------------------------------------------------------------------------

    def _lost(self, number: int, lost: Lost) -> Reply:
        works = self._sent.pop(number).left()
        own = self._carrier.isolates_after is None or not self._sent
        if lost.broken:
            for other in self._sent.values():
                works = works + other.left()
            self._sent.clear()
            if not self._renew():
                works = works + [work for more in self._again for work in more]
                self._again.clear()
                return [self._failed(work, lost) for work in works], []
        answers: list[Answer] = []
        for work in works:
            known = self._attempts.setdefault(work.tag, 0)
            if len(works) == 1 and own and known + 1 >= ATTEMPTS:
                answers.append(self._failed(work, lost))
                continue
            if len(works) == 1:  # of several nobody knows which of them it was
                self._attempts[work.tag] = known + 1 if own else min(known + 1, ATTEMPTS - 1)
            self._again.append([work])
        return answers, []

    def _renew(self) -> bool:
        """Makes the carrier anew; returns whether there is one."""
        self._breakdowns += 1
        self._carrier.close()
        if self._breakdowns > ATTEMPTS:
            return False
        try:
            self._carrier = self._factory(self._deliver)
        except Exception:  # noqa: BLE001  whatever a user's factory raises
            return False
        return True

    def _failed(self, work: FarWork, lost: Lost) -> Answer:
        attempts = self._attempts.pop(work.tag, 0) + 1
        times = f", {attempts} times" if attempts > 1 else ""
        error = WorkerLost(
            f"the worker that ran {work.callee.fullname} {lost.reason}{times}",
            hint=lost.hint or f"executor {self.name}: the body may have crashed it, or used up its memory",
        )
        return self._refused(work, error, attempts)

    def _refused(self, work: FarWork, error: RedunError, attempts: int) -> Answer:
        now = perf_counter_ns()
        return Answer(work.tag, False, self._crossing.refused(error), now, now, False, attempts)

    # -- time ---------------------------------------------------------------------------------------------------------

    def patience(self) -> float | None:
        """See `Pool.patience`."""
        ends = [sent.deadline for sent in self._sent.values() if sent.deadline is not None]
        return min(ends) - monotonic() if ends else None

    def tend(self) -> Reply:
        """Stops the bodies whose time is up."""
        now = monotonic()
        answers: list[Answer] = []
        late = [number for number, sent in self._sent.items() if sent.deadline is not None and sent.deadline <= now]
        for number in late:
            work = self._sent.pop(number).works[0]
            stopped = self._carrier.cancel(number)
            error = JobTimeout(
                f"{work.callee.fullname} ran longer than its timeout of {work.timeout:g} s",
                hint="its worker was ended" if stopped else "nothing stops its body there: it runs on for nothing",
            )
            answers.append(self._refused(work, error, self._attempts.pop(work.tag, 0) + 1))
        self._flush()
        return answers, []

    # -- giving up ----------------------------------------------------------------------------------------------------

    def cancel(self, tag: Any) -> bool:
        """See `Pool.cancel`."""
        self._attempts.pop(tag, None)
        for works in self._again:
            if any(work.tag is tag for work in works):
                works[:] = [work for work in works if work.tag is not tag]
                self._again = deque(works for works in self._again if works)
                return True
        for number, sent in self._sent.items():
            if any(work.tag is tag for work in sent.left()):
                sent.given_up.update(id(work) for work in sent.works if work.tag is tag)
                others = sent.left()
                stopped = self._carrier.cancel(number)
                if stopped or not others:
                    del self._sent[number]
                    if others:
                        self._again.append(others)
                    self._flush()
                return stopped
        return True

    def halt(self) -> None:
        """See `Pool.halt`: what was submitted has begun, or had before it was lost."""

    def close(self) -> None:
        """See `Pool.close`."""
        self._carrier.close()
        self._sent.clear()
        self._again.clear()
        spool.remove(self._directory)
