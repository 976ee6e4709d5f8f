"""Context and options: what jobs take from those above them, and what of it the cache knows."""

from __future__ import annotations

from typing import Any

import pytest

from redun.core.context import get_context
from redun.core.errors import TaskError
from redun.core.functional import cond, seq
from redun.core.objects import How
from redun.core.tasks import task
from redun.executor.scheduler import Scheduler
from redun.store import Store

redun_namespace = "tests.context"

_ran: list[Any] = []


@pytest.fixture(autouse=True)
def ran() -> list[Any]:
    """What ran, by task and what it was given."""
    _ran.clear()
    return _ran


@task(namespace=redun_namespace, version="1")
def host(name: Any = get_context("db.host", "none")) -> Any:
    _ran.append(("host", name))
    return name


@task(namespace=redun_namespace, version="1")
def unconcerned(x: int) -> int:
    _ran.append(("unconcerned", x))
    return x


@task(namespace=redun_namespace, version="1")
def middle() -> Any:
    _ran.append("middle")
    return [host(), unconcerned(1)]


def run(store: Store, expression: Any, context: Any = None, replay: Any = "whole") -> Any:
    return Scheduler(store, replay=replay).run(expression, context=context)


@pytest.mark.parametrize("replay", ["whole", "step"])
def test_a_change_of_the_context_runs_what_reads_it_and_nothing_else(store: Store, ran: list[Any], replay: str):
    assert run(store, middle(), None, replay) == ["none", 1]
    ran.clear()
    assert run(store, middle(), {"db": {"host": "a"}}, replay) == ["a", 1]
    assert ran == [("host", "a")]
    assert run(store, middle(), {"db": {"host": "a", "port": 1}, "other": 2}, replay) == ["a", 1]
    assert run(store, middle(), None, replay) == ["none", 1]
    assert ran == [("host", "a")], "both contexts are remembered, and an unread change is none"


def test_two_contexts_of_one_task_in_one_run(store: Store, ran: list[Any]):
    both = [middle.update_context(db={"host": "a"})(), middle.update_context({"db": {"host": "b"}})(), middle()]
    for replay in ("whole", "step", "whole"):
        assert run(store, both, None, replay) == [["a", 1], ["b", 1], ["none", 1]]
    assert sorted(name for kind, name in [e for e in ran if e != "middle"] if kind == "host") == ["a", "b", "none"]
    assert ran.count(("unconcerned", 1)) == 1


def test_context_is_read_inside_and_outside_an_override(store: Store, ran: list[Any]):
    @task(namespace=redun_namespace, version="1")
    def outer() -> Any:
        return [middle.update_context(db={"host": "fixed"})(), get_context("db.host"), get_context("db.port", 1)]

    assert run(store, outer(), {"db": {"host": "a"}}) == [["fixed", 1], "a", 1]
    ran.clear()
    assert run(store, outer(), {"db": {"host": "b", "port": 2}}) == [["fixed", 1], "b", 2]
    assert run(store, outer(), {"db": {"host": "a"}}) == [["fixed", 1], "a", 1]
    assert ran == []


@pytest.mark.parametrize("replay", ["whole", "step"])
def test_a_call_of_another_context_does_not_share_a_whole_replay(store: Store, replay: str):
    @task(namespace=redun_namespace, version="1")
    def reading(x: int) -> Any:
        return [get_context("a", 4), unconcerned(x)]

    assert run(store, reading(1), None, replay) == [4, 1]
    expression = cond(reading(1)[0] > 3, reading.update_context(a=0)(1), 1)
    assert run(store, expression, None, replay) == [0, 1], "the first has ended, and what it read is known at once"


def test_two_contexts_of_one_run_are_both_replayed_whole(store: Store, ran: list[Any]):
    run(store, [middle(), middle.update_context(db={"host": "a"})()])
    for expression, expected in ((middle(), "none"), (middle.update_context(db={"host": "a"})(), "a")):
        execution = Scheduler(store).execute(expression)
        assert execution.value == [expected, 1]
        _, record = next(store.executions())
        assert [row.how for page in store.job_pages(record.pages) for row in page.rows] == [How.WHOLE]


