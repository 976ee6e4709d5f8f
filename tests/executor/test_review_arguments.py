"""Arguments that cannot be made in this process are told of all the same."""

from __future__ import annotations

import logging

import pytest

from redun.core.errors import CannotDecode
from redun.core.objects import Status
from tests.executor.flows import Flow

FRAGILE = """
class Fragile:
    def __setstate__(self, state):
        if getattr(logging, "breaks", False):
            raise ValueError("not now")
        self.__dict__.update(state)

@task()
def make(n):
    made = Fragile()
    made.n = n
    return made

@task()
def take(fragile):
    return fragile.n

@task()
def main(n=1):
    return take(make(n))
"""
BROKEN = """
class Broken:
    def __setstate__(self, state):
        raise ValueError("not again")

@task()
def make():
    made = Broken()
    made.x = 1
    return made

@task()
def take(broken):
    return 1

@task()
def main():
    return take(make())
"""


def _told(flow: Flow) -> set[tuple[str, str]]:
    return {(event.fullname, repr(event.args)) for event in flow.watcher.events}


def test_an_argument_that_will_not_be_made_is_told_of_where_no_body_wants_it(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
):
    flow.load(FRAGILE)
    assert flow() == 1
    flow.watcher.events.clear()
    monkeypatch.setattr(logging, "breaks", True, raising=False)
    assert flow() == 1
    assert "take" not in flow.ran
    assert {name for name, _ in _told(flow)} == {"main", "make", "take"}
    assert any("Fragile" in args for name, args in _told(flow) if name == "take")


def test_an_argument_that_cannot_be_made_fails_its_job_and_is_in_the_traceback(flow: Flow):
    flow.load(BROKEN)
    execution = flow.execute()
    assert execution.status is Status.FAILED
    assert isinstance(execution.error, CannotDecode)
    assert execution.digest is not None
    assert [job.fullname for job in execution.failed] == ["main", "take"]
    assert "Broken" in repr(execution.failed[-1].args[0][1])
