"""What a job that has to run is compared with, and why it is said to have run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.core.objects import How, Why
from tests.executor.histories import History, history_in

CHAIN = """
@task()
def leaf(n):
    return n + 1

@task()
def main(n=1):
    return leaf(n)
"""
CLASS = """
from dataclasses import dataclass

@dataclass
class Model:
    size: int
    def double(self):
        return self.size * 2

@task()
def make():
    return Model(3)

@task()
def use(model):
    return model.double()

@task()
def main():
    return use(make())
"""


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with history_in(tmp_path) as history:
        yield history


def test_the_first_call_of_a_task_has_nothing_to_be_compared_with(history: History) -> None:
    history.run(CHAIN)
    row = history.rows()["leaf"]
    assert (row.why, row.compared) == (Why.FIRST, None)


MANY = """
@task()
def prepare(n): return n

@task()
def first(): return prepare(1)

@task()
def leaf(n): return n

@task()
def second(): return [leaf(n) for n in range(6000)]

@task()
def main(n=1): return [first(), second(), n]
"""


@pytest.mark.parametrize("runs", [1, 2])
def test_a_task_early_in_a_run_of_thousands_of_jobs_has_its_earlier_call(history: History, runs: int) -> None:
    for _ in range(runs):  # the second is one row, with all these inside
        history.run(MANY)
    history.run(MANY.replace("prepare(n): return n", "prepare(n): return n + 0"))
    assert history.told == {"prepare": "code changed: its own text"}


def test_a_task_that_was_called_a_hundred_executions_ago_has_its_earlier_call(history: History) -> None:
    history.run(CHAIN)
    for number in range(100):
        history.run("@task()\ndef main(n): return n", number)
    history.run(CHAIN.replace("n + 1", "n + 2"))
    assert history.told["leaf"] == "code changed: its own text"
    history.run(CHAIN.replace("leaf", "twig"))
    assert history.told["twig"] == "no earlier call of this task"


def test_another_argument_is_compared_with_the_call_before(history: History) -> None:
    history.run(CHAIN)
    before = history.rows()["leaf"].call
    history.run(CHAIN, 5)
    row = history.rows()["leaf"]
    assert (row.why, row.compared) == (Why.ARGUMENT, before)


def test_edited_code_is_compared_with_the_call_of_the_same_arguments(history: History) -> None:
    history.run(CHAIN)
    before = history.rows()["leaf"].call
    history.run(CHAIN, 5)
    history.run(CHAIN.replace("n + 1", "n + 2"))
    row = history.rows()["leaf"]
    assert (row.why, row.compared) == (Why.CODE, before)


def test_an_edited_task_inside_a_replay_that_was_repeated_often_has_an_earlier_call(history: History) -> None:
    history.run(CHAIN)
    before = history.rows()["leaf"].call
    for _ in range(64):
        history.run(CHAIN)
    assert history.rows()["main"].how is How.WHOLE
    history.run(CHAIN.replace("n + 1", "n + 2"))
    row = history.rows()["leaf"]
    assert (row.why, row.compared) == (Why.CODE, before)


def test_the_code_of_a_class_among_the_arguments_is_code(history: History) -> None:
    history.run(CLASS)
    before = history.rows()["use"].call
    history.run(CLASS.replace("* 2", "* 5"))
    row = history.rows()["use"]
    assert (row.why, row.compared) == (Why.CODE, before)


def test_what_failed_last_time_is_said_to_have_failed(history: History) -> None:
    text = CHAIN.replace("return n + 1", "return n / 0")
    history.run(text)
    before = history.rows()["leaf"].call
    history.run(text)
    row = history.rows()["leaf"]
    assert (row.why, row.compared) == (Why.ERROR, before)
