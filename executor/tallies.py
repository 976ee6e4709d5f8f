"""How many jobs of which task the subtree of each call has, counted while jobs end.

A whole replay stands for its inner jobs: they are counted and given numbers without a walk over them. So what is kept
must be what the walk of `replays.inner_calls` would find. A sum over a job's units is that, if inside the job no call
comes up a second time, other than by a join to a leader that is inside as well. Where that is not so, nothing is kept:
the first whole replay of the call walks, and keeps what it finds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from redun.core.digest import Digest
from redun.core.objects import How
from redun.executor.jobs import Job

#: Leaders outside a job that jobs inside it have joined; with more of them it is not worth while to follow each.
_OUTSIDE: Final = 8
_NONE: Final[frozenset[Job]] = frozenset()


class Tallies:
    """Counts the jobs of one run. Jobs arrive children first.

    Attributes:
        fresh: call -> jobs by task in its subtree, in the order of the task names, not yet taken by the scheduler.
    """

    def __init__(self) -> None:
        self.fresh: dict[Digest, list[int]] = {}
        #: Calls with calls inside that were counted.
        self._counted: set[Digest] = set()
        #: Job with calls inside -> a job around it that has ended.
        self._around: dict[Job, Job] = {}
        #: Job -> leaders outside it that jobs inside it have joined; None where its sum is not what a walk finds.
        self._outside: dict[Job, frozenset[Job] | None] = {}

    def count(self, job: Job) -> None:
        """Counts a job that has ended and was recorded."""
        made = (*job.units, *job.extras, *job.made)
        units = [unit for unit in made if isinstance(unit, Job) and unit.recorded_call is not None]
        if not units:
            return
        tally = {job.task.fullname: 1}
        outside: set[Job] = set()
        exact = job.call not in self._counted
        for unit in units:
            if unit.tally is None:
                name = unit.task.fullname
                tally[name] = tally.get(name, 0) + 1
                if unit.how is How.JOINED and unit.leader is not None and unit.leader.tally is not None:
                    outside.add(unit.leader)
                continue
            for name, number in unit.tally.items():
                tally[name] = tally.get(name, 0) + number
            self._around[unit] = job
            joined = None if unit.how is How.WHOLE else self._outside.pop(unit, _NONE)
            exact = exact and joined is not None
            outside.update(joined or ())
        job.tally = tally
        left = frozenset(leader for leader in outside if self._outermost(leader) is not job)
        exact = exact and len(left) <= _OUTSIDE
        if not exact or left:
            self._outside[job] = left if exact else None
        else:
            self.keep(job, tally)
        if job.call is not None:
            self._counted.add(job.call)

    def keep(self, job: Job, tally: dict[str, int]) -> None:
        """Keeps the numbers of the job's call."""
        if job.call is not None:
            self.fresh[job.call] = [tally.get(name, 0) for name in _names(job)]

    def _outermost(self, job: Job) -> Job:
        """The outermost job around a job that has ended; what is passed on the way is led there at once next time."""
        path = []
        while job in self._around:
            path.append(job)
            job = self._around[job]
        for passed in path[:-1]:
            self._around[passed] = job
        return job


def _names(job: Job) -> Iterable[str]:
    return sorted({name for name, _, _ in job.tasks.entries})
