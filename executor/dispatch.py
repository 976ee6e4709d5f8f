"""Dispatch: which of the jobs that are ready go to the pool, and how many to a message."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from redun.executor.jobs import Job
from redun.executor.pools.threads import Answer, Reply, ThreadPool, Work
from redun.executor.states import State

#: A task whose bodies took less than this (ns) is tiny: its jobs travel together.
_TINY_NS: Final = 100_000
_TOGETHER: Final = 200
#: An argument of more bytes is not decoded ahead of its turn.
_HEAVY_BYTES: Final = 4096
#: First bytes of msgpack's extensions of 8 to 32 bits of length: a large leaf or a container in segments is one.
_EXTENSIONS: Final = b"\xc7\xc8\xc9"


class Dispatcher:
    """Holds the jobs that are to be run and sends them to the pool while it has threads for them.

    A task never seen before goes one by one, so that those that sleep run side by side. One that was seen to be tiny
    goes in handfuls, two at a time: bodies that short hold the interpreter all the while, so more threads would only
    wait for each other. A job with a large argument travels alone, for its arguments are in memory from then on.

    Args:
        make: decodes a job's arguments and marks it as started; None where that failed the job.
    """

    def __init__(self, pool: ThreadPool, make: Callable[[Job], Work | None]) -> None:
        self._pool = pool
        self._make = make
        self._ready: dict[int, deque[Job]] = {}
        self._speed: dict[int, int] = {}
        self.waiting = 0
        #: Jobs that are with the pool, in the order in which they were sent.
        self.in_flight: dict[Job, None] = {}

    def add(self, job: Job) -> None:
        """Takes a job that is to be run."""
        self._ready.setdefault(id(job.task), deque()).append(job)
        self.waiting += 1

    def is_tiny(self, job: Job) -> bool:
        """Returns whether the last body of the job's task was over in no time."""
        return self._speed.get(id(job.task), _TINY_NS) < _TINY_NS

    def send(self) -> None:
        """Sends what the pool has threads for."""
        free = self._pool.threads - self._pool.messages
        while self.waiting and free > 0:
            sent = 0
            for jobs in list(self._ready.values()):
                if sent < free and not (self.is_tiny(jobs[0]) and len(self.in_flight) >= 2 * _TOGETHER):
                    work = self._handful(jobs)
                    if work:
                        self._pool.submit(work)
                    sent += 1
            if not sent:
                return
            free = self._pool.threads - self._pool.messages

    def run_alone(self) -> Reply | None:
        """Runs the one tiny job that is all there is to do, a link of a chain, on this thread; None where there is more
        to do or less."""
        if self.waiting != 1 or self._pool.messages:
            return None
        (jobs,) = self._ready.values()
        if not self.is_tiny(jobs[0]):
            return None
        work = self._handful(jobs)
        return self._pool.run_here(work) if work else ([], [])

    def done(self, answer: Answer) -> Job:
        """Takes an answer of the pool and returns its job."""
        job: Job = answer.tag
        del self.in_flight[job]
        self._speed[id(job.task)] = answer.stopped - answer.started
        return job

    def returned(self, work: Work) -> Job:
        """Takes back a job that the pool has not begun, and returns it."""
        job: Job = work.tag
        del self.in_flight[job]
        self._ready.setdefault(id(job.task), deque()).appendleft(job)
        self.waiting += 1
        return job

    def _handful(self, jobs: deque[Job]) -> list[Work]:
        work: list[Work] = []
        most = _TOGETHER if self.is_tiny(jobs[0]) else 1
        while jobs and len(work) < most:
            heavy = _is_heavy(jobs[0])
            if heavy and work:
                break
            job = jobs.popleft()
            self.waiting -= 1
            made = self._make(job) if job.state is State.QUEUED else None
            if made is not None:
                self.in_flight[job] = None
                work.append(made)
            if heavy:
                break
        if not jobs and work:
            self._ready.pop(id(work[0].tag.task), None)
        elif not jobs:
            self._ready = {task: waiting for task, waiting in self._ready.items() if waiting}
        return work


def _is_heavy(job: Job) -> bool:
    for arg in job.args:
        if not arg.plain and (len(arg.payload) > _HEAVY_BYTES or not arg.payload or arg.payload[0] in _EXTENSIONS):
            return True
    return False
