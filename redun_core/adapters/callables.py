"""Adapters of the standard library's callables that are values: `functools.partial`."""

from __future__ import annotations

import functools
from typing import Any

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
