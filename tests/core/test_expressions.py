"""Lazy values: every operation on one is lazy too, and what only a concrete value can do is an error that says so."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotEncode, ExpressionError, TaskError
from redun.core.expressions import Expression, Operation, TaskCall, node_ext
from redun.core.tasks import Task
from redun.core.values import Encoder

OPTIONS = {"namespace": "test_expressions"}


class Pair(NamedTuple):
    a: int
    b: int


def one(x: Any = 0) -> Any:
    return x


def pair() -> tuple[int, str]:
    raise NotImplementedError


def any_length() -> tuple[int, ...]:
    raise NotImplementedError


def named() -> Pair:
    raise NotImplementedError


def no_items() -> tuple[()]:
    raise NotImplementedError


def text_annotation() -> tuple[int, Undefined]:  # type: ignore[name-defined]  # noqa: F821
    raise NotImplementedError


ONE: Task[..., Any] = Task(one, OPTIONS)
LAZY: Any = ONE(1)

BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "matmul": operator.matmul,
    "lshift": operator.lshift,
    "rshift": operator.rshift,
    "xor": operator.xor,
    "and": operator.and_,
    "or": operator.or_,
}
COMPARED = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
UNARY = {"neg": operator.neg, "pos": operator.pos, "invert": operator.invert, "abs": abs, "round": round}
MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}


def _parts(expression: Any) -> tuple[str, tuple[Any, ...]]:
    assert type(expression) is Operation
    return expression._redun_name, expression._redun_operands


def _is(expression: Any, name: str, *operands: Any) -> bool:
    found, parts = _parts(expression)
    return (
        found == name
        and len(parts) == len(operands)
        and all(
            p is o or (type(p) is type(o) and not isinstance(o, Expression) and p == o)
            for p, o in zip(parts, operands, strict=True)
        )
    )


@pytest.mark.parametrize("name", BINARY)
def test_operators_are_lazy_on_either_side(name: str):
    operation = BINARY[name]
    assert _is(operation(LAZY, 3), name, LAZY, 3)
    assert _is(operation(3, LAZY), name, 3, LAZY)
    assert _is(operation(LAZY, LAZY), name, LAZY, LAZY)
    assert _is(operation(operation(LAZY, 3), 4)._redun_operands[0], name, LAZY, 3)


@pytest.mark.parametrize("name", COMPARED)
def test_comparisons_are_lazy_on_either_side(name: str):
    assert _is(COMPARED[name](LAZY, 3), name, LAZY, 3)
    assert _is(COMPARED[name](3, LAZY), MIRRORED[name], LAZY, 3)


@pytest.mark.parametrize("name", UNARY)
def test_unary_operators_are_lazy(name: str):
    assert _is(UNARY[name](LAZY), name, LAZY)


def test_rounding_takes_digits():
    assert _is(round(LAZY, 2), "round", LAZY, 2)


@pytest.mark.parametrize("left", ["text", [1], (1,), b"bytes", {1}])
def test_sequences_of_python_may_stand_on_the_left(left: Any):
    assert _is(left + LAZY, "add", left, LAZY)


def test_assignment_operators_make_a_new_lazy_value():
    total = LAZY
    total += 1
    assert _is(total, "add", LAZY, 1)


def test_items_attributes_and_calls_are_lazy():
    assert _is(LAZY["a"], "getitem", LAZY, "a")
    assert _is(LAZY[1:2], "getitem", LAZY, slice(1, 2))
    assert _is(LAZY.name, "getattr", LAZY, "name")
    assert _is(LAZY(1, k=2), "call", LAZY, (1,), {"k": 2})
    call = LAZY.method(LAZY)
    assert _is(call._redun_operands[0], "getattr", LAZY, "method")


def test_attributes_of_python_itself_are_not_lazy():
    for name in ("__deepcopy__", "__aiter__", "__array__", "_redun_nothing"):
        with pytest.raises(AttributeError):
            getattr(LAZY, name)


# -- mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES: dict[str, Callable[[], Any]] = {
    "truth": lambda: bool(LAZY),
    "if": lambda: 1 if LAZY else 2,
    "not": lambda: not LAZY,
    "and": lambda: LAZY and 1,
    "or": lambda: LAZY or 1,
    "chained comparison": lambda: 1 < LAZY < 3,
    "truth of a comparison": lambda: 1 if LAZY == 1 else 2,
    "loop": lambda: [x for x in LAZY],  # noqa: C416
    "list": lambda: list(LAZY),
    "unpacking": lambda: operator.itemgetter(0, 1)(tuple(LAZY)),
    "star": lambda: [*LAZY],
    "len": lambda: len(LAZY),
    "in": lambda: 1 in LAZY,
    "in a list of others": lambda: LAZY in [1, 2],
    "int": lambda: int(LAZY),
    "float": lambda: float(LAZY),
    "complex": lambda: complex(LAZY),
    "range": lambda: range(LAZY),
    "index": lambda: [1, 2][LAZY],
    "f-string": lambda: f"{LAZY}",
    "f-string with format": lambda: f"{LAZY:>3}",
    "format": lambda: format(LAZY),
    "format method": lambda: "{}".format(LAZY),  # noqa: UP032
    "reversed": lambda: reversed(LAZY),
    "sorted": lambda: sorted(LAZY),
    "max": lambda: max(LAZY, 2),
    "any": lambda: any([LAZY]),
    "sum": lambda: sum(LAZY),
    "enumerate": lambda: list(enumerate(LAZY)),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_what_needs_the_value_now_is_an_error_with_a_hint(what: str):
    with pytest.raises(ExpressionError) as caught:
        MISTAKES[what]()
    assert caught.value.hint
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, TaskError)


def test_the_error_names_the_call():
    with pytest.raises(ExpressionError, match=r"test_expressions\.one\(1\)"):
        bool(LAZY)


def test_double_star_is_an_error_of_python():
    with pytest.raises(TypeError):
        dict(**LAZY)


@pytest.mark.parametrize("set_", [lambda: setattr(LAZY, "x", 1), lambda: operator.setitem(LAZY, 0, 1)])
def test_a_lazy_value_cannot_be_changed(set_: Callable[[], Any]):
    with pytest.raises((AttributeError, TypeError)):
        set_()


def test_representations_are_short_however_large_the_expression():
    chain: Any = ONE(0)
    for _ in range(100_000):
        chain = ONE(chain)
    assert repr(chain) == "test_expressions.one(test_expressions.one(...))"
    assert len(repr(ONE(list(range(10_000))))) < 200
    total: Any = LAZY
    for _ in range(100_000):
        total = total + 1
    assert len(repr(total)) < 200


# -- lengths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("func", "options", "length"),
    [
        (pair, {}, 2),
        (named, {}, 2),
        (one, {"nout": 3}, 3),
        (pair, {"nout": 5}, 5),
        (no_items, {}, 0),
        (any_length, {}, None),
        (one, {}, None),
        (text_annotation, {}, None),
    ],
)
def test_a_declared_length_allows_unpacking(func: Any, options: dict[str, Any], length: int | None):
    task: Task[..., Any] = Task(func, {**OPTIONS, **options})
    assert task.nout == length
    call: Any = task()
    if length is None:
        with pytest.raises(ExpressionError, match="unknown length"):
            list(call)
        return
    items = list(call)
    assert len(call) == len(items) == length
    assert all(_is(item, "getitem", call, number) for number, item in enumerate(items))


def test_unpacking_into_another_number_of_names_is_pythons_own_error():
    call: Any = Task(pair, OPTIONS)()
    with pytest.raises(ValueError, match="too many values"):
        (_,) = call


# -- expressions as objects -------------------------------------------------------------------------------------------


def test_expressions_are_hashed_by_identity():
    a, b = ONE(1), ONE(1)
    assert len({a, b, a}) == 2
    assert {a: 1}[a] == 1
    assert [a, b].index(a) == 0


def test_expressions_can_be_copied():
    for copied in (copy.copy(LAZY), copy.deepcopy(LAZY + 1)):
        assert isinstance(copied, Expression)


def test_expressions_keep_their_arguments_as_written():
    part = [1]
    call: Any = ONE(part, k=part)
    assert type(call) is TaskCall
    assert call._redun_args[0] is part
    assert call._redun_kwargs["k"] is part


def test_an_expression_is_refused_where_a_value_is_needed():
    with pytest.raises(CannotEncode, match="lazy where a concrete value is needed") as caught:
        Encoder(DEFAULT_FORMAT).encode({"a": [LAZY]})
    assert caught.value.path == "value['a'][0]"


@pytest.mark.parametrize(("index", "size"), [(0, 1), (255, 1), (256, 2), (65535, 2), (65536, 4), (2**32 - 1, 4)])
def test_references_to_nodes_are_as_narrow_as_they_can_be(index: int, size: int):
    assert node_ext(index).data == index.to_bytes(size, "big")


def test_expressions_are_not_pickled():
    # their tasks are found by name; a pickle would carry the function
    with pytest.raises((TypeError, pickle.PicklingError, AttributeError)):
        pickle.dumps(LAZY)
