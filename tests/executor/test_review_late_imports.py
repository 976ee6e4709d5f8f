"""Classes of modules that only bodies import: what was returned is read although no body has run yet."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.executor.flows import Flow

TEXT = """
@task()
def make(n):
    ran("make", n)
    import late
    return late.Point(n)

@task()
def pass_on(n):
    ran("pass_on")
    from late import Point
    return take(Point(n + 1))

@task()
def take(point):
    ran("take")
    return point.double()

@task()
def main(n=1):
    return [take(make(n)), pass_on(n)]
"""
LATE = """
from dataclasses import dataclass

@dataclass
class Point:
    x: int

    def double(self):
        return 2 * self.x
"""


@pytest.fixture
def late(flow: Flow) -> Iterator[Flow]:
    """A workflow that has run once, in a process that then ended."""
    (flow.folder / "late.py").write_text(LATE)
    flow.load(TEXT)
    assert flow() == [2, 4]
    _new_process(flow)
    yield flow
    sys.modules.pop("late", None)


def _new_process(flow: Flow) -> None:
    del sys.modules["late"]
    flow.reload()


def test_what_was_made_of_them_is_answered(late: Flow):
    assert late() == [2, 4]
    assert late.ran == []


def test_instances_are_answered(late: Flow):
    assert late("make(1)").x == 1
    assert late.ran == []


def test_who_takes_an_instance_runs_on_what_was_made_before(late: Flow):
    late.edit("return point.double()", "return -point.double()")
    assert late() == [-2, -4]
    assert set(late.ran) == {"take"}


def test_their_code_counts(late: Flow):
    (late.folder / "late.py").write_text(LATE.replace("2 * self", "30 * self"))
    assert late() == [30, 60]


def test_a_module_that_cannot_be_imported_any_more_is_met_by_the_body(late: Flow):
    (late.folder / "late.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        late()
