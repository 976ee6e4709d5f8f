"""Lineage up and down: which calls came from which, against a model, and at the places where histories are odd."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from redun import task
from redun.core.digest import Digest
from redun.executor.scheduler import Scheduler
from redun.store import Store
from redun.store.call_graph import CallGraph
from redun.store.lineage import LineageStep

redun_namespace = "lineage"


@task()
def leaf(n: int) -> str:
    return f"leaf{n}"


@task()
def join(a: str, b: str) -> str:
    return f"({a} {b})"


@task()
def pair(a: str, b: str) -> list[str]:
    return [f"<{a}|{b}>0", f"<{a}|{b}>1"]


@task()
def total(items: list[str]) -> str:
    return f"[{' '.join(items)}]"


@task()
def nest(a: str, b: str) -> Any:
    return join(join(a, leaf(7)), b)


@task()
def spread(items: list[str]) -> Any:
    return join(items[0], items[-1])


class Real:
    """Makes expressions."""

    def leaf(self, n: int) -> Any:
        return leaf(n)

    def join(self, a: Any, b: Any) -> Any:
        return join(a, b)

    def pair(self, a: Any, b: Any) -> Any:
        return pair(a, b)

    def total(self, items: list[Any]) -> Any:
        return total(items)

    def nest(self, a: Any, b: Any) -> Any:
        return nest(a, b)

    def spread(self, made: Any) -> Any:
        return spread(made)

    def item(self, made: Any, place: int) -> Any:
        return made[place]


Call = tuple[str, str]


class Told(NamedTuple):
    """A value of the model, and all calls that it came from."""

    value: Any
    calls: frozenset[Call]


class Model:
    """Does what the tasks do, and keeps what every call's arguments came from."""

    def __init__(self) -> None:
        self.took: dict[Call, frozenset[Call]] = {}

    def _call(self, name: str, *args: Told) -> tuple[Call, frozenset[Call]]:
        call = (name, repr([arg.value for arg in args]))
        came = frozenset().union(*(arg.calls for arg in args))
        self.took[call] = self.took.get(call, frozenset()) | came
        return call, came

    def _made(self, name: str, value: Any, *args: Told) -> Told:
        call, came = self._call(name, *args)
        return Told(value, came | {call})

    def leaf(self, n: int) -> Told:
        return self._made("leaf", f"leaf{n}", Told(n, frozenset()))

    def join(self, a: Told, b: Told) -> Told:
        return self._made("join", f"({a.value} {b.value})", a, b)

    def pair(self, a: Told, b: Told) -> Told:
        inside = f"<{a.value}|{b.value}>"
        return self._made("pair", [f"{inside}0", f"{inside}1"], a, b)

    def total(self, items: list[Told]) -> Told:
        whole = Told([item.value for item in items], frozenset().union(*(item.calls for item in items)))
        return self._made("total", f"[{' '.join(whole.value)}]", whole)

    def nest(self, a: Told, b: Told) -> Told:
        self._call("nest", a, b)
        return self.join(self.join(a, self.leaf(7)), b)

    def spread(self, made: Told) -> Told:
        self._call("spread", made)
        return self.join(self.item(made, 0), self.item(made, -1))

    def item(self, made: Told, place: int) -> Told:
        return Told(made.value[place], made.calls)


def build(world: Any, seed: int) -> Any:
    """Makes something of twenty steps, the same in each world."""
    chance = random.Random(seed)
    made = [world.leaf(n) for n in range(3)]
    for _ in range(20):
        choice = chance.randrange(6)
        one, other = chance.choice(made), chance.choice(made)
        if choice == 0:
            made.append(world.leaf(chance.randrange(5)))
        elif choice == 1:
            made.append(world.join(one, other))
        elif choice == 2:
            made.append(world.item(world.pair(one, other), chance.randrange(2)))
        elif choice == 3:
            made.append(world.total([one, other, chance.choice(made)]))
        elif choice == 4:
            made.append(world.nest(one, other))
        else:
            made.append(world.spread(world.pair(one, other)))
    return world.total(made[-6:])


@task()
def main(seed: int) -> Any:
    return build(Real(), seed)


