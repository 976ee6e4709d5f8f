"""Timers of a run: what is to be done to which job at what time. Nothing runs by itself: the loop of the run asks."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from time import monotonic
from typing import Final, TypeAlias

from redun.executor.jobs import Job

_Entry: TypeAlias = tuple[float, int, Job]

#: So many timers that were taken back may lie about, and as many again as there are others.
_SLACK: Final = 64


class Timers:
    """One timer a job at most.

    Attributes:
        live: the jobs that have one; empty where nobody waits for anything.
    """

    def __init__(self) -> None:
        self.live: dict[Job, _Entry] = {}
        self._heap: list[_Entry] = []
        self._numbers = count()

    def set(self, job: Job, seconds: float) -> None:
        """Sets the timer of a job, in place of the one that it has."""
        entry = (monotonic() + seconds, next(self._numbers), job)
        self.live[job] = entry
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self.live) + _SLACK:
            self._heap = list(self.live.values())
            heapify(self._heap)

    def clear(self, job: Job) -> None:
        """Takes back the timer of a job, where it has one."""
        self.live.pop(job, None)

    def patience(self) -> float:
        """Returns how many seconds it is to the next one; there is one."""
        while (entry := self._heap[0]) is not self.live.get(entry[2]):
            heappop(self._heap)
        return max(entry[0] - monotonic(), 0.0)

    def due(self) -> list[Job]:
        """Returns the jobs whose time has come, the earliest first, and takes their timers back."""
        found = []
        while self.live and self.patience() <= 0.0:
            job = heappop(self._heap)[2]
            del self.live[job]
            found.append(job)
        return found
