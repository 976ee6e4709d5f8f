"""Async tasks: bodies that await, and are cached as all others are."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from redun.core.context import get_context
from redun.core.errors import ExpressionError, RunError
from redun.core.functional import catch
from redun.core.tasks import task
from redun.executor.scheduler import Scheduler
from redun.store import Store, check, convert
from tests.executor.flows import Watcher

redun_namespace = "tests.async_tasks"

_ran: list[Any] = []
_versions = count(1)


@pytest.fixture(autouse=True)
def ran() -> list[Any]:
    """What ran, by task and argument."""
    _ran.clear()
    return _ran


@task(namespace=redun_namespace, version="1")
def double(x: int) -> int:
    _ran.append(("double", x))
    return 2 * x


@task(namespace=redun_namespace, version="1")
def boom(x: int) -> int:
    _ran.append(("boom", x))
    raise ValueError(x)


@task(namespace=redun_namespace, version="1")
async def chained(x: int) -> Any:
    _ran.append(("chained", x))
    once = await double(x)
    twice = await double(once)
    return [once, twice, double(twice)]


@task(namespace=redun_namespace, version="1")
async def gathered(n: int) -> int:
    _ran.append(("gathered", n))
    found = await asyncio.gather(*(double(i) for i in range(n)))
    return sum(found)


@task(namespace=redun_namespace, version="1")
async def careful(x: int) -> str:
    _ran.append(("careful", x))
    try:
        return f"got {await boom(x)}"
    except ValueError as error:
        return f"caught {error}"


def run(store: Store, expression: Any, replay: Any = "whole") -> Any:
    return Scheduler(store, replay=replay).run(expression)


def test_a_body_awaits_values_and_may_return_expressions(store: Store):
    assert run(store, chained(1)) == [2, 4, 8]
    assert run(store, gathered(5)) == 20


@pytest.mark.parametrize("replay", ["whole", "step"])
def test_an_async_call_is_cached_as_any_other(store: Store, ran: list[Any], replay: str):
    expression = [chained(1), gathered(4), careful(3)]
    first = run(store, expression)
    ran.clear()
    assert run(store, expression, replay) == first
    assert ran == []


def test_a_task_that_is_awaited_and_edited_runs_again_and_the_body_where_it_gives_another_value(
    store: Store, ran: list[Any]
):
    def define(give: int) -> Any:
        @task(namespace=redun_namespace, name="inner", version=str(next(_versions)))
        def inner() -> int:
            _ran.append(("inner", give))
            return give

        return inner

    @task(namespace=redun_namespace, name="outer", version="1")
    async def outer() -> int:
        _ran.append("outer")
        return await inner() + 1

    inner = define(1)
    assert run(store, outer()) == 2
    inner = define(1)
    ran.clear()
    assert run(store, outer()) == 2
    assert ran == [("inner", 1)], "the same value came out, so the body did not run"
    inner = define(5)
    ran.clear()
    assert run(store, outer()) == 6
    assert ran == [("inner", 5), "outer"]


def test_what_an_async_body_awaits_are_its_children(store: Store):
    scheduler = Scheduler(store)
    execution = scheduler.execute(chained(1))
    assert {count.fullname.rpartition(".")[2]: count.total for count in execution.counts} == {"chained": 1, "double": 3}


def test_an_error_is_raised_where_it_is_awaited(store: Store, ran: list[Any]):
    assert run(store, careful(7)) == "caught 7"
    with pytest.raises(ValueError, match="9"):
        run(store, fails(9))


@task(namespace=redun_namespace, version="1")
async def fails(x: int) -> int:
    return await boom(x)


def test_an_async_task_can_be_caught_and_be_awaited_by_another(store: Store):
    @task(namespace=redun_namespace, version="1")
    async def above() -> Any:
        return [await chained(2), await catch(fails(1), ValueError, told)]

    assert run(store, above()) == [[4, 8, 16], "told 1"]


@task(namespace=redun_namespace, version="1")
def told(error: Any) -> str:
    return f"told {error}"


def test_an_edit_of_an_async_body_is_seen(store: Store, ran: list[Any]):
    def define(text: str) -> Any:
        scope: dict[str, Any] = {"task": task, "ran": _ran}
        code = f"async def body():\n    ran.append({text!r})\n    def inner(): pass\n    return {text!r}\n"
        exec(code, scope)
        return task(namespace=redun_namespace, name="edited", source=code)(scope["body"])

    assert run(store, define("first")()) == "first"
    assert run(store, define("second")()) == "second"


def test_bodies_wait_side_by_side(store: Store):
    both = asyncio.Barrier(2) if hasattr(asyncio, "Barrier") else None
    assert both is not None

    @task(namespace=redun_namespace, version="1", cache=False)
    async def meet(name: str) -> str:
        await both.wait()
        return name

    assert run(store, [meet("a"), meet("b")]) == ["a", "b"]


def test_an_async_task_on_an_executor_that_cannot_run_it_says_so(store: Store):
    with pytest.raises(RunError, match="is async"):
        run(store, chained.options(executor="processes")(1))


def test_a_job_whose_body_is_to_run_after_all_is_told_of_as_run_only(store: Store):
    @task(namespace=redun_namespace, version="1")
    async def reads() -> Any:
        return [await _reading(), await double(1)]  # type: ignore[misc]  # a call is typed as its value

    for value, verbs in ((1, ["Run"]), (2, ["Run"]), (2, ["Cached"])):
        watcher = Watcher()
        Scheduler(store, replay="step", observer=watcher).run(reads(), context={"a": value})
        assert [event.verb for event in watcher.events if event.fullname.endswith("reads")] == verbs


def _reading() -> Any:
    return get_context("a", 1)


def test_async_calls_are_known_again_in_a_store_that_was_converted(tmp_path: Path, ran: list[Any]):
    expression = [chained(1), gathered(4), careful(3)]
    with Store.init(tmp_path / "store") as store:
        first = run(store, expression)
    convert(tmp_path / "store", "sha256")
    ran.clear()
    with Store.open(tmp_path / "store") as store:
        assert run(store, expression, "step") == first
    assert ran == []
    assert list(check(tmp_path / "store")) == []


def test_awaiting_outside_of_a_task_says_what_to_do():
    async def outside() -> Any:
        return await double(1)  # type: ignore[misc]  # a call is typed as its value

    with pytest.raises(ExpressionError, match="awaited outside"):
        asyncio.run(outside())


def test_a_cancelled_wait_does_not_hang_the_run(store: Store):
    @task(namespace=redun_namespace, version="1")
    async def impatient() -> str:
        waiting = asyncio.ensure_future(_wait())
        await asyncio.sleep(0)
        waiting.cancel()
        return "went on"

    assert run(store, impatient()) == "went on"


def test_a_failure_beside_a_body_that_waits_for_a_value_ends_the_run(store: Store):
    @task(namespace=redun_namespace, version="1")
    def beside() -> list[Any]:
        return [gathered(3), chained(1), boom(1)]

    execution = Scheduler(store).execute(beside())
    assert isinstance(execution.error, ValueError)
    assert execution.status.name == "FAILED"


async def _wait() -> Any:
    return await double(1)  # type: ignore[misc]  # a call is typed as its value


def test_an_error_whose_class_cannot_be_had_again_is_known_by_what_was_recorded_of_it(store: Store, ran: list[Any]):
    @task(namespace=redun_namespace, version="1")
    def local() -> None:
        class Local(Exception):
            pass

        raise Local("x")

    @task(namespace=redun_namespace, version="1")
    async def waiting() -> str:
        _ran.append("waiting")
        try:
            await local()  # type: ignore[func-returns-value]  # a call is typed as its value
        except Exception:  # noqa: BLE001  its class is not to be had
            return "caught"
        return "nothing"

    for replay in ("whole", "step", "step"):
        assert run(store, waiting(), replay) == "caught"
    assert ran == ["waiting"]
