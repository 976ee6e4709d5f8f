"""The evaluator as a pure machine: any order in which bodies end gives one result."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotEncode, CycleError, InternalError, UnknownTask
from redun.core.keys import BindError
from redun.core.objects import How, Why
from redun.core.tasks import registry, task
from redun.core.values import Encoder
from redun.executor.jobs import Failure, Job
from redun.executor.states import State
from tests.executor.machine import Machine, Memory, all_orders, children_end_first, settled

redun_namespace = "machine"


@task()
def one() -> int:
    return 1


@task()
def inc(x: int) -> int:
    return x + 1


@task()
def add(a: int, b: int) -> int:
    return a + b


@task()
def twice(x: int) -> Any:
    return add(inc(x), inc(x))


@task()
def fan(n: int) -> Any:
    return [inc(i) for i in range(n)]


@task()
def fib(n: int) -> Any:
    return n if n < 2 else add(fib(n - 1), fib(n - 2))


@task()
def boom(x: int = 0) -> int:
    raise ValueError(f"boom {x}")


@task()
def calls_boom(x: int) -> Any:
    return [inc(x), boom(x)]


@task()
def around_boom() -> Any:
    return [inc(0), calls_boom(1)]


@task()
def loop(n: int) -> Any:
    return inc(loop(n))


@task()
def ping(n: int) -> Any:
    return [inc(n), pong(n)]


@task()
def pong(n: int) -> Any:
    return {"p": ping(n)}


@task()
def nested(x: int) -> Any:
    return {"a": [(inc(x), {inc(x): {inc(x + 1)}})], "b": twice(x) * 2 + inc(x)[0:1] if x < 0 else twice(x) * 2}


@task()
def lazy_default(a: int, b: int = inc(10), c: int = inc(10) + 5) -> Any:
    return (a, b, c)


@task()
def lazy_parts(a: int, b: Any = {"k": [inc(1), (inc(2),)]}) -> Any:  # noqa: B006, B008
    return (a, b)


@task()
def gathered(a: int, *args: int, k: int = inc(1), **kwargs: int) -> Any:
    return (a, args, k, sorted(kwargs.items()))


@task()
def default_ring_inner() -> Any:
    return default_ring()


@task()
def default_ring(x: Any = default_ring_inner()) -> Any:  # noqa: B008
    return x


@task()
def mutates(items: list[int]) -> list[int]:
    items.append(len(items))
    return items


@task()
def shared_list() -> Any:
    part = fan(2)
    return [mutates(part), mutates(part), part]


@task(cache_scope="NONE")
def unshared(x: int) -> int:
    return x


SMALL: dict[str, tuple[Any, Any]] = {
    "leaf": (one, 1),
    "call of a call": (lambda: inc(inc(one())), 3),
    "twice": (lambda: twice(1), 4),
    "fan": (lambda: fan(3), [1, 2, 3]),
    "diamond": (lambda: add(twice(0), twice(0)), 4),
    "list": (lambda: [inc(1), inc(1), {"a": inc(2)}], [2, 2, {"a": 3}]),
    "operators": (lambda: inc(1) * 10 + inc(2) - 1, 22),
    "recursion": (lambda: fib(3), 2),
    "nested": (lambda: nested(1), {"a": [(2, {2: {3}})], "b": 8}),
    "lazy defaults": (lambda: lazy_default(1), (1, 11, 16)),
    "lazy parts of a default": (lambda: lazy_parts(1), (1, {"k": [2, (3,)]})),
    "one lazy default given": (lambda: lazy_default(1, c=inc(2)), (1, 11, 3)),
    "gathered": (lambda: gathered(1, inc(1), 3, z=inc(2), y=5), (1, (2, 3), 2, [("y", 5), ("z", 3)])),
    "own copies": (shared_list, [[1, 2, 2], [1, 2, 2], [1, 2]]),
    "no sharing": (lambda: [unshared(1), unshared(1)], [1, 1]),
    "plain value": (lambda: [1, 2], [1, 2]),
}


@pytest.mark.parametrize("name", SMALL)
def test_every_order_of_events_gives_the_same_result(name: str):
    make, expected = SMALL[name]
    bodies: set[frozenset[Any]] = set()
    numbers: set[tuple[Any, ...]] = set()
    for choose in all_orders():
        machine = Machine()
        root = machine.run(make(), choose)
        assert machine.value(root) == expected
        assert settled(machine)
        assert children_end_first(machine.ended)
        assert all(job.state is State.DONE for job in machine.ended)
        bodies.add(frozenset(Counter(map(repr, machine.ran)).items()))
        numbers.add(tuple(sorted(job.number for job in machine.ended)))
    assert len(bodies) == 1
    assert numbers == {tuple(range(len(machine.ended)))}


@pytest.mark.parametrize("name", SMALL)
def test_what_a_run_remembers_answers_the_next_without_any_body(name: str):
    make, expected = SMALL[name]
    memory = Memory()
    Machine(memory).run(make())
    machine = Machine(memory)
    root = machine.run(make())
    assert machine.value(root) == expected
    assert machine.ran == []
    assert settled(machine)
    assert all(job.how is not How.RAN for job in machine.ended if job.key is not None)


@pytest.mark.parametrize("name", ["diamond", "recursion", "twice", "list"])
def test_equal_calls_are_computed_once_whatever_the_order(name: str):
    make, _ = SMALL[name]
    for choose in all_orders():
        machine = Machine()
        machine.run(make(), choose)
        assert max(Counter(map(repr, machine.ran)).values()) == 1


def test_calls_that_are_not_to_be_shared_run_each():
    machine = Machine()
    machine.run([unshared(1), unshared(1)])
    assert len(machine.ran) == 2


@given(st.data())
def test_larger_runs_give_the_same_in_any_order(data: st.DataObject):
    machine = Machine()
    expression = [fib(6), nested(2), lazy_default(1), fan(5), add(twice(3), fib(4)), shared_list()]
    # drawn in blocks: one draw a step would be slow
    picks = data.draw(st.lists(st.integers(0, 2**16), min_size=50, max_size=50))
    steps = iter(range(10**6))
    root = machine.run(expression, lambda count: (picks[next(steps) % 50] * 7919 + count) % count)
    assert machine.value(root) == [
        8,
        {"a": [(3, {3: {4}})], "b": 12},
        (1, 11, 16),
        [1, 2, 3, 4, 5],
        11,
        [[1, 2, 2], [1, 2, 2], [1, 2]],
    ]
    assert max(Counter(map(repr, machine.ran)).values()) == 1
    assert children_end_first(machine.ended)
    assert settled(machine)


def test_a_chain_of_20_000_calls_needs_no_recursion():
    chain: Any = inc(0)
    for _ in range(20_000):
        chain = inc(chain)
    machine = Machine()
    assert machine.value(machine.run(chain)) == 20_001


# -- keys -------------------------------------------------------------------------------------------------------------


def _key(expression: Any) -> Any:
    machine = Machine()
    job = machine.run(expression)
    return job.key


def test_keyword_and_positional_spellings_are_one_call():
    assert _key(add(1, 2)) == _key(add(a=1, b=2)) == _key(add(1, b=2)) == _key(add(b=2, a=1))
    assert _key(gathered(1, 2, x=1, y=2)) == _key(gathered(1, 2, y=2, x=1))


def test_a_default_and_the_same_argument_are_one_call():
    assert _key(boom()) == _key(boom(0)) == _key(boom(x=0))
    assert _key(lazy_default(1)) == _key(lazy_default(1, 11)) == _key(lazy_default(1, c=16))


def test_gathered_arguments_are_not_confused_with_one_tuple():
    keys = {_key(gathered(1, *args)) for args in [(), (2,), (2, 3), ((2, 3),), ([2, 3],)]}
    assert len(keys) == 5


def test_equal_numbers_of_other_types_are_other_calls():
    assert len({_key(inc(1)), _key(inc(1.0)), _key(inc(True))}) == 3


# -- failure ----------------------------------------------------------------------------------------------------------


def _failed(machine: Machine) -> list[str]:
    return sorted(job.task.name for job in machine.ended if job.state is State.FAILED)


def test_a_failure_fails_every_job_around_it_in_every_order():
    for choose in all_orders():
        machine = Machine()
        root = machine.run(around_boom(), choose)
        assert root.state is State.FAILED
        assert machine.evaluator.failed
        assert root.failure is not None
        assert str(root.failure.error) == "boom 1"
        assert root.failure.origin is not None
        assert root.failure.origin.task is boom
        assert _failed(machine) == ["around_boom", "boom", "calls_boom"]
        assert all(job.state in (State.DONE, State.FAILED) for job in machine.ended)
        assert all(min(row) >= 0 for row in machine.evaluator.counts.values())


def test_the_job_that_failed_ends_before_those_around_it():
    machine = Machine()
    machine.run(around_boom())
    failed = [job.task.name for job in machine.ended if job.state is State.FAILED]
    assert failed == ["boom", "calls_boom", "around_boom"]


def test_siblings_that_run_when_one_fails_are_let_finish_and_remembered():
    memory = Memory()
    machine = Machine(memory)
    # start everything before anything ends: running bodies stand last among what can happen
    machine.run([boom(1), inc(1), inc(2)], lambda count: 0)
    first = {job.task.name for job in machine.ended}
    assert first >= {"boom", "inc"}
    assert len(memory.reductions) == 2


def test_jobs_joined_to_one_that_fails_fail_too():
    for choose in all_orders():
        machine = Machine()
        root = machine.run([[boom(1)], {"again": boom(1)}], choose)
        assert root.state is State.FAILED
        assert _failed(machine) == ["boom", "boom", "root"]
        assert len(machine.ran) == 1


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (inc, "missing required argument: 'x'"),
        (lambda: inc(1, 2), "takes 1 positional argument"),
        (lambda: inc(1, y=2), "unexpected keyword argument 'y'"),
        (lambda: inc(1, x=2), "multiple values for argument 'x'"),
        (lambda: [add(inc(1))], "missing required argument: 'b'"),
    ],
)
def test_arguments_that_do_not_fit_fail_that_job(expression: Any, message: str):
    machine = Machine()
    root = machine.run(expression())
    assert root.failure is not None
    assert isinstance(root.failure.error, BindError)
    assert isinstance(root.failure.error, TypeError)
    assert message in str(root.failure.error)
    assert root.failure.origin is not None
    assert root.failure.origin.task in (inc, add)


@pytest.mark.parametrize(
    ("expression", "kind", "note"),
    [
        (lambda: one() + "a", TypeError, "operation `add`"),
        (lambda: one() / 0, ZeroDivisionError, "operation `truediv`"),
        (lambda: fan(2)[7], IndexError, "operation `getitem`"),
        (lambda: one().nothing, AttributeError, "operation `getattr`"),
        (lambda: one()(1), TypeError, "operation `call`"),
    ],
)
def test_a_failing_operation_fails_the_job_that_it_is_part_of(expression: Any, kind: type, note: str):
    machine = Machine()
    root = machine.run(expression())
    assert root.failure is not None
    assert isinstance(root.failure.error, kind)
    assert any(note in text for text in root.failure.error.__notes__)


@task()
def text() -> str:
    return "a,b"


@task()
def functions() -> Any:
    return {"f": len}


def test_methods_of_lazy_values_can_be_called():
    machine = Machine()
    expression = [fan(3).index(2), text().upper(), text().split(",")[1].join(["x", "y"]), text().replace("a", text())]
    assert machine.value(machine.run(expression)) == [1, "A,B", "xby", "a,b,b"]
    assert machine.evaluator.root is not None
    assert machine.evaluator.root.flags == ()


def test_a_method_gets_an_object_of_its_own():
    made = fan(2)
    machine = Machine()
    assert machine.value(machine.run([made.append(5), made.append(6), made])) == [None, None, [1, 2]]


@pytest.mark.parametrize("expression", [lambda: text().upper, lambda: [text().upper], lambda: inc(text().upper)])
def test_a_method_that_is_not_called_is_no_value(expression: Any):
    machine = Machine()
    root = machine.run(expression())
    assert root.failure is not None
    assert isinstance(root.failure.error, CannotEncode)
    assert "method 'upper' of a lazy value" in root.failure.error.message


def test_a_function_held_by_a_value_is_a_value():
    machine = Machine()
    assert machine.value(machine.run([functions()["f"], functions()["f"]([1, 2])])) == [len, 2]


@task()
def returns_lambda() -> Any:
    return [lambda: 1]


def test_a_result_that_cannot_be_stored_fails_its_job_and_says_whose_it_is():
    machine = Machine()
    root = machine.run([returns_lambda()])
    assert root.failure is not None
    assert isinstance(root.failure.error, CannotEncode)
    assert any("machine.returns_lambda" in note for note in root.failure.error.__notes__)


def test_a_failing_default_fails_the_job_whose_default_it_is():
    @task(namespace="machine")
    def with_bad_default(x: Any = boom(3)) -> Any:  # noqa: B008
        return x

    machine = Machine()
    root = machine.run([with_bad_default(), with_bad_default(5)])
    assert root.failure is not None
    assert str(root.failure.error) == "boom 3"
    assert "with_bad_default" in _failed(machine)


def test_a_remembered_call_of_a_task_that_is_gone_fails_its_parent():
    memory = Memory()

    @task(namespace="machine")
    def going() -> int:
        return 1

    @task(namespace="machine")
    def staying() -> Any:
        return [going()]

    Machine(memory).run(staying())
    del registry._tasks["machine.going"]
    machine = Machine(memory)
    root = machine.run(staying())
    assert root.failure is not None
    assert isinstance(root.failure.error, UnknownTask)
    assert machine.evaluator.counts["machine.staying"] == [0, 0, 1, 0, 0]


# -- rings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (lambda: loop(1), {"loop"}),
        (lambda: ping(1), {"ping", "pong"}),
        (lambda: [default_ring(), inc(1)], {"default_ring_inner"}),
    ],
)
def test_a_job_that_waits_for_itself_is_found_and_named_in_every_order(expression: Any, names: set[str]):
    for choose in all_orders():
        machine = Machine()
        root = machine.run(expression(), choose)
        assert root.state is State.REDUCING
        error = machine.evaluator.stuck()
        assert isinstance(error, CycleError)
        assert all(f"machine.{name}" in error.message for name in names)
        machine.evaluator.raised(root, Failure(error, None, root))
        assert root.state is State.FAILED


def test_nothing_is_stuck_after_an_ordinary_run():
    machine = Machine()
    machine.run(fib(5))
    assert machine.evaluator.stuck() is None


# -- other events -----------------------------------------------------------------------------------------------------


def _asked(expression: Any) -> tuple[Machine, Job]:
    machine = Machine()
    machine.evaluator.submit(expression)
    (job,) = machine.evaluator.asks
    return machine, job


def test_a_job_that_was_handed_back_can_be_started_again():
    machine, job = _asked(one())
    machine.evaluator.miss(job, Why.FIRST)
    for _ in range(3):
        machine.evaluator.started(job)
        machine.evaluator.requeued(job)
    assert machine.evaluator.counts["machine.one"] == [1, 0, 0, 0, 0]
    machine.evaluator.started(job)
    machine.evaluator.returned(job, 1)
    assert machine.evaluator.counts["machine.one"] == [0, 0, 0, 0, 1]


def test_cancelled_jobs_are_counted_as_failed_and_end():
    machine, job = _asked(one())
    machine.evaluator.cancel(job)
    assert job.state is State.CANCELLED
    assert machine.evaluator.counts["machine.one"] == [0, 0, 1, 0, 0]
    assert machine.evaluator.ended == [job]
    machine.evaluator.cancel(job)
    assert machine.evaluator.ended == [job]


def test_events_that_make_no_sense_are_errors_of_ours():
    machine, job = _asked(one())
    for wrong in (
        lambda: machine.evaluator.started(job),
        lambda: machine.evaluator.returned(job, 1),
    ):
        with pytest.raises(InternalError):
            wrong()
    machine.evaluator.miss(job, Why.FIRST)
    with pytest.raises(InternalError):
        machine.evaluator.miss(job, Why.FIRST)


def test_a_job_knows_who_called_it_and_why_it_ran():
    machine = Machine()
    root = machine.run(twice(1))
    inner = [job for job in machine.ended if job is not root]
    assert root.parent == -1
    assert {job.parent for job in inner} == {root.number}
    assert root.why is Why.FIRST


def test_what_is_submitted_must_be_storable():
    machine = Machine()
    with pytest.raises(CannotEncode):
        machine.evaluator.submit(inc(lambda: 1))


def test_values_of_the_machine_are_the_bytes_that_any_encoder_gives():
    machine = Machine()
    root = machine.run(nested(1))
    assert root.result is not None
    assert root.result.payload == Encoder(DEFAULT_FORMAT).encode(machine.value(root)).payload
