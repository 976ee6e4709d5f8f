"""Limits as a queue, without a run around them: for any needs and any order of endings, nobody is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redun.core.digest import DEFAULT_FORMAT
from redun.core.keys import prepare
from redun.core.reduction import CALL, Node
from redun.core.steering import needs_of
from redun.core.tasks import task
from redun.executor.jobs import Job
from redun.executor.limits import Limits
from redun.executor.states import State

CAPACITIES = {"a": 1, "b": 2, "c": 3}
NEEDS = st.fixed_dictionaries(
    {}, optional={name: st.integers(min_value=1, max_value=number) for name, number in CAPACITIES.items()}
).filter(bool)


@task(namespace="tests.limits_fairness", version="1")
def needy() -> None: ...


def _job() -> Job:
    job = Job(Node(CALL, needy.fullname, [], {}), None, needy, prepare(needy, DEFAULT_FORMAT))
    for state in (State.WAITING, State.KEYED, State.QUEUED):
        job.move(state)
    return job


def _held(jobs: list[Job]) -> dict[str, int]:
    held = dict.fromkeys(CAPACITIES, 0)
    for job in jobs:
        for name, number in job.holds:
            held[name] += number
    return held


@given(st.lists(NEEDS, max_size=20), st.data())
def test_everybody_is_served_in_turn_and_never_is_more_held_than_there_is(
    wanted: list[dict[str, int]], data: st.DataObject
) -> None:
    limits = Limits(CAPACITIES)
    jobs = [_job() for _ in wanted]
    needs = dict(zip(jobs, map(needs_of, wanted), strict=True))
    running: list[Job] = []
    begun: list[Job] = []
    coming = list(jobs)
    while coming or running:
        if coming and (not running or data.draw(st.booleans())):
            job = coming.pop(0)
            fresh = [job] if limits.take(job, needs[job]) else []
        else:
            ended = running.pop(data.draw(st.integers(min_value=0, max_value=len(running) - 1)))
            fresh = limits.release(ended)
        running += fresh
        begun += fresh
        assert all(held <= CAPACITIES[name] for name, held in _held(running).items())
    assert set(begun) == set(jobs)
    for name in CAPACITIES:  # of those who need one thing, each begins after those who came before it
        line = [job for job in jobs if name in dict(needs[job])]
        assert [job for job in begun if job in line] == line


def test_a_job_that_was_given_up_while_it_waited_is_passed_over() -> None:
    limits = Limits({})
    first, second, third = _job(), _job(), _job()
    need = needs_of(["a"])
    assert [limits.take(job, need) for job in (first, second, third)] == [True, False, False]
    second.move(State.CANCELLED)
    assert limits.release(first) == [third]


def test_ten_thousand_jobs_in_one_line_are_looked_at_once_each() -> None:
    limits = Limits({"a": 1})
    jobs = [_job() for _ in range(10_000)]
    need = needs_of(["a"])
    (running,) = [job for job in jobs if limits.take(job, need)]
    served = 1
    while fresh := limits.release(running):
        (running,) = fresh
        served += 1
    assert served == len(jobs)