@pytest.mark.parametrize("cache", [True, False])
def test_a_body_runs_once_for_two_contexts_whatever_has_ended_before(store: Store, ran: list[Any], cache: bool):
    unread = cond(unconcerned(1) == 1, unconcerned.update_context(a=1)(1), 0)
    again = seq([middle(), middle.update_context(db={"host": "a"})()])
    assert Scheduler(store, cache=cache).run([unread, again]) == [1, [["none", 1], ["a", 1]]]
    assert (ran.count(("unconcerned", 1)), ran.count("middle")) == (1, 1)


def test_paths_go_through_lists_and_what_is_absent_has_its_default(store: Store):
    context = {"samples": [{"id": "x"}, {"id": "y"}]}
    asked = [get_context("samples.1.id"), get_context("samples.2.id", "none"), get_context("samples.id"), host()]
    assert run(store, asked, context) == ["y", "none", None, "none"]


def test_an_override_may_be_lazy(store: Store):
    expression = middle.update_context(db={"host": unconcerned(7)})()
    assert run(store, expression) == [7, 1]


def test_options_may_be_expressions(store: Store, ran: list[Any]):
    @task(namespace=redun_namespace, version="1", check_valid=get_context("checks", "full"))
    def declared() -> str:
        _ran.append("declared")
        return "done"

    assert run(store, declared()) == "done"
    assert run(store, unconcerned.options(cache=unconcerned(1) == 2)(5)) == 5
    assert run(store, unconcerned.options(cache=unconcerned(1) == 2)(5)) == 5
    assert ran.count(("unconcerned", 5)) == 2, "the cache was off"
    with pytest.raises(TaskError, match="cache=1"):
        run(store, unconcerned.options(cache=unconcerned(1))(6))


@pytest.mark.parametrize("replay", ["whole", "step"])
def test_a_call_whose_cache_an_expression_switches_off_runs_in_every_run(store: Store, ran: list[Any], replay: str):
    @task(namespace=redun_namespace, version="1")
    def around() -> Any:
        return unconcerned.options(cache=unconcerned(1) == 2)(5)

    for _ in range(2):
        assert run(store, around(), None, replay) == 5
    assert ran.count(("unconcerned", 5)) == 2


def test_exported_options_are_those_of_all_jobs_below(store: Store, ran: list[Any]):
    uncached = middle.export_options(cache=False)
    for _ in range(2):
        run(store, uncached())
    assert ran.count(("unconcerned", 1)) == 2
    ran.clear()
    run(store, middle.options(cache=False)())
    assert ran == ["middle"], "options of a call are its own"
    ran.clear()
    run(store, uncached.options(memory=4)())
    assert ("unconcerned", 1) in ran, "further options keep what is exported"


def test_options_of_a_call_win_over_exported_ones(store: Store, ran: list[Any]):
    @task(namespace=redun_namespace, version="1")
    def careful() -> Any:
        return unconcerned.options(cache=True)(3)

    for _ in range(2):
        run(store, careful.export_options(cache=False)())
    assert ran == [("unconcerned", 3)]


def test_a_run_that_keeps_going_ends_all_that_does_not_depend_on_a_failure(store: Store, ran: list[Any]):
    @task(namespace=redun_namespace, version="1")
    def boom() -> int:
        raise ValueError("boom")

    @task(namespace=redun_namespace, version="1")
    def tree() -> Any:
        return [unconcerned(boom()), [unconcerned(n) for n in range(5)]]

    with pytest.raises(ValueError, match="boom"):
        Scheduler(store, keep_going=True).run([tree(), unconcerned(9)])
    assert sorted(ran) == [("unconcerned", n) for n in (0, 1, 2, 3, 4, 9)]


def test_a_shallow_task_is_answered_for_its_own_context_also_for_none(store: Store):
    @task(namespace=redun_namespace, version="1", check_valid="shallow")
    def shallow() -> Any:
        return host()

    contexts = ({"db": {"host": 1}}, {"db": {"host": 2}}, None, {"db": {"host": 1}})
    assert [run(store, shallow(), context) for context in contexts] == [1, 2, "none", 1]