@pytest.fixture(params=["xxh3-128", "sha256"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with Store.memory(request.param) as store:
        yield store


def run(store: Store, expression: Any) -> Digest:
    """Runs it and returns the id of the root call."""
    done = Scheduler(store).execute(expression)
    assert done.digest is not None
    root = store.get_record(done.digest).root
    assert root is not None
    return Digest(root)


def named(store: Store, steps: Iterator[LineageStep]) -> dict[Call, LineageStep]:
    """Steps by name and arguments; each call is there once."""
    found: dict[Call, LineageStep] = {}
    for step in steps:
        assert step.fullname is not None
        call = (step.fullname.removeprefix("lineage."), arguments_text(store, step.call))
        assert call not in found
        found[call] = step
    return found


def arguments_text(store: Store, call: Digest) -> str:
    graph = CallGraph(store)
    record = graph.call(call)
    assert record is not None
    return repr([store.get_value(argument.value) for argument in graph.arguments(record)])


def result_of(store: Store, call: Digest) -> Digest:
    result = CallGraph(store).call(call)
    assert result is not None
    assert result.result is not None
    return result.result


# -- against a model --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_all_that_a_value_came_from_is_found_and_nothing_else(store: Store, seed: int) -> None:
    root = run(store, main(seed))
    model = Model()
    truth = build(model, seed)
    for start in (result_of(store, root), root):
        assert set(named(store, store.lineage(start))) == truth.calls


@pytest.mark.parametrize("seed", range(8))
def test_all_that_came_of_a_call_is_found_and_nothing_else(store: Store, seed: int) -> None:
    root = run(store, main(seed))
    model = Model()
    build(model, seed)
    calls = named(store, store.lineage(root))
    ran = {
        (name.removeprefix("lineage."), arguments_text(store, call))
        for call, _ in store.objects("call")
        if (name := CallGraph(store).task_name(call))
    }
    for n in range(3):
        start = calls.get(("leaf", f"[{n}]"))
        if start is not None:
            truth = {call for call, came in model.took.items() if ("leaf", f"[{n}]") in came}
            found = set(named(store, store.lineage(start.call, up=False)))
            assert found == truth & ran  # what nobody asked for was never called


def test_depth_is_the_least_number_of_calls_between(store: Store) -> None:
    root = run(store, join(join(leaf(1), leaf(2)), leaf(1)))
    steps = named(store, store.lineage(root))
    depths = {call[0] + call[1]: step.depth for call, step in steps.items()}
    assert depths == {
        "join['(leaf1 leaf2)', 'leaf1']": 0,
        "join['leaf1', 'leaf2']": 1,
        "leaf[1]": 1,
        "leaf[2]": 2,
    }
    for depth in range(3):
        assert {step.depth for step in store.lineage(root, depth=depth)} == set(range(depth + 1))


# -- odd places -------------------------------------------------------------------------------------------------------


@task()
def both(n: int) -> Any:
    return [leaf(n), leaf(n + 1)]


@task()
def use(x: str, y: str = "default") -> str:
    return f"use {x} {y}"


@task()
def outer(n: int) -> Any:
    return use(both(n)[1])


@task()
def literal() -> Any:
    return use("leaf1")


@task()
def fails(x: str) -> str:
    raise ValueError(x)


@task()
def failing() -> Any:
    return fails(leaf(1))


@task()
def big(n: int) -> list[bytes]:
    return [bytes([n]) * 100_000, b"small"]


@task()
def size(data: bytes) -> int:
    return len(data)


@task()
def measure() -> Any:
    return size(big(1)[0])


def test_a_list_put_together_of_results_is_a_step_with_its_parts(store: Store) -> None:
    root = run(store, both(1))
    (first, *others) = store.lineage(root)
    assert first.fullname == "lineage.both"
    assert [len(part.makers) for part in first.inputs] == [1, 1]
    assert {step.call for step in others} == {maker for part in first.inputs for maker in part.makers}
    down = [step.fullname for step in store.lineage(others[0].call, up=False)]
    assert down == ["lineage.both"]


def test_an_item_of_an_earlier_result_leads_to_the_calls_that_gave_it(store: Store) -> None:
    root = run(store, outer(1))
    steps = named(store, store.lineage(root))
    assert [call[0] for call in steps] == ["use", "both", "leaf", "leaf"]
    (first, *_) = steps.values()
    assert [(given.name, given.origin, given.total) for given in first.inputs] == [("x", "", 1), ("y", "default", 0)]
    assert [step.fullname for step in store.lineage(result_of(store, root), up=False)] == []
    item = first.inputs[0].value
    assert item is not None
    assert next(store.lineage(item, up=False)).fullname == "lineage.use"


def test_a_literal_that_equals_a_result_comes_from_code(store: Store) -> None:
    run(store, leaf(1))
    (step,) = store.lineage(run(store, literal()))
    assert (step.inputs[0].origin, step.inputs[0].makers) == ("code", ())


def test_what_was_given_from_outside_begins_there(store: Store) -> None:
    (step,) = store.lineage(run(store, leaf(5)))
    assert [(given.name, given.origin) for given in step.inputs] == [("n", "given")]


def test_an_error_leads_to_the_call_that_raised_it(store: Store) -> None:
    steps = list(store.lineage(run(store, failing())))
    assert [step.fullname for step in steps] == ["lineage.fails", "lineage.leaf"]


def test_a_value_inside_a_large_one_leads_to_who_made_the_whole(store: Store) -> None:
    run(store, measure())
    (inside,) = {
        digest for digest, kind in store.objects("value") if bytes(store.get(digest)[1]).endswith(b"\1" * 100_000)
    }
    assert [step.fullname for step in store.lineage(inside)] == ["lineage.big"]
    assert [step.fullname for step in store.lineage(inside, up=False)] == ["lineage.size"]


def test_a_value_that_no_call_gave_or_took_has_no_lineage(store: Store) -> None:
    alone = store.put_value("alone")
    assert list(store.lineage(alone)) == []
    assert list(store.lineage(alone, up=False)) == []


def test_a_call_that_several_made_has_what_each_of_them_gave(store: Store) -> None:
    run(store, outer_of(leaf(1)))
    root = run(store, outer_of(also_leaf1()))
    assert {step.fullname for step in store.lineage(root)} == {"lineage.use", "lineage.leaf", "lineage.also_leaf1"}


@task()
def also_leaf1() -> str:
    return "leaf1"


@task()
def outer_of(x: str) -> Any:
    return use(x)
