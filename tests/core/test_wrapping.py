"""Decorators that wrap a task into another one."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from redun.core.errors import TaskError
from redun.core.tasks import Task, registry, task
from redun.core.wrapping import wraps_task
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import Flow, flow_in

SPACE = "tests.wrapping"


def doubled(**options: Any) -> Any:
    @wraps_task(**options)
    def _doubled(inner: Task[..., Any]) -> Any:
        def double(*args: Any, **kwargs: Any) -> Any:
            return 2 * inner.func(*args, **kwargs)

        return double

    return _doubled


def lazily_logged(**options: Any) -> Any:
    @wraps_task(wrapper_name="logged", **options)
    def logs(inner: Task[..., Any]) -> Any:
        def log(*args: Any, **kwargs: Any) -> Any:
            return ["called", inner(*args, **kwargs)]

        return log

    return logs


@doubled(namespace=SPACE)
def value(x: int, more: int = 1) -> int:
    return x + more


@lazily_logged()
@doubled()
@task(namespace=SPACE, name="both")
def twice(x: int) -> int:
    return x


def run(expression: Any) -> Any:
    with Store.memory() as store:
        return Scheduler(store).run(expression)


def test_the_task_around_has_the_name_and_the_parameters_of_the_function():
    assert (value.fullname, value.name, value.__name__) == (f"{SPACE}.value", "value", "value")
    assert [name for name, _ in value.params] == ["x", "more"]
    assert run(value(20)) == 42
    assert value.func(1, more=2) == 6


def test_the_task_inside_is_a_task_of_its_own_under_another_name():
    inner = value.inner_task
    assert inner is value.wrapped_task
    assert inner.fullname == f"{SPACE}._doubled.value"
    assert registry.get(inner.fullname) is inner
    assert run(inner(20)) == 21


def test_wrappers_stand_on_each_other_and_may_call_what_they_wrap_lazily():
    assert run(twice(4)) == ["called", 8]
    assert twice.fullname == f"{SPACE}.both"
    assert twice.inner_task.fullname == f"{SPACE}._logged.both"
    assert twice.inner_task.inner_task.fullname == f"{SPACE}._doubled.both"


def test_a_wrapper_may_have_parameters_of_its_own():
    def with_times(inner: Task[..., Any]) -> Any:
        def call(times: int, x: int) -> Any:
            return times * inner.func(x)

        return call

    made = wraps_task(use_wrapper_signature=True, namespace=SPACE)(with_times)(lambda_free)
    assert [name for name, _ in made.params] == ["times", "x"]
    assert run(made(3, 4)) == 12


def lambda_free(x: int) -> int:
    return x


def test_what_is_no_task_is_refused():
    with pytest.raises(TaskError):
        doubled()(value.partial(1))
    with pytest.raises(TaskError, match="not of a partial"):
        doubled()(functools.partial(value.func, 1))


WRAPPED = """
from redun.task import wraps_task

def plus():
    @wraps_task()
    def _plus(inner):
        def add(x):
            ran("outer")
            return 1 + CALL
        return add
    return _plus

@plus()
def inner(x):
    ran("inner")
    return x
"""


@pytest.fixture
def flow(tmp_path: Any) -> Iterator[Flow]:
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as made:
        yield made


@pytest.mark.parametrize("call", ["inner.func(x)", "inner(x)"])
def test_the_code_inside_and_the_code_of_the_wrapper_are_part_of_the_task_around(flow: Flow, call: str):
    flow.load(WRAPPED.replace("CALL", call))
    assert flow("inner(1)") == 2
    assert flow("inner(1)") == 2
    assert flow.ran == []
    flow.edit("return x\n", "return x + 10\n")
    assert flow("inner(1)") == 12
    assert "inner" in flow.ran
    assert "outer" in flow.ran
    flow.edit("return 1 +", "return 2 +")
    assert flow("inner(1)") == 13
    assert "outer" in flow.ran
