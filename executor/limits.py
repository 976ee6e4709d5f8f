"""Limits: how much of a named resource the jobs of a run hold at once.

A job takes all that it needs or nothing, so no two wait for each other. Who asked first is served first: where a job
waits for a resource, no later one is given any of it, however small its need. So a large need is met in the end, and a
resource may be idle in part until then. Jobs that have no resource in common do not wait for each other.

Each run counts for itself: neither other processes nor runs inside bodies share its resources.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TypeAlias

from redun.core.errors import LimitTooLarge
from redun.executor.jobs import Job
from redun.executor.states import State

Need: TypeAlias = tuple[tuple[str, int], ...]


class Limits:
    """The resources of one run, and the jobs that wait for some.

    Args:
        capacities: how much there is; of a resource that is not among them, one.
    """

    def __init__(self, capacities: Mapping[str, int]) -> None:
        self._capacities = capacities
        self._free: dict[str, int] = {}
        self._numbers = count()
        #: Waiting jobs by what they need: few needs are shared by many jobs, and only the first of each is looked at.
        self._queues: dict[Need, deque[tuple[int, Job]]] = {}
        #: How many jobs wait for a resource.
        self._wanted: Counter[str] = Counter()

    def take(self, job: Job, need: Need) -> bool:
        """Gives a job what it needs, or lets it wait; returns whether it has it.

        Raises:
            LimitTooLarge: if there will never be as much.
        """
        for name, number in need:
            capacity = self._capacities.get(name, 1)
            if number > capacity:
                raise _too_large(job.task.fullname, name, number, capacity, declared=name in self._capacities)
        if not any(self._wanted[name] for name, _ in need) and self._fits(need):
            self._hold(job, need)
            return True
        self._queues.setdefault(need, deque()).append((next(self._numbers), job))
        self._wanted.update(name for name, _ in need)
        return False

    def release(self, job: Job) -> list[Job]:
        """Takes back what a job holds; returns the jobs that have now got what they waited for."""
        for name, number in job.holds:
            self._free[name] += number
        job.holds = ()
        return self._served() if self._queues else []

    def _served(self) -> list[Job]:
        served: list[Job] = []
        claimed: set[str] = set()
        first = [(queue[0][0], need) for need, queue in self._queues.items()]
        heapify(first)
        while first:
            _, need = heappop(first)
            names = [name for name, _ in need]
            if not claimed.isdisjoint(names) or not self._fits(need):
                claimed.update(names)
                continue
            queue = self._queues[need]
            _, job = queue.popleft()
            self._wanted.subtract(names)
            if job.state is State.QUEUED:  # else it was given up meanwhile
                self._hold(job, need)
                served.append(job)
            if queue:
                heappush(first, (queue[0][0], need))
            else:
                del self._queues[need]
        return served

    def _fits(self, need: Need) -> bool:
        return all(self._free.setdefault(name, self._capacities.get(name, 1)) >= number for name, number in need)

    def _hold(self, job: Job, need: Need) -> None:
        for name, number in need:
            self._free[name] -= number
        job.holds = need


def _too_large(fullname: str, name: str, number: int, capacity: int, *, declared: bool) -> LimitTooLarge:
    there = f"there are {capacity}" if declared else "there is 1, as of every limit that is not declared"
    return LimitTooLarge(
        f"task {fullname} needs {number} of limit {name!r}, and {there}",
        hint=f"[limits] {name} = {number} in redun.toml, or Scheduler(limits={{{name!r}: {number}}})",
    )
