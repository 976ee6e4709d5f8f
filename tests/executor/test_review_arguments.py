"""Arguments that cannot be made in this process are told of all the same."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from redun.core.errors import CannotDecode
from redun.core.objects import Status
from tests.executor.flows import Flow

LATE = """
@task()
def make(n):
    ran("make", n)
    import late
    return late.Point(n)

@task()
def take(point):
    ran("take")
    return point.x

@task()
def inner(n):
    return take(make(n))

@task()
def main(n=1):
    return inner(n)
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


@pytest.fixture
def late(flow: Flow):
    """A module that only bodies import."""
    (flow.folder / "late.py").write_text("from dataclasses import dataclass\n\n@dataclass\nclass Point:\n    x: int\n")
    yield flow.folder / "late.py"
    sys.modules.pop("late", None)


def _forget(module: str) -> None:
    del sys.modules[module]


def test_a_class_that_only_bodies_import_is_shown_where_no_body_runs(flow: Flow, late: Path):
    flow.load(LATE)
    assert flow() == 1
    first = [(event.fullname, [repr(value) for _, value in event.args]) for event in flow.watcher.events]
    _forget("late")
    flow.reload()
    flow.watcher.events.clear()
    assert flow() == 1
    assert flow.ran == []
    assert [(event.fullname, [repr(value) for _, value in event.args]) for event in flow.watcher.events] == first


def test_an_argument_that_cannot_be_made_fails_its_job_and_is_in_the_traceback(flow: Flow):
    flow.load(BROKEN)
    execution = flow.execute()
    assert execution.status is Status.FAILED
    assert isinstance(execution.error, CannotDecode)
    assert execution.digest is not None
    assert [job.fullname for job in execution.failed] == ["main", "take"]
    assert "Broken" in repr(execution.failed[-1].args[0][1])
