"""Control flow in the pure evaluator: whatever the order in which bodies end, the same comes out.

What a task returns is drawn from its number: so programs are as random as the number of the first one.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from redun.core.context import Context, get_context
from redun.core.functional import catch, catch_all, cond, fold, map_, seq, throw
from redun.core.quoting import quote
from redun.core.scheduler_tasks import Attempt, scheduler_task
from redun.core.tasks import task
from redun.executor.jobs import Job
from redun.executor.states import State
from tests.executor.machine import Machine, Memory, settled

redun_namespace = "orders"
CLASSES: list[Any] = [ValueError, KeyError, Exception, (KeyError, ArithmeticError)]


def num(x: Any) -> int:
    """A number made of any value."""
    if isinstance(x, BaseException):
        return num([type(x).__name__, *x.args])
    if isinstance(x, str):
        return sum(map(ord, x)) % 101
    if isinstance(x, (list, tuple)):
        return sum((place + 1) * num(part) for place, part in enumerate(x)) % 101
    return 7 if x is None else int(x) % 101


@task()
def total(*xs: Any) -> int:
    return num(xs)


@task()
def boom(kind: int, x: Any) -> int:
    if num(x) % 2:
        raise (ValueError, KeyError, ZeroDivisionError)[kind](num(x))
    return num(x)


@task()
def rec(error: Any) -> int:
    return num(error)


@task()
def unquoted(quoted: Any) -> Any:
    return quoted.eval()


@task()
def reads(x: Any, host: Any = get_context("a", 1)) -> Any:
    return [total(x), num(host), get_context("b", 2)]


@task()
def node(seed: int, depth: int, x: Any) -> Any:
    maker = Maker(seed)
    if maker.below(6) == 0:
        raise ValueError(num(x))
    return maker.body(depth)


@task()
async def awaiting(seed: int, depth: int, x: Any) -> Any:
    maker = Maker(seed)
    found = 0
    for _ in range(1 + maker.below(3)):
        try:
            found += num(await maker.call(depth))
        except ValueError as error:
            found += num(error)
    if found % 5 == 0:
        raise KeyError(found)
    return [found, maker.expression(depth)]


@scheduler_task(version="1")
def either(one: Any, other: Any) -> Any:
    error = yield Attempt(one, (ValueError,))
    return one if error is None else [other, num(error)]


class Maker:
    """Makes random expressions, some of which come up more than once."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._made: list[Any] = []

    def below(self, number: int) -> int:
        """Draws a number."""
        return self._random.randrange(number)

    def body(self, depth: int) -> Any:
        """Makes what a body returns."""
        return [self.expression(depth) for _ in range(1 + self.below(3))]

    def expression(self, depth: int) -> Any:
        """Makes a number, lazy or not."""
        if depth == 0:
            return self.below(4)
        if self._made and self.below(3) == 0:
            return self._random.choice(self._made)
        made = self.call(depth)
        self._made.append(made)
        return made

    def call(self, depth: int) -> Any:
        """Makes an expression."""
        made = [self._leaf, self._leaf, self._inner, self._inner, self._catching, self._choosing, self._listing]
        return self._random.choice(made)(max(depth - 1, 0))

    def _leaf(self, depth: int) -> Any:
        one = self.expression(depth)
        return self._random.choice(
            [
                lambda: boom(self.below(3), one),
                lambda: boom(self.below(3), total(one)),
                lambda: total(one, self.expression(depth)) + self.below(3),
                lambda: reads(self.below(2)),
                lambda: reads.update_context(a=self.below(3))(self.below(2)),
                lambda: 12 // (total(one) % 3),
            ]
        )()

    def _inner(self, depth: int) -> Any:
        called = self._random.choice([node, node, awaiting])
        if self.below(3) == 0:
            called = called.update_context({self._random.choice("ab"): self.below(3)})
        return called(self.below(8), depth, self.expression(min(depth, 1)))

    def _catching(self, depth: int) -> Any:
        classes = self._random.choice(CLASSES)
        return self._random.choice(
            [
                lambda: catch(self.call(depth), classes, rec),
                lambda: catch([self.call(depth), self.expression(depth)], classes, rec, Exception, rec),
                lambda: total(catch_all([self.call(depth), self.call(depth)], classes, total)),
                lambda: total(catch_all([self.call(depth), self.call(depth)])),
                lambda: throw(ValueError(self.below(3))),
                lambda: either(self.call(depth), self.call(depth)),
            ]
        )()

    def _choosing(self, depth: int) -> Any:
        return cond(total(self.call(depth)) > 40, self.expression(depth), self.call(depth))

    def _listing(self, depth: int) -> Any:
        return self._random.choice(
            [
                lambda: total(seq([self.call(depth), self.call(depth)])),
                lambda: total(map_(total, map_(rec, [self.call(depth), self.expression(depth)]))),
                lambda: fold(total, [self.call(depth), self.expression(depth)], self.call(depth)),
                lambda: unquoted(quote(self.call(depth))),
            ]
        )()


def outcome(machine: Machine, root: Job) -> Any:
    """What came of it: the value, or the error."""
    if root.state is State.DONE:
        return machine.value(root)
    assert root.failure is not None
    return repr(root.failure.error)


def check_orders(seed: int, context: Context, orders: list[int]) -> None:
    """Evaluates a program in several orders, each without and with what earlier ones remember."""
    memory, first = Memory(), None
    for order in orders:
        pick = random.Random(order).randrange
        cold = Machine()
        found = outcome(cold, cold.run(node(seed, 3, 1), pick, settles=True, context=context))
        assert settled(cold)
        bodies = set(map(repr, cold.ran))  # one of two contexts may run where the other's answer is not known yet
        first = first or (found, bodies)
        assert first == (found, bodies)
        warm = Machine(memory)
        assert outcome(warm, warm.run(node(seed, 3, 1), pick, settles=True, context=context)) == found
        assert settled(warm)
        assert set(map(repr, warm.ran)) <= bodies


@given(
    st.integers(0, 10**6),
    st.sampled_from([{}, {"a": 5}, {"b": 1}]),
    st.lists(st.integers(0, 99), min_size=3, max_size=3),
)
def test_every_order_of_completion_gives_the_same_results_errors_and_bodies(
    seed: int, context: dict[str, int], orders: list[int]
):
    check_orders(seed, Context(context), orders)
