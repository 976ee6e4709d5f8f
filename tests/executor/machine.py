"""Drives the evaluator without threads, clock or store: whoever drives chooses what happens next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

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
    """What a run leaves for later ones: what bodies returned, by key, and the objects that it refers to."""

    reductions: dict[Key, tuple[bool, bytes]] = field(default_factory=dict)
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
        self.ran: list[tuple[str, list[Any]]] = []
        self.ended: list[Job] = []
        self._asks: list[Job] = []
        self._queued: list[Job] = []
        self._running: list[Job] = []

    def run(self, expression: Any, choose: Choose = lambda count: 0) -> Job:
        """Evaluates an expression, letting `choose` pick what happens next, and returns the root job."""
        root = self.evaluator.submit(expression)
        while True:
            self._take()
            actions = [(self._answer, job) for job in self._asks]
            actions += [(self._start, job) for job in self._queued if not self.evaluator.failed]
            actions += [(self._finish, job) for job in self._running]
            if not actions:
                return root
            action, job = actions[choose(len(actions))]
            action(job)
            self.evaluator.advance()

    def value(self, job: Job) -> Any:
        """Returns the value that a job came to."""
        return self.evaluator.value(job.result)

    def _take(self) -> None:
        evaluator = self.evaluator
        self._asks += evaluator.asks
        self._queued += evaluator.runs
        self.ended += evaluator.ended
        for job in evaluator.ended:
            job.slim()  # as the scheduler does
        for commands in (evaluator.asks, evaluator.runs, evaluator.reduced, evaluator.ended):
            commands.clear()
        self._asks = [job for job in self._asks if job.state is State.KEYED]
        self._queued = [job for job in self._queued if job.state is State.QUEUED]

    def _answer(self, job: Job) -> None:
        self._asks.remove(job)
        assert job.key is not None
        if job.leader is not None:
            self.evaluator.join(job)
        elif job.key in self._known:
            self.evaluator.hit(job, self._remembered(job.key))
        else:
            self.evaluator.miss(job, Why.FIRST)

    def _remembered(self, key: Key) -> Reduction:
        is_expression, payload = self._known[key]
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
            self.evaluator.raised(job, Failure(error, None, job))
            return
        self.evaluator.returned(job, value)
        reduction = job.reduction
        if job.state is not State.FAILED and reduction is not None and job.key is not None:
            root = reduction.root
            payload = reduction.payload if reduction.nodes else root.payload if isinstance(root, Encoded) else b""
            self.memory.reductions[job.key] = (bool(reduction.nodes), payload)


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
