"""Dispatch: which of the jobs that are ready go to which pool, and how many to a message."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from redun.executor.jobs import Job
from redun.executor.pools.contract import Answer, Pool, Reply, Work
from redun.executor.pools.threads import ThreadPool
from redun.executor.states import State

#: The executor of async jobs.
ASYNC: Final = "async"
#: A task whose bodies took less than this (ns) is tiny: its jobs travel together.
_TINY_NS: Final = 100_000
_TOGETHER: Final = 200
#: Work (ns) that a message to a far pool carries, and the most jobs.
_MESSAGE_NS: Final = 50_000_000
_FAR_TOGETHER: Final = 1000
#: An argument of more bytes is not decoded ahead of its turn.
_HEAVY_BYTES: Final = 4096
#: First bytes of msgpack's extensions of 8 to 32 bits of length: a large leaf or a container in segments is one.
_EXTENSIONS: Final = b"\xc7\xc8\xc9"


class Lane:
    """Holds the jobs that are to be run in one pool, and sends them there while it has slots for them.

    A task never seen before goes one by one, so that those that sleep run side by side. One that was seen to be tiny
    goes in handfuls, two at a time: bodies that short hold the interpreter all the while, so more threads would only
    wait for each other. A job with a large argument travels alone, for its arguments are in memory from then on,
    and so does one with a timeout.

    Args:
        make: makes of a job what the pool takes, and marks it as started; None where that failed the job.
        speed: task -> nanoseconds that its last body took; shared by all lanes.
    """

    def __init__(self, pool: Pool, make: Callable[[Job], Any], speed: dict[int, int]) -> None:
        self.pool = pool
        self._make = make
        self._ready: dict[int, deque[Job]] = {}
        self._speed = speed
        self.waiting = 0
        #: Jobs that are with the pool, in the order in which they were sent.
        self.in_flight: dict[Job, None] = {}

    def add(self, job: Job) -> None:
        """Takes a job that is to be run."""
        self._ready.setdefault(id(job.task), deque()).append(job)
        self.waiting += 1

    def put_back(self, job: Job) -> None:
        """Takes back a job that the pool has not begun."""
        del self.in_flight[job]
        self._ready.setdefault(id(job.task), deque()).appendleft(job)
        self.waiting += 1

    def is_tiny(self, job: Job) -> bool:
        """Returns whether the last body of the job's task was over in no time."""
        return self._speed.get(id(job.task), _TINY_NS) < _TINY_NS

    def send(self) -> None:
        """Sends what the pool has slots for."""
        free = self.pool.slots - self.pool.messages
        while self.waiting and free > 0:
            sent = 0
            for jobs in list(self._ready.values()):
                if sent < free and not self._holds_back(jobs[0]):
                    work = self.handful(jobs)
                    if work:
                        self.pool.submit(work)
                    sent += 1
            if not sent:
                return
            free = self.pool.slots - self.pool.messages

    def _holds_back(self, job: Job) -> bool:
        return self.is_tiny(job) and len(self.in_flight) >= 2 * _TOGETHER

    def _most(self, jobs: deque[Job]) -> int:
        return _TOGETHER if self.is_tiny(jobs[0]) else 1

    def only_tiny(self) -> deque[Job] | None:
        """Returns the one tiny job that is all there is to do here, a link of a chain; None where there is more."""
        if self.waiting != 1 or self.pool.messages:
            return None
        (jobs,) = self._ready.values()
        return jobs if self.is_tiny(jobs[0]) and jobs[0].timeout is None else None

    def handful(self, jobs: deque[Job]) -> list[Any]:
        """Returns what the pool takes of these jobs: the next message."""
        work: list[Any] = []
        task = jobs[0].task
        most = self._most(jobs)
        while jobs and len(work) < most:
            alone = jobs[0].timeout is not None or _is_heavy(jobs[0])
            if alone and work:
                break
            job = jobs.popleft()
            self.waiting -= 1
            made = self._make(job) if job.state is State.QUEUED else None
            if made is not None:
                self.in_flight[job] = None
                work.append(made)
            if alone:
                break
        if not jobs:
            self._ready.pop(id(task), None)
        return work


