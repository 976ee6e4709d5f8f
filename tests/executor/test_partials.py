"""Partial tasks and quoted expressions: lazy things that travel as values."""

from __future__ import annotations

from typing import Any

import pytest

from redun.core.functional import as_task, compose, delay, force, map_
from redun.core.quoting import quote
from redun.core.tasks import task
from redun.executor.scheduler import Scheduler
from redun.store import Store

redun_namespace = "tests.partials"

_ran: list[Any] = []


@pytest.fixture(autouse=True)
def ran() -> list[Any]:
    """What ran, by task and argument."""
    _ran.clear()
    return _ran


@task(namespace=redun_namespace, version="1")
def add(a: int, b: int, c: int = 0) -> int:
    _ran.append(("add", a, b, c))
    return a + b + c


@task(namespace=redun_namespace, version="1")
def costly(x: int) -> int:
    _ran.append(("costly", x))
    return 10 * x


@task(namespace=redun_namespace, version="1")
def apply(function: Any, *args: Any) -> Any:
    return function(*args)


@task(namespace=redun_namespace, version="1")
def ignore(function: Any) -> str:
    return repr(type(function).__name__)


@task(namespace=redun_namespace, version="1")
def named(quoted: Any) -> str:
    _ran.append("named")
    return type(quoted).__name__


@task(namespace=redun_namespace, version="1")
def unquoted(quoted: Any) -> Any:
    return [quoted.eval(), quoted.eval()]


@task(namespace=redun_namespace, version="1")
def give(options: bool) -> Any:
    return add.options(cache=False).partial(1) if options else add.partial(1, c=5)


def run(store: Store, expression: Any, replay: Any = "whole") -> Any:
    return Scheduler(store, replay=replay).run(expression)


def test_arguments_of_a_call_are_appended_and_replace_keywords():
    partial = add.partial(1, c=5).partial(2)
    assert repr(partial(c=7)) == "tests.partials.add(1, 2, c=7)"
    assert partial.fullname == "tests.partials.add"


def test_tasks_and_partial_tasks_are_arguments_and_results(store: Store):
    assert run(store, apply(add, 1, 2)) == 3
    assert run(store, apply(add.partial(1, c=5), 2)) == 8
    assert run(store, apply(give(False), 2)) == 8
    assert run(store, give(True)) == add.options(cache=False).partial(1)
    assert run(store, map_(add.partial(10), [1, 2])) == [11, 12]


def test_lazy_arguments_of_a_partial_task_are_evaluated_when_it_is_called(store: Store, ran: list[Any]):
    assert run(store, ignore(add.partial(costly(1)))) == "'PartialTask'"
    assert ran == []
    assert run(store, apply(add.partial(costly(1)), 2)) == 12
    assert run(store, apply(add.partial([costly(2)][0], b=costly(3)))) == 50


def test_a_partial_task_with_lazy_arguments_is_replayed(store: Store, ran: list[Any]):
    for replay in ("whole", "step", "whole"):
        assert run(store, apply(add.partial(costly(1)), 2), replay) == 12
    assert ran == [("costly", 1), ("add", 10, 2, 0)]


def test_options_of_a_partial_task_are_those_of_its_calls(store: Store, ran: list[Any]):
    for _ in range(2):
        assert run(store, apply(add.options(cache=False), 1, 2)) == 3
    assert ran == [("add", 1, 2, 0)] * 2


def test_a_quoted_expression_is_not_evaluated_before_it_is_asked_for(store: Store, ran: list[Any]):
    assert run(store, ignore(quote(costly(1)))) == "'QuotedExpression'"
    assert ran == []
    assert run(store, unquoted(quote([costly(1), add(costly(1), 2)]))) == [[10, 12], [10, 12]]
    assert run(store, unquoted(quote(5))) == [5, 5]


@pytest.mark.parametrize("replay", ["whole", "step"])
def test_a_call_is_known_again_by_a_quote_among_its_arguments(store: Store, ran: list[Any], replay: Any):
    @task(namespace=redun_namespace, version="1")
    def quoting() -> Any:
        return [unquoted(quote(costly(1))), named(quote(add(1, 2)))]

    for _ in range(2):
        assert Scheduler(store, replay=replay).run(quoting()) == [[10, 10], "QuotedExpression"]
    assert ran.count("named") == 1, "read back, a quote holds the same tasks as the one that was made"


def test_delay_and_force(store: Store, ran: list[Any]):
    assert run(store, ignore(delay(costly(4)))) == "'PartialTask'"
    assert ran == []
    assert run(store, force(delay(costly(4)))) == 40
    assert run(store, force(apply(delay, 3))) == 3


def test_compose_applies_from_the_last_to_the_first(store: Store):
    assert run(store, compose(costly, add)(1, 2)) == 30
    assert run(store, apply(compose(costly, add.partial(1)), 2)) == 30


def test_a_plain_function_becomes_a_task(store: Store):
    assert run(store, as_task(len)([1, 2, 3])) == 3
    assert run(store, map_(as_task(abs), [-1, -2])) == [1, 2]
