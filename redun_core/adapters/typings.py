"""Adapters of annotations as values, which `typing` and `types` make (`list[int]`, `int | str`), and of namespaces."""

from __future__ import annotations

import functools
import operator
import types
import typing
from typing import Any, Final

from redun.core import codes
from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.errors import CannotDecode, CannotEncode
from redun.core.values import Encoder


def _named(name: Any) -> Any:
    """What a name of `typing` stands for."""
    found = getattr(typing, name, None) if isinstance(name, str) and not name.startswith("_") else None
    if found is None:
        raise CannotDecode(f"typing has no {name!r}")
    return found


def _special(_: Encoder, form: Any) -> str:
    name = form._name
    if getattr(typing, name, None) is not form:
        raise CannotEncode(f"{form!r} has no name in typing")
    return str(name)


def _alias(_: Encoder, alias: Any) -> Any:
    origin, args = typing.get_origin(alias), typing.get_args(alias)
    name = getattr(alias, "_name", None)
    if origin is typing.Union or origin is types.UnionType:
        return ["Union", list(args)]
    if hasattr(alias, "__metadata__"):
        return ["Annotated", [alias.__origin__, *alias.__metadata__]]
    if origin is typing.Literal:
        return ["Literal", list(args)]
    if name is not None and getattr(typing, name, None) is not origin and hasattr(typing, name):
        return [name, list(args)]  # List[int], whose origin is list
    return [origin, list(args)]


def _read_alias(_: Decoder, state: Any) -> Any:
    origin, args = state
    form = _named(origin) if isinstance(origin, str) else origin
    return form[tuple(args)] if len(args) != 1 else form[args[0]]


def _read_generic(_: Decoder, state: Any) -> Any:
    origin, args = state
    if not isinstance(origin, type):
        raise TypeError(f"{origin!r} is no class")
    return types.GenericAlias(origin, tuple(args))


def _read_union(_: Decoder, state: Any) -> Any:
    return functools.reduce(operator.or_, state)


def _by_name(encoder: Encoder, thing: Any) -> str:
    name = f"{thing.__module__}:{thing.__name__}"
    if codes.lookup(name) is not thing:
        raise CannotEncode(f"{thing!r} cannot be found by its name", hint="define it at the top level of a module")
    return f"{codes.module_name(thing.__module__)}:{thing.__name__}"


def _read_by_name(_: Decoder, state: Any) -> Any:
    found = codes.lookup(state)
    if not isinstance(found, _DEFINED):
        raise TypeError(f"{state} is no type variable or new type any more")
    return found


_DEFINED: Final = (typing.TypeVar, typing.ParamSpec, typing.TypeVarTuple, typing.NewType)
for _kind in _DEFINED:
    register(_kind, f"typing.{_kind.__name__}", _by_name, _read_by_name)
for _sample in (typing.Optional, typing.List, typing.Callable, typing.Tuple, typing.Any, typing.Literal):  # noqa: UP006
    if not isinstance(_sample, type):
        register(type(_sample), "typing.form", _special, lambda _, state: _named(state))
T = typing.TypeVar("T")


class _Own(typing.Generic[T]):
    """A generic class, whose aliases are of one type with those of a user's."""


#: Annotations of every type that there is for such: they depend on the version of Python.
_SAMPLES: Final[tuple[Any, ...]] = (
    typing.List[int],  # noqa: UP006
    typing.Callable[[int], str],
    typing.Optional[int],  # noqa: UP045
    typing.Literal[1],
    typing.Annotated[int, 1],
    typing.ClassVar[int],
    _Own[int],
)
for _sample in _SAMPLES:
    if type(_sample) is not types.UnionType:
        register(type(_sample), "typing.alias", _alias, _read_alias)
register(types.GenericAlias, "types.GenericAlias", lambda _, a: [a.__origin__, list(a.__args__)], _read_generic)
register(types.UnionType, "types.UnionType", lambda _, union: list(union.__args__), _read_union)
register(typing.ForwardRef, "typing.ForwardRef", lambda _, ref: ref.__forward_arg__, lambda _, s: typing.ForwardRef(s))
register(
    types.SimpleNamespace,
    "types.SimpleNamespace",
    lambda _, names: dict(vars(names)),
    lambda _, state: types.SimpleNamespace(**state),
)