class FarLane(Lane):
    """Holds the jobs of a pool that is given bytes: a message costs it some hundred microseconds.

    A message carries about 50 ms of work, as far as the last body of the task tells, and towards the end less, so that
    all workers come to the end together. Short ones are sent ahead, so that no worker waits for the run.
    """

    def is_tiny(self, job: Job) -> bool:
        """Returns whether the job shares its message with others: it is nothing to be seen while it runs."""
        return self._speed.get(id(job.task), _MESSAGE_NS) < _MESSAGE_NS // 2

    def send(self) -> None:
        """Sends what the pool has slots for, and what is short ahead of that."""
        super().send()
        most = self.pool.slots + self.pool.ahead
        for jobs in list(self._ready.values()):
            while jobs and self.pool.messages < most and self.is_tiny(jobs[0]) and jobs[0].timeout is None:
                work = self.handful(jobs)
                if work:
                    self.pool.submit(work)

    def _holds_back(self, job: Job) -> bool:
        return False

    def _most(self, jobs: deque[Job]) -> int:
        speed = self._speed.get(id(jobs[0].task))
        if speed is None:
            return 1
        share = -(-len(jobs) // (2 * self.pool.slots))
        return max(min(_MESSAGE_NS // max(speed, 1), share, _FAR_TOGETHER), 1)


class Dispatcher:
    """The jobs that are to be run, by the pool that is to run them.

    Args:
        pool: the threads of this process, for jobs of the executor `near`.
        make: as in `Lane`.
    """

    def __init__(self, pool: ThreadPool, make: Callable[[Job], Work | None], *, near: str = "default") -> None:
        self._speed: dict[int, int] = {}
        self._near = Lane(pool, make, self._speed)
        self._threads = pool
        #: The lane of jobs that name no executor.
        self._default = self._near
        self._lanes = {near: self._near}
        #: The pools that are in use.
        self.pools: list[Pool] = [pool]

    def has(self, executor: str) -> bool:
        """Returns whether the pool of an executor is there."""
        return executor in self._lanes

    def open(self, executor: str, pool: Pool, make: Callable[[Job], Any], *, far: bool) -> None:
        """Adds a pool; `make` as in `Lane`."""
        lane = self._lanes[executor] = (FarLane if far else Lane)(pool, make, self._speed)
        self.pools.append(pool)
        if executor == "default":
            self._default = lane

    def add(self, job: Job) -> None:
        """Takes a job that is to be run by the pool of its executor, which is there."""
        if job.executor == "default":
            self._default.add(job)
        else:
            self._lanes[job.executor].add(job)

    @property
    def waiting(self) -> int:
        """Jobs that are with no pool yet."""
        return self._default.waiting if len(self._lanes) == 1 else sum(lane.waiting for lane in self._lanes.values())

    @property
    def messages(self) -> int:
        """Messages that pools have not answered."""
        return self._threads.messages if len(self.pools) == 1 else sum(pool.messages for pool in self.pools)

    @property
    def in_flight(self) -> Mapping[Job, None]:
        """Jobs that are with a pool, in the order in which each was sent them."""
        if len(self._lanes) == 1:
            return self._default.in_flight
        return {job: None for lane in self._lanes.values() for job in lane.in_flight}

    def is_tiny(self, job: Job) -> bool:
        """Returns whether the last body of the job's task was over in no time, as its pool sees it."""
        return (self._default if job.executor == "default" else self._lanes[job.executor]).is_tiny(job)

    def send(self) -> None:
        """Sends what the pools have slots for."""
        for lane in self._lanes.values():
            if lane.waiting:
                lane.send()

    def run_alone(self) -> Reply | None:
        """Runs the one tiny job that is all there is to do, a link of a chain, on this thread; None where there is more
        to do or less."""
        jobs = self._near.only_tiny()
        if jobs is None or (len(self._lanes) > 1 and (self.messages or self.waiting > 1)):
            return None
        work = self._near.handful(jobs)
        return self._threads.run_here(work) if work else ([], [])

    def cancel(self, job: Job) -> bool:
        """Gives up a job that is with a pool, whose answer is ignored from here on. Returns whether its body is
        stopped; else it runs on."""
        lane = self._lanes[job.executor]
        if job not in lane.in_flight:
            return True
        del lane.in_flight[job]
        return lane.pool.cancel(job)

    def done(self, answer: Answer) -> Job | None:
        """Takes an answer and returns its job; None where that was cancelled."""
        job: Job = answer.tag
        lane = self._default if job.executor == "default" else self._lanes[job.executor]
        if job not in lane.in_flight:
            return None
        del lane.in_flight[job]
        self._speed[id(job.task)] = answer.stopped - answer.started
        return job

    def returned(self, work: Any) -> Job | None:
        """Takes back a job that a pool has not begun, and returns it; None where it was cancelled."""
        job: Job = work.tag
        lane = self._lanes[job.executor]
        if job not in lane.in_flight:
            return None
        lane.put_back(job)
        return job

    def halt(self) -> None:
        """Makes the pools hand back what they have not begun."""
        for pool in self.pools:
            pool.halt()


def _is_heavy(job: Job) -> bool:
    for arg in job.args:
        if not arg.plain and (len(arg.payload) > _HEAVY_BYTES or not arg.payload or arg.payload[0] in _EXTENSIONS):
            return True
    return False
