"""Drives the evaluator without threads, clock or store: whoever drives chooses what happens next."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from redun.core.awaiting import asking
from redun.core.context import EMPTY, Context
from redun.core.digest import DEFAULT_FORMAT, Digest, Key
from redun.core.keys import spread
from redun.core.objects import Why
from redun.core.reduction import Reduction, read_reduction
from redun.core.values import Encoded, Encoder
from redun.executor.evaluator import Evaluator
from redun.executor.jobs import Failure, Job
from redun.executor.states import ENDED, State

#: Chooses one of so many things that can happen next.
Choose = Callable[[int], int]


@dataclass
class Memory:
    """What a run leaves for later ones: what bodies returned or raised, by key, and the objects that it refers to."""

    reductions: dict[Key, tuple[bool, bytes]] = field(default_factory=dict)
    errors: dict[Key, Exception] = field(default_factory=dict)
    objects: dict[Digest, tuple[str, bytes]] = field(default_factory=dict)


class Machine:
    """One evaluation.

    Attributes:
        ran: names and arguments of the bodies that ran, in the order in which they ended.
        ended: jobs in the order in which they ended.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory or Memory()
        self.encoder = Encoder(DEFAULT_FORMAT, self.memory.objects)
        self.evaluator = Evaluator(self.encoder, self.memory.objects.__getitem__)
        self._known = dict(self.memory.reductions)  # what this run remembers is for later ones
        self._errors = dict(self.memory.errors)
        self.ran: list[tuple[str, list[Any]]] = []
        self.ended: list[Job] = []
        self._asks: list[Job] = []
        self._queued: list[Job] = []
        self._running: list[Job] = []
        self._told: list[tuple[Any, Any, BaseException | None]] = []

    def run(
        self,
        expression: Any,
        choose: Choose = lambda count: 0,
        *,
        settles: bool = False,
        context: Context = EMPTY,
    ) -> Job:
        """Evaluates an expression, letting `choose` pick what happens next, and returns the root job."""
        root = self.evaluator.submit(expression, settles=settles, context=context)
        while True:
            self._take()
            actions: list[tuple[Callable[[Any], None], Any]] = [(self._answer, job) for job in self._asks]
            actions += [(self._start, job) for job in self._queued if not self.evaluator.failed or settles]
            actions += [(self._finish, job) for job in self._running]
            actions += [(self._resume, told) for told in self._told]
            if not actions:
                return root
            action, subject = actions[choose(len(actions))]
            action(subject)
            self.evaluator.advance()

    def value(self, job: Job) -> Any:
        """Returns the value that a job came to."""
        return self.evaluator.value(job.result)

    def _take(self) -> None:
        evaluator = self.evaluator
        self._asks += evaluator.asks
        self._queued += evaluator.runs
        self.ended += evaluator.ended
        self._told += evaluator.told
        for job in evaluator.ended:
            if job.state is State.DONE:
                job.slim()  # as the scheduler does
        for commands in (evaluator.asks, evaluator.runs, evaluator.reduced, evaluator.ended, evaluator.told):
            commands.clear()
        self._asks = [job for job in self._asks if job.state is State.KEYED]
        self._queued = [job for job in self._queued if job.state is State.QUEUED]

    def _answer(self, job: Job) -> None:
        self._asks.remove(job)
        assert job.key is not None
        known, errors = self._known, self._errors
        if job.joint is not None:  # it is one of another context, and the store is asked anew
            known, errors = self.memory.reductions, self.memory.errors
        if job.leader is not None:
            job.leader = self.evaluator.leader(job)
            self.evaluator.join(job)
        elif job.key in known:
            self.evaluator.hit(job, self._remembered(*known[job.key]))
        elif isinstance(errors.get(job.key), job.handled):
            self.evaluator.failed_before(job, Failure(errors[job.key], None, job))
        else:
            self.evaluator.miss(job, Why.FIRST)

    def _remembered(self, is_expression: bool, payload: bytes) -> Reduction:
        return read_reduction(payload) if is_expression else Reduction(Encoded(payload), [], b"")

    def _start(self, job: Job) -> None:
        self._queued.remove(job)
        self._running.append(job)
        self.evaluator.started(job)

    def _finish(self, job: Job) -> None:
        self._running.remove(job)
        values = [self.evaluator.value(arg) for arg in job.args]
        self.ran.append((job.task.name, values))
        args, kwargs = spread(job.task, values)
        try:
            value = job.task.func(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  whatever the body raises is its answer
            self._raised(job, error)
            return
        if job.task.is_coroutine:
            self._advance_body(job, value, None, None)
        else:
            self._returned(job, value)

    def _raised(self, job: Job, error: Exception) -> None:
        self.evaluator.raised(job, Failure(error, None, job))
        if job.key is not None:
            self.memory.errors[job.key] = error

    def _returned(self, job: Job, value: Any) -> None:
        self.evaluator.returned(job, value)
        reduction = job.reduction
        if job.state is not State.FAILED and reduction is not None and job.key is not None:
            root = reduction.root
            payload = reduction.payload if reduction.nodes else root.payload if isinstance(root, Encoded) else b""
            self.memory.reductions[job.key] = (bool(reduction.nodes), payload)

    # -- async bodies -------------------------------------------------------------------------------------------------

    def _resume(self, told: tuple[Any, Any, BaseException | None]) -> None:
        """Goes on with a body that has been given what it awaited."""
        self._told.remove(told)
        (job, body), value, error = told
        self._advance_body(job, body, value, error)

    def _advance_body(self, job: Job, body: Coroutine[Any, Any, Any], value: Any, error: BaseException | None) -> None:
        token = asking.set(_Asked)
        try:
            wanted = body.send(value) if error is None else body.throw(error)
        except StopIteration as stop:
            self._returned(job, stop.value)
        except Exception as raised:  # noqa: BLE001  whatever the body raises is its answer
            self._raised(job, raised)
        else:
            self.evaluator.awaited(job, wanted, (job, body))
        finally:
            asking.reset(token)


class _Asked:
    """Yields an expression to whoever drives the body that awaits it."""

    def __init__(self, expression: Any) -> None:
        self._expression = expression

    def __await__(self) -> Iterator[Any]:
        return (yield self._expression)


def all_orders(limit: int = 20_000) -> Iterator[Choose]:
    """Yields a way of choosing for each order in which things can happen, until all have been tried.

    Every way given is to be used for one evaluation before the next is asked for.
    """
    path: list[tuple[int, int]] = []
    for _ in range(limit):
        place = 0

        def choose(count: int) -> int:
            nonlocal place
            if place == len(path):
                path.append((0, count))
            picked, known = path[place]
            assert known == count, "the evaluation is not determined by the order of events"
            place += 1
            return picked

        yield choose
        while path and path[-1][0] + 1 == path[-1][1]:
            path.pop()
        if not path:
            return
        path[-1] = (path[-1][0] + 1, path[-1][1])
    raise AssertionError(f"more than {limit} orders")


def children_end_first(ended: list[Job]) -> bool:
    """Returns whether no job ended before a job whose parent it is, as far as it came to a value."""
    places = {job: place for place, job in enumerate(ended)}
    return all(
        job.scope is None or job.scope.state is not State.DONE or places[job] < places[job.scope] for job in ended
    )


def settled(machine: Machine) -> bool:
    """Returns whether every job has ended and the counts say so."""
    counts = machine.evaluator.counts
    ended = {job.state for job in machine.ended} <= ENDED
    return ended and not machine.evaluator.unfinished() and all(row[:2] == [0, 0] for row in counts.values())
