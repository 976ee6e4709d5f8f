"""Adapters of the standard library's callables that are values: `functools` and `operator`."""

from __future__ import annotations

import functools
import operator
from typing import Any, Final

from redun.core import codes
from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.values import Encoder


def _state(_: Encoder, value: functools.partial[Any]) -> list[Any]:
    return [value.func, list(value.args), {name: value.keywords[name] for name in sorted(value.keywords)}]


def _read(_: Decoder, state: Any) -> functools.partial[Any]:
    func, args, kwargs = state
    if not callable(func):
        raise TypeError(f"{func!r} cannot be called")
    return functools.partial(func, *args, **kwargs)


register(functools.partial, "functools.partial", _state, _read)


def _cached(encoder: Encoder, function: Any) -> str:
    encoder.code.append(function.__wrapped__)
    return codes.qualified_name(function)


def _read_cached(decoder: Decoder, state: Any) -> Any:
    found = codes.lookup(state)
    if not isinstance(found, _CACHED):
        raise TypeError(f"{state} is no function with a cache any more")
    decoder.code.append(found.__wrapped__)
    return found


#: The type of functions under `functools.lru_cache` and `cache`.
_CACHED: Final[Any] = type(functools.lru_cache(len))
register(_CACHED, "functools.lru_cache", _cached, _read_cached)


def _getter(_: Encoder, getter: Any) -> Any:
    parts = getter.__reduce__()  # the only one who knows what a getter of these types gets
    return [list(part) if isinstance(part, tuple) else part for part in parts[1:]]


def _caller(_: Encoder, caller: operator.methodcaller) -> Any:
    reduced: Any = caller.__reduce__()
    made, args = reduced  # class or partial of it, arguments
    kwargs = made.keywords if isinstance(made, functools.partial) else {}
    names = made.args if isinstance(made, functools.partial) else ()
    return [[*names, *args], {name: kwargs[name] for name in sorted(kwargs)}]


register(operator.itemgetter, "operator.itemgetter", _getter, lambda _, state: operator.itemgetter(*state[0]))
register(operator.attrgetter, "operator.attrgetter", _getter, lambda _, state: operator.attrgetter(*state[0]))
register(
    operator.methodcaller,
    "operator.methodcaller",
    _caller,
    lambda _, state: operator.methodcaller(*state[0], **state[1]),
)
