"""Leaders: of the jobs of one key in a run, the one whose answer the others share (CACHING section 6).

A body depends on its key alone, but what it returned is evaluated in the context of its job. So jobs of different
contexts share what the body returned, and the final answer only where they find in their contexts all that was read.
"""

from __future__ import annotations

from enum import IntEnum

from redun.core.digest import Key
from redun.core.objects import How
from redun.core.steering import STEERING
from redun.core.values import Encoder
from redun.executor.jobs import Job
from redun.executor.states import ENDED, State


class Meeting(IntEnum):
    """What a job does about those of its key. ASK: the store is to be asked. JOIN: it shares its leader's answer, or
    waits for it. STEP: it takes the step that its leader has taken."""

    ASK = 0
    JOIN = 1
    STEP = 2


class Leaders:
    """The leaders of one run, by key.

    Attributes:
        contexts_differ: whether jobs of one key and of different contexts have met.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._leaders: dict[Key, Job] = {}
        self.contexts_differ = False

    def of(self, job: Job) -> Job:
        """Returns the job whose answer those of its key may share."""
        key = job.joint or job.key
        assert key is not None
        return self._leaders[key]

    def lead(self, job: Job) -> None:
        """The job does not share its leader's answer: from here on it is the one of its key."""
        job.leader = None
        key = job.joint or job.key
        if key is not None:
            self._leaders[key] = job

    def meet(self, job: Job, key: Key) -> Meeting:
        """Returns what a job does that has just got its key. Where the leader's answer holds externals, they are to be
        looked at first, and a job without a cache shares only what ran in this execution: then it asks, and only
        remembers its leader."""
        scope = job.cache_scope if job.options else "BACKEND"
        if scope == "NONE":
            return Meeting.ASK
        leader = self._leaders.setdefault(key, job)
        if leader is job:
            return Meeting.ASK
        if leader.context is not job.context and not self.alike(leader, job):
            self.contexts_differ = True
            other = self._leaders.setdefault(self.part(job), job)
            if other is job:
                return self._beside(job, leader, scope)
            leader = other
        if leader.state is State.CANCELLED:
            self._leaders[job.joint or key] = job
            return Meeting.ASK
        if leader.check != job.check:
            return Meeting.ASK  # another call, whose key was made to be the same
        if leader.failure is not None and not shares_failure(leader, job):
            self._leaders[job.joint or key] = job  # the body is to show whether it fails here, too
            return Meeting.ASK
        job.leader = leader
        if scope != "BACKEND" and not leader.has_run:
            return Meeting.ASK
        result = leader.result
        shared = result is None or (result.inspected and not result.externals and not result.code)
        return Meeting.JOIN if shared else Meeting.ASK

    def _beside(self, job: Job, leader: Job, scope: str) -> Meeting:
        """The first of its key in its context: it waits for a body that runs in another context, or takes its step."""
        if scope != "BACKEND" or leader.check != job.check or (leader.state in ENDED and not _has_left_a_step(leader)):
            return Meeting.ASK
        job.leader = leader
        taken = leader.state in (State.REDUCING, State.DONE) and leader.reduction is not None
        return Meeting.STEP if taken else Meeting.JOIN

    def alike(self, leader: Job, job: Job) -> bool:
        """Returns whether a job finds in its context what its leader has, or at least all that it is known to have
        read."""
        if leader.context.digest(self._encoder) == job.context.digest(self._encoder):
            return True
        if leader.state is not State.DONE or leader.head is None:
            return False
        return all(job.context.id_at(path, self._encoder) == found for path, found in leader.context_reads)

    def part(self, job: Job) -> Key:
        """Makes a job one of those of its key that have its context; returns what these join."""
        assert job.key is not None
        job.joint = Key(job.key + job.context.digest(self._encoder))
        return job.joint

    def parting(self, leader: Job) -> list[Job]:
        """Returns those who joined a job only until it takes a step: they take it by themselves, in other contexts."""
        return [
            other
            for other in leader.dependants
            if isinstance(other, Job) and other.state is State.JOINED and other.context is not leader.context
            if not self.alike(leader, other)
        ]


def _has_left_a_step(leader: Job) -> bool:
    """Whether what the body of a job that has ended returned is at hand, and depends on nothing outside: in this run
    the body is not to run again, though the store may not know yet that it has."""
    reduction = leader.reduction
    return (
        leader.state is State.DONE
        and leader.how in (How.RAN, How.STEP)
        and reduction is not None
        and not reduction.externals
    )


def shares_failure(leader: Job, job: Job) -> bool:
    """Returns whether the failure of a job is also that of another one of its key: one that an earlier run remembers,
    where somebody handles it; one that options may have made or prevented, where these are the same."""
    if leader.how is not How.RAN and not job.handled:
        return False
    mine, theirs = job.options, leader.options
    return mine is theirs or all(mine.get(name) == theirs.get(name) for name in STEERING)
