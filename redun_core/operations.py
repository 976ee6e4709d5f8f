"""The operations that expressions defer, by name, and which of them are pure.

An operation between bodies must be a function of its operands alone, or replaying a result would miss what it read:
`path.exists()` on a lazy path is the classic. Pure are all operations on built-in data and on types whose adapters say
so; any other makes the enclosing call volatile (CACHING section 3).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import BuiltinMethodType, MethodType, MethodWrapperType, NoneType
from typing import Any, Final


def _call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)


OPERATIONS: Final[dict[str, Callable[..., Any]]] = {
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
    # both sides are evaluated; the value is chosen as Python's `and` and `or` choose
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "neg": operator.neg,
    "pos": operator.pos,
    "invert": operator.invert,
    "abs": abs,
    "round": round,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "getitem": operator.getitem,
    "getattr": getattr,
    "call": _call,
}

_BUILT_IN: Final = frozenset(
    {NoneType, bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, range, slice}
)
#: Libraries all of whose values' operations are functions of the operands.
_PURE_MODULES: Final = frozenset({"numpy", "datetime", "decimal", "fractions", "uuid", "collections"})
#: Where files, sets of them and staging values are from, and what of them follows from the value alone.
_FILES: Final = frozenset({"redun.core.files.file", "redun.core.files.sets", "redun.core.files.staging"})
_OF_FILES: Final = frozenset(
    {"path", "pattern", "base", "hidden", "by", "basename", "dirname", "stage", "local_path", "remote"}
)


def _is_pure_type(kind: type) -> bool:
    return kind in _BUILT_IN or kind.__module__.partition(".")[0] in _PURE_MODULES


def is_pure(name: str, operands: tuple[Any, ...]) -> bool:
    """Returns whether the operation's result depends on nothing but its operands."""
    first = operands[0]
    kind = type(first)
    if name == "call":
        owner = type(getattr(first, "__self__", None))
        if not isinstance(first, (BuiltinMethodType, MethodType, MethodWrapperType)):
            return False
        return _is_pure_type(owner) or _is_of_value(owner, first.__name__)
    if name == "getattr" and not _is_pure_type(kind):
        return _is_field(kind, operands[1]) or _is_of_value(kind, operands[1])
    if name == "getitem" and issubclass(kind, tuple) and kind.__getitem__ is tuple.__getitem__:
        return True
    return all(_is_pure_type(type(operand)) for operand in operands)


def _is_of_value(kind: type, name: str) -> bool:
    return name in _OF_FILES and kind.__module__ in _FILES


def _is_field(kind: type, name: str) -> bool:
    if issubclass(kind, tuple):
        return name in getattr(kind, "_fields", ())
    fields = getattr(kind, "__dataclass_fields__", {})
    return name in fields and kind.__getattribute__ is object.__getattribute__ and not _is_computed(kind, name)


def _is_computed(kind: type, name: str) -> bool:
    attribute = getattr(kind, name, None)
    return isinstance(attribute, property) or hasattr(type(attribute), "__set_name__")
