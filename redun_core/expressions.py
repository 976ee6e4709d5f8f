"""Lazy expressions: what a task call, and every operation on one, gives instead of a value.

An expression knows nothing of evaluation. It holds its operands as they were written; `reduction` turns a graph of
expressions into a flat table, and the evaluator works on that table alone.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn

from redun.core import codes
from redun.core.codec import ExtType
from redun.core.errors import CannotEncode, ExpressionError, WorkflowWarning
from redun.core.values import HANDLERS, Encoder

if TYPE_CHECKING:
    from redun.core.tasks import Task


class Expression:
    """A value to come. Operators, attributes, items and calls on it give further expressions.

    Names that begin with `_redun_` are the engine's; every other attribute is taken lazily from the value to come.
    """

    __slots__ = ()

    # -- operators: each gives an Operation ---------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return Operation("add", (self, other))

    def __radd__(self, other: Any) -> Any:
        return Operation("add", (other, self))

    def __sub__(self, other: Any) -> Any:
        return Operation("sub", (self, other))

    def __rsub__(self, other: Any) -> Any:
        return Operation("sub", (other, self))

    def __mul__(self, other: Any) -> Any:
        return Operation("mul", (self, other))

    def __rmul__(self, other: Any) -> Any:
        return Operation("mul", (other, self))

    def __truediv__(self, other: Any) -> Any:
        return Operation("truediv", (self, other))

    def __rtruediv__(self, other: Any) -> Any:
        return Operation("truediv", (other, self))

    def __floordiv__(self, other: Any) -> Any:
        return Operation("floordiv", (self, other))

    def __rfloordiv__(self, other: Any) -> Any:
        return Operation("floordiv", (other, self))

    def __mod__(self, other: Any) -> Any:
        return Operation("mod", (self, other))

    def __rmod__(self, other: Any) -> Any:
        return Operation("mod", (other, self))

    def __pow__(self, other: Any) -> Any:
        return Operation("pow", (self, other))

    def __rpow__(self, other: Any) -> Any:
        return Operation("pow", (other, self))

    def __matmul__(self, other: Any) -> Any:
        return Operation("matmul", (self, other))

    def __rmatmul__(self, other: Any) -> Any:
        return Operation("matmul", (other, self))

    def __lshift__(self, other: Any) -> Any:
        return Operation("lshift", (self, other))

    def __rlshift__(self, other: Any) -> Any:
        return Operation("lshift", (other, self))

    def __rshift__(self, other: Any) -> Any:
        return Operation("rshift", (self, other))

    def __rrshift__(self, other: Any) -> Any:
        return Operation("rshift", (other, self))

    def __xor__(self, other: Any) -> Any:
        return Operation("xor", (self, other))

    def __rxor__(self, other: Any) -> Any:
        return Operation("xor", (other, self))

    def __and__(self, other: Any) -> Any:
        return Operation("and", (self, other))

    def __rand__(self, other: Any) -> Any:
        return Operation("and", (other, self))

    def __or__(self, other: Any) -> Any:
        return Operation("or", (self, other))

    def __ror__(self, other: Any) -> Any:
        return Operation("or", (other, self))

    def __neg__(self) -> Any:
        return Operation("neg", (self,))

    def __pos__(self) -> Any:
        return Operation("pos", (self,))

    def __invert__(self) -> Any:
        return Operation("invert", (self,))

    def __abs__(self) -> Any:
        return Operation("abs", (self,))

    def __round__(self, digits: Any = None) -> Any:
        return Operation("round", (self,) if digits is None else (self, digits))

    def __eq__(self, other: Any) -> Any:
        return Operation("eq", (self, other))

    def __ne__(self, other: Any) -> Any:
        return Operation("ne", (self, other))

    def __lt__(self, other: Any) -> Any:
        return Operation("lt", (self, other))

    def __le__(self, other: Any) -> Any:
        return Operation("le", (self, other))

    def __gt__(self, other: Any) -> Any:
        return Operation("gt", (self, other))

    def __ge__(self, other: Any) -> Any:
        return Operation("ge", (self, other))

    def __getitem__(self, key: Any) -> Any:
        return Operation("getitem", (self, key))

    def __getattr__(self, name: str) -> Any:
        # Python itself asks for these when it copies, awaits or formats; a lazy answer would mislead it
        if name.startswith(("__", "_redun_")):
            raise AttributeError(name)
        return Operation("getattr", (self, name))

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return Operation("call", (self, args, kwargs))

    # -- what a lazy value cannot do -----------------------------------------------------------------------------------

    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise ExpressionError(
            f"the truth of {_short(self)} is not known yet",
            hint="it is lazy: decide with cond(...), or inside a task that takes it as an argument",
        )

    def __iter__(self) -> Iterator[Any]:
        length = self._redun_length()
        if length is None:
            raise ExpressionError(
                f"{_short(self)} is lazy and of unknown length, so it cannot be iterated or unpacked",
                hint="loop inside a task that takes it, or call a task for each item: map_(task, values); to unpack "
                "it, declare its length: @task(nout=2) or -> tuple[int, str]",
            )
        return iter([self[i] for i in range(length)])

    def __len__(self) -> int:
        length = self._redun_length()
        if length is None:
            raise ExpressionError(f"{_short(self)} is lazy and of unknown length", hint="use len() inside a task")
        return length

    def __contains__(self, item: Any) -> NoReturn:
        raise ExpressionError(f"what {_short(self)} contains is not known yet", hint="use `in` inside a task")

    def __format__(self, spec: str) -> NoReturn:
        raise ExpressionError(
            f"{_short(self)} is lazy, so it has no text yet", hint="format inside a task that takes it as an argument"
        )

    def __str__(self) -> str:
        # no error, as in a debugger and in a log it is what is wanted
        warnings.warn(
            f"{_short(self)} is lazy, so its text is that of the call; make the text inside a task that takes it as an "
            "argument",
            WorkflowWarning,
            stacklevel=2,
        )
        return repr(self)

    def __int__(self) -> NoReturn:
        raise ExpressionError(f"{_short(self)} is lazy and no number yet", hint="convert inside a task")

    __index__ = __float__ = __complex__ = __int__

    def _redun_length(self) -> int | None:
        return None


#: Numbers expressions in the order in which they are made: the one order that a set of them can be given.
_made: Final = itertools.count()


#: Told of each call of a task that is gone before it was of any use. Whoever runs bodies may put a function here.
lost: list[Callable[[TaskCall], None]] = []


class TaskCall(Expression):
    """A call of a task that has not been evaluated. Where it becomes part of a reduction, `_redun_placed` is set."""

    __slots__ = ("_redun_args", "_redun_kwargs", "_redun_made", "_redun_options", "_redun_placed", "_redun_task")
    _redun_placed: bool

    def __init__(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any] | None = None
    ) -> None:
        self._redun_task = task
        self._redun_args = args
        self._redun_kwargs = kwargs
        self._redun_options = options
        self._redun_made = next(_made)

    def __repr__(self) -> str:
        parts = [_short(arg) for arg in self._redun_args]
        parts += [f"{name}={_short(value)}" for name, value in self._redun_kwargs.items()]
        return f"{self._redun_task.fullname}({', '.join(parts)})"

    def _redun_length(self) -> int | None:
        return self._redun_task.nout

    def __del__(self) -> None:
        try:
            self._redun_placed  # noqa: B018  whether it is there is the question
        except AttributeError:
            for tell in lost:
                tell(self)


class SchedulerCall(TaskCall):
    """A call of a scheduler task: it gets its arguments unevaluated, and decides which are evaluated, and when."""

    __slots__ = ()


class Operand(Expression):
    """An argument of a scheduler task that has not been evaluated: a place in the table of the expression around it.

    Attributes:
        _redun_nodes, _redun_units: that table, and what its nodes have become in the running evaluation.
        _redun_number: its place there.
    """

    __slots__ = ("_redun_made", "_redun_nodes", "_redun_number", "_redun_units")

    def __init__(self, nodes: Any, units: Any, number: int) -> None:
        self._redun_nodes = nodes
        self._redun_units = units
        self._redun_number = number
        self._redun_made = next(_made)

    def __repr__(self) -> str:
        return f"{self._redun_nodes[self._redun_number].name}(...)"


class Operation(Expression):
    """An operation on operands of which at least one is an expression."""

    __slots__ = ("_redun_made", "_redun_name", "_redun_operands")

    def __init__(self, name: str, operands: tuple[Any, ...]) -> None:
        self._redun_name = name
        self._redun_operands = operands
        self._redun_made = next(_made)

    def __repr__(self) -> str:
        return f"{self._redun_name}({', '.join(map(_short, self._redun_operands))})"


_SHOWN: Final = 60


def _short(value: Any) -> str:
    """A bounded repr: an expression can be a chain of 100,000 calls."""
    if isinstance(value, TaskCall):
        inner = ", ".join("..." if isinstance(arg, Expression) else repr(arg)[:_SHOWN] for arg in value._redun_args)
        return f"{value._redun_task.fullname}({inner})"
    if isinstance(value, Operation):
        return f"{value._redun_name}(...)"
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def is_lazy(value: Any) -> bool:
    """Returns whether a value is an expression, or a built-in container that holds one."""
    if isinstance(value, dict):
        return any(map(is_lazy, value.values())) or any(map(is_lazy, value))
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(is_lazy, value))
    return isinstance(value, Expression)


def node_ext(index: int) -> ExtType:
    """Returns what stands for the expression at that place of the table: 1, 2 or 4 bytes wide, the narrowest."""
    width = 1 if index < 0x100 else 2 if index < 0x10000 else 4
    return ExtType(codes.NODE, index.to_bytes(width, "big"))


def _encode(encoder: Encoder, expression: Expression) -> ExtType:
    if encoder.place is None:
        raise CannotEncode(f"{_short(expression)} is lazy where a concrete value is needed")
    index = encoder.place(expression)
    encoder.nodes.append(index)
    return node_ext(index)


def _in_order(items: Iterable[Any]) -> list[Any]:
    """The members of a set, those that hold expressions in the order in which these were made."""
    return sorted(items, key=_first_made)


def _first_made(item: Any) -> int:
    if isinstance(item, (TaskCall, Operation, Operand)):
        return item._redun_made
    if isinstance(item, (tuple, frozenset)):
        return max(map(_first_made, item), default=-1)
    fields = getattr(item, "__dataclass_fields__", ())
    return max((_first_made(getattr(item, name, None)) for name in fields), default=-1)


# in place of the handlers of `values`, which know of no expressions
HANDLERS[set] = lambda encoder, items: encoder.sorted_ext(codes.SET, _in_order(items))
HANDLERS[frozenset] = lambda encoder, items: encoder.sorted_ext(codes.FROZENSET, _in_order(items))
for _lazy in (TaskCall, SchedulerCall, Operation, Operand):
    HANDLERS[_lazy] = _encode
