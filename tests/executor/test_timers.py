"""Timers: whose time comes when, and that those which were taken back leave nothing behind."""

from __future__ import annotations

import time

from redun.core.digest import DEFAULT_FORMAT
from redun.core.keys import prepare
from redun.core.reduction import CALL, Node
from redun.core.tasks import task
from redun.executor.jobs import Job
from redun.executor.timers import Timers


@task(namespace="tests.timers", version="1")
def waits() -> None: ...


def _jobs(number: int) -> list[Job]:
    prepared = prepare(waits, DEFAULT_FORMAT)
    return [Job(Node(CALL, waits.fullname, [], {}), None, waits, prepared) for _ in range(number)]


def test_jobs_are_due_in_the_order_of_their_times() -> None:
    timers = Timers()
    first, second, third = _jobs(3)
    timers.set(second, 0.0)
    timers.set(third, 60.0)
    timers.set(first, -1.0)
    assert timers.due() == [first, second]
    assert list(timers.live) == [third]
    assert 59 < timers.patience() <= 60


def test_a_job_has_one_timer_and_the_last_counts() -> None:
    timers = Timers()
    (job,) = _jobs(1)
    timers.set(job, 0.0)
    timers.set(job, 60.0)
    assert timers.due() == []
    assert timers.patience() > 59
    timers.clear(job)
    timers.clear(job)
    assert (timers.due(), timers.live) == ([], {})


def test_the_next_time_is_told_exactly() -> None:
    timers = Timers()
    soon, later = _jobs(2)
    timers.set(later, 0.02)
    timers.set(soon, 0.01)
    timers.clear(soon)
    end = time.monotonic() + timers.patience()
    while time.monotonic() < end:
        pass
    assert timers.due() == [later]


def test_many_jobs_in_time_leave_no_timers_behind() -> None:
    timers = Timers()
    (job,) = _jobs(1)
    for _ in range(100_000):
        timers.set(job, 3600.0)
        timers.clear(job)
    assert len(timers._heap) < 100
