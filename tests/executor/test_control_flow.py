"""Control flow: which branches are evaluated, what handles an error, and what of it later runs are answered with."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from redun.core.functional import (
    apply_func,
    catch,
    catch_all,
    cond,
    const,
    eval_,
    flat_map,
    fold,
    identity,
    map_,
    seq,
    starmap,
    throw,
    zip_,
)
from redun.core.scheduler_tasks import scheduler_task
from redun.core.tasks import task
from redun.executor.scheduler import Scheduler
from redun.store import Store

redun_namespace = "tests.control_flow"

_ran: list[Any] = []


@pytest.fixture(autouse=True)
def ran() -> list[Any]:
    """What ran, by task and argument."""
    _ran.clear()
    return _ran


@task(namespace=redun_namespace, version="1")
def inc(x: int) -> int:
    _ran.append(("inc", x))
    return x + 1


@task(namespace=redun_namespace, version="1")
def boom(x: Any) -> Any:
    _ran.append(("boom", x))
    raise ValueError(x)


@task(namespace=redun_namespace, version="1")
def missing(path: str) -> str:
    _ran.append(("missing", path))
    raise FileNotFoundError(path)


@task(namespace=redun_namespace, version="1")
def recover(error: Any) -> str:
    _ran.append(("recover", str(error)))
    return f"recovered from {error}"


@task(namespace=redun_namespace, version="1")
def told(values: list[Any]) -> list[str]:
    return [repr(value) for value in values]


@task(namespace=redun_namespace, version="1")
def numbers(n: int) -> list[int]:
    return list(range(n))


@task(namespace=redun_namespace, version="1")
def add(a: int, b: int) -> int:
    return a + b


def run(store: Store, expression: Any, replay: Any = "whole") -> Any:
    return Scheduler(store, replay=replay).run(expression)


def test_cond_evaluates_only_the_branch_that_it_chooses(store: Store, ran: list[Any]):
    assert run(store, cond(inc(1) == 2, inc(10), boom(5))) == 11
    assert run(store, cond(inc(1) == 3, boom(4), inc(5) == 6, "second", boom(6))) == "second"
    assert not [name for name, _ in ran if name == "boom"]


def test_cond_without_a_last_branch_is_none_where_nothing_is_true(store: Store):
    assert run(store, cond(inc(1) == 5, boom(1))) is None


def test_catch_hands_the_error_to_the_recovery(store: Store):
    assert run(store, catch(boom(1), ValueError, recover)) == "recovered from 1"
    assert run(store, catch(boom(1), (KeyError, ValueError), recover)) == "recovered from 1"
    assert run(store, catch(boom(1), KeyError, told, ValueError, recover)) == "recovered from 1"
    assert run(store, catch(inc(1), ValueError, recover)) == 2


def test_an_error_of_another_class_is_not_caught(store: Store):
    with pytest.raises(ValueError, match="1"):
        run(store, catch(boom(1), KeyError, recover))
    assert run(store, catch(catch(boom(1), KeyError, recover), ValueError, recover)) == "recovered from 1"


def test_a_caught_error_and_its_recovery_are_remembered(store: Store, ran: list[Any]):
    expression = [catch(boom(1), ValueError, recover), inc(1)]
    for replay in ("whole", "step"):
        run(store, expression, replay)
    assert sorted(ran) == [("boom", 1), ("inc", 1), ("recover", "1")]


def test_a_remembered_error_answers_nobody_who_does_not_handle_it(store: Store, ran: list[Any]):
    run(store, catch(boom(1), ValueError, recover))
    for expression in (boom(1), catch(boom(1), KeyError, recover)):
        ran.clear()
        with pytest.raises(ValueError, match="1"):
            run(store, expression)
        assert ran == [("boom", 1)]


def test_an_error_that_is_remembered_for_one_is_run_for_another_in_the_same_run(store: Store, ran: list[Any]):
    run(store, catch(boom(1), ValueError, recover))
    ran.clear()
    with pytest.raises(ValueError, match="1"):
        run(store, [catch(boom(1), ValueError, recover), add(inc(5), boom(1))])
    assert ("boom", 1) in ran


def test_an_error_of_the_surroundings_is_not_remembered(store: Store, ran: list[Any]):
    for _ in range(2):
        run(store, catch(missing("a"), FileNotFoundError, recover))
    assert ran.count(("missing", "a")) == 2


def test_an_error_can_be_declared_not_to_be_remembered(store: Store, ran: list[Any]):
    @task(namespace=redun_namespace, version="1", cache_errors=False)
    def flaky() -> None:
        ran.append("flaky")
        raise ValueError("now")

    for _ in range(2):
        run(store, catch(flaky(), ValueError, recover))
    assert ran.count("flaky") == 2


def test_all_of_a_caught_expression_ends_and_the_first_error_in_its_order_counts(store: Store, ran: list[Any]):
    expression = catch([add(boom("late"), boom("later")), boom("last"), inc(1)], ValueError, recover)
    assert run(store, expression) == "recovered from late"
    assert {("boom", "later"), ("boom", "last"), ("inc", 1)} <= set(ran)
    assert not [entry for entry in ran if entry[0] == "add"]


def test_an_error_deep_below_is_caught(store: Store):
    @task(namespace=redun_namespace, version="1")
    def middle(x: int) -> Any:
        return [inc(boom(x)), inc(x)]

    assert run(store, catch(middle(3), ValueError, recover)) == "recovered from 3"


def test_catch_all_waits_for_all_and_hands_over_errors_in_their_places(store: Store):
    expression = catch_all([inc(1), boom(9), {"a": boom(8)}], ValueError, told)
    assert run(store, expression) == ["2", "ValueError(9)", "{'a': ValueError(8)}"]
    assert run(store, catch_all([inc(1), inc(2)], ValueError, told)) == [2, 3]


def test_catch_all_raises_what_is_not_of_its_classes_or_has_no_recovery(store: Store, ran: list[Any]):
    with pytest.raises(ValueError, match="9"):
        run(store, catch_all([boom(9), inc(3)]))
    with pytest.raises(ValueError, match="8"):
        run(store, catch_all([inc(4), boom(8)], KeyError, told))
    assert {("inc", 3), ("inc", 4)} <= set(ran)


def test_throw_fails_and_can_be_caught(store: Store):
    with pytest.raises(KeyError):
        run(store, throw(KeyError("k")))
    assert run(store, catch(throw(ValueError("v")), ValueError, recover)) == "recovered from v"


def test_seq_evaluates_one_after_the_other_and_stops_at_an_error(store: Store, ran: list[Any]):
    assert run(store, seq([inc(n) for n in (3, 1, 2)])) == [4, 2, 3]
    assert ran == [("inc", 3), ("inc", 1), ("inc", 2)]
    with pytest.raises(ValueError, match="1"):
        run(store, seq([boom(1), inc(50)]))
    assert ("inc", 50) not in ran


def test_map_applies_a_task_to_a_list_that_is_lazy_or_has_lazy_items(store: Store):
    assert run(store, map_(inc, numbers(3))) == [1, 2, 3]
    assert run(store, map_(inc, [inc(1), 5])) == [3, 6]


def test_nested_maps_have_no_barrier(store: Store):
    expression = map_(inc, map_(inc, [0, boom(1)]))
    assert run(store, catch(expression, ValueError, recover)) == "recovered from 1"
    assert ("inc", 1) in _ran, "the first item went through both although the second one failed"
    assert run(store, map_(inc, map_(inc, map_(inc, numbers(2))))) == [3, 4]


def test_the_rest_of_the_functions(store: Store):
    assert run(store, starmap(add, [{"a": 1, "b": 2}])) == [3]
    assert run(store, flat_map(numbers, [1, 3])) == [0, 0, 1, 2]
    assert run(store, zip_([1, 2], numbers(2))) == [(1, 0), (2, 1)]
    assert run(store, fold(add, numbers(4), 10)) == 16
    assert run(store, [const(1, inc(2)), identity(inc(1))]) == [1, 2]
    assert run(store, apply_func(len, numbers(4))) == 4
    assert run(store, eval_("a + b", 1, pos_args=["a"], b=inc(1))) == 3


def test_a_scheduler_task_of_ones_own_decides_what_is_evaluated(store: Store, ran: list[Any]):
    @scheduler_task(namespace=redun_namespace, version="1")
    def first_even(*choices: Any) -> Any:
        for choice in choices:
            if (yield choice) % 2 == 0:
                return [choice, "chosen"]

    assert run(store, first_even(inc(2), inc(3), inc(4))) == [4, "chosen"]
    assert ran == [("inc", 2), ("inc", 3)]


def test_a_scheduler_task_that_raises_fails_the_task_around_it_and_can_be_caught(store: Store):
    @scheduler_task(namespace=redun_namespace, version="1")
    def wrong(value: Any) -> Any:
        raise ValueError("at once")

    with pytest.raises(ValueError, match="at once"):
        run(store, wrong(1))
    assert run(store, catch(wrong(1), ValueError, recover)) == "recovered from at once"


def test_a_loop_of_a_scheduler_task_is_as_long_as_it_likes(store: Store):
    @scheduler_task(namespace=redun_namespace, version="1")
    def until(value: Any, limit: int) -> Any:
        found = yield value
        return found if found >= limit else until(inc(found), limit)

    assert run(store, until(0, 2_000)) == 2_000


def test_a_change_of_what_failed_is_seen_behind_a_catch(store: Store):
    versions = count(1)

    def define(works: bool) -> Any:
        @task(namespace=redun_namespace, name="changing", version=str(next(versions)))
        def changing() -> str:
            if not works:
                raise ValueError("not yet")
            return "fixed"

        return changing

    @task(namespace=redun_namespace, name="caller", version="1")
    def caller() -> Any:
        return catch(changing(), ValueError, recover)

    changing = define(works=False)
    assert run(store, caller()) == "recovered from not yet"
    changing = define(works=True)
    assert run(store, caller()) == "fixed"


def test_wrong_arguments_of_catch_are_told(store: Store):
    with pytest.raises(TypeError, match="pairs of error classes"):
        run(store, catch(inc(1), ValueError, recover, KeyError))
    with pytest.raises(TypeError, match="takes classes of errors"):
        run(store, catch(inc(1), "ValueError", recover))


def test_a_whole_replay_counts_the_jobs_that_scheduler_tasks_made(store: Store):
    @task(namespace=redun_namespace, version="1")
    def all_of_it() -> Any:
        return [catch(boom(1), ValueError, recover), map_(inc, [1, 2]), cond(inc(0) == 1, inc(5), boom(2))]

    counts = []
    for _ in range(2):
        execution = Scheduler(store).execute(all_of_it())
        counts.append({count.fullname.rpartition(".")[2]: count.total for count in execution.counts if count.total})
    assert counts[0] == counts[1] == {"all_of_it": 1, "boom": 1, "inc": 4, "recover": 1}
