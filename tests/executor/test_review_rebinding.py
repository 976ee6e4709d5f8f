"""Names that lead somewhere else between two runs of one process: cells of notebooks that run again, reloaded modules,
tests that put something else in a module."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FunctionType

import pytest

from tests.executor.flows import Flow

TEXT = """
import tools
from tools import far as near

LIMIT = 1

def helper():
    return LIMIT

class Tool:
    size = 1

    def use(self):
        return self.size

@task()
def constant():
    ran("constant")
    return LIMIT

@task()
def through_helper():
    ran("through_helper")
    return helper()

@task()
def through_class():
    ran("through_class")
    return Tool().use()

@task()
def through_module():
    ran("through_module")
    return tools.FAR, tools.far(), near()

@task()
def later():
    ran("later")
    return not_yet()

@task()
def take(tool):
    ran("take")
    return tool.use()

@task()
def nothing():
    ran("nothing")
    return 0

@task()
def main():
    return [constant(), through_helper(), through_class(), through_module(), nothing()]
"""
BEFORE = [1, 1, 1, (1, 1, 1), 0]


def _two() -> int:
    return 2


def _new_far() -> int:
    return FAR + 4  # type: ignore[name-defined]  # noqa: F821  # it is to be code of another module


@pytest.fixture
def session(flow: Flow) -> Iterator[Flow]:
    """A workflow that has run once in this process."""
    (flow.folder / "tools.py").write_text("FAR = 1\n\ndef far():\n    return FAR\n")
    flow.load(TEXT)
    assert flow() == BEFORE
    yield flow
    sys.modules.pop("tools", None)


def _do(flow: Flow, text: str) -> None:
    assert flow.module is not None
    exec(text, flow.module.__dict__)  # the test's own text, as a cell of a notebook


def test_what_is_as_it_was_is_answered(session: Flow):
    assert session() == BEFORE
    assert session.ran == []


def test_a_constant_that_is_another_counts(session: Flow):
    _do(session, "LIMIT = 2")
    assert session() == [2, 2, *BEFORE[2:]]
    assert session.ran == ["constant", "through_helper"]
    _do(session, "LIMIT = 1")
    assert session() == BEFORE
    assert session.ran == []


def test_a_helper_that_is_another_counts(session: Flow):
    assert session.module is not None
    session.module.helper = _two
    assert session() == [1, 2, *BEFORE[2:]]
    assert session.ran == ["through_helper"]


def test_a_helper_that_was_given_other_code_counts(session: Flow):
    assert session.module is not None
    session.module.helper.__code__ = _two.__code__
    assert session()[1] == 2
    assert session.ran == ["through_helper"]


def test_a_method_or_attribute_that_is_another_counts(session: Flow):
    _do(session, "Tool.size = 2")
    assert session()[2] == 2
    assert session.ran == ["through_class"]
    assert session.module is not None
    session.module.Tool.use = lambda self: 3
    assert session()[2] == 3


def test_names_of_other_modules_count(session: Flow):
    tools = sys.modules["tools"]
    tools.FAR = 2  # type: ignore[attr-defined]
    assert session()[3] == (2, 2, 2)
    assert session.ran == ["through_module"]
    tools.far = FunctionType(_new_far.__code__, vars(tools), "far")  # type: ignore[attr-defined]
    assert session()[3] == (2, 6, 2)


def test_a_name_that_is_defined_later_counts(session: Flow):
    with pytest.raises(NameError):
        session("later()")
    for value in (1, 2):
        assert session.module is not None
        session.module.not_yet = FunctionType(_new_far.__code__, {**vars(sys.modules["tools"]), "FAR": value})
        assert session("later()") == value + 4


def test_the_code_of_an_argument_counts_as_it_is_now(session: Flow):
    assert session("take(Tool())") == 1
    assert session("take(Tool())") == 1
    assert session.ran == []
    _do(session, "Tool.size = 2")
    assert session("take(Tool())") == 2
