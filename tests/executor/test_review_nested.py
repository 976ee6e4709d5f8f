"""Bodies that run expressions themselves."""

from __future__ import annotations

import pytest

from tests.executor.flows import Flow

TEXT = """
from redun.executor.scheduler import Scheduler

STORE = None

@task()
def inner(n):
    ran("inner")
    return n + 1

@task()
def outer(n):
    ran("outer")
    return Scheduler(STORE).run(inner(n))

@task()
def other(n):
    ran("other")
    return n

@task()
def main():
    return [outer(1), other(1)]
"""
CHAIN = """
@task()
def chain():
    x = 0
    for _ in range(5):
        x = other(outer(other(x)))
    return x
"""


@pytest.mark.parametrize("threads", [1, 4])
def test_what_a_body_ran_itself_is_looked_at_in_every_run(flow: Flow, threads: int):
    flow.threads = threads
    flow.load(TEXT)
    assert flow() == [2, 1]
    flow.edit("n + 1", "n + 2")
    assert flow() == [3, 1]
    assert flow.ran == ["inner", "outer"]


def test_what_a_body_ran_itself_is_answered_from_its_own_store(flow: Flow):
    for _ in range(2):
        flow.load(TEXT)
        assert flow.module is not None
        vars(flow.module)["STORE"] = flow.store
        assert flow() == [2, 1]
    assert flow.ran == ["outer"]


def test_a_chain_of_bodies_that_run_expressions_keeps_them_apart(flow: Flow):
    flow.threads = 1
    flow.load(TEXT + CHAIN)
    assert flow("chain()") == 5
    assert flow("chain()") == 5
    assert set(flow.ran) == {"inner", "outer"}
