from __future__ import annotations

from itertools import product

import pytest

from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import InternalError
from redun.core.keys import prepare
from redun.core.reduction import CALL, Node
from redun.core.tasks import Task
from redun.executor.jobs import Job
from redun.executor.states import ENDED, MOVES, State

TASK: Task[..., int] = Task(lambda: 1, {"name": "states"})


def _job(state: State) -> Job:
    job = Job(Node(CALL, "states", [], {}, None, TASK), None, TASK, prepare(TASK, DEFAULT_FORMAT))
    job.state = state
    return job


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_a_job_makes_the_moves_of_the_table_and_no_other(old: State, new: State):
    job = _job(old)
    if new in MOVES[old]:
        job.move(new)
        assert job.state is new
        return
    with pytest.raises(InternalError, match=f"{old.name} to {new.name}"):
        job.move(new)
    assert job.state is old


def test_the_table_names_every_state_and_nothing_leaves_the_last_ones():
    assert set(MOVES) == set(State)
    assert all(not MOVES[state] for state in ENDED)


def test_every_state_can_be_reached_from_the_first_and_reaches_an_end():
    reached = {State.NEW}
    while True:
        more = reached | {new for old in reached for new in MOVES[old]}
        if more == reached:
            break
        reached = more
    assert reached == set(State)
    ending = set(ENDED)
    while True:
        more = ending | {old for old in State if MOVES[old] & ending}
        if more == ending:
            break
        ending = more
    assert ending == set(State)


def test_a_new_job_is_new():
    job = Job(Node(CALL, "states", [], {}, None, TASK), None, TASK, prepare(TASK, DEFAULT_FORMAT))
    assert (job.state, job.number, job.parent) == (State.NEW, -1, -1)
