"""Adapters of `collections` and `array`. Members are values like any other, so expressions inside them are found."""

from __future__ import annotations

import sys
from array import array
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, UserString, defaultdict, deque
from collections.abc import Callable
from typing import Any, get_args

from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.values import Encoder


def _default(_: Encoder, mapping: defaultdict[Any, Any]) -> Any:
    # the usual factories (list, int, ...) are classes of builtins, stored by name
    return [mapping.default_factory, dict(mapping)]


def _read_default(_: Decoder, state: Any) -> defaultdict[Any, Any]:
    return defaultdict(state[0], state[1])


register(OrderedDict, "collections.OrderedDict", lambda _, mapping: dict(mapping), lambda _, state: OrderedDict(state))
register(defaultdict, "collections.defaultdict", _default, _read_default)
register(Counter, "collections.Counter", lambda _, counts: dict(counts), lambda _, state: Counter(state))
register(deque, "collections.deque", lambda _, d: [list(d), d.maxlen], lambda _, state: deque(state[0], state[1]))
register(ChainMap, "collections.ChainMap", lambda _, chain: list(chain.maps), lambda _, state: ChainMap(*state))
register(UserDict, "collections.UserDict", lambda _, user: user.data, lambda _, state: UserDict(state))
register(UserList, "collections.UserList", lambda _, user: user.data, lambda _, state: UserList(state))
register(UserString, "collections.UserString", lambda _, user: user.data, lambda _, state: UserString(state))


def _array(_: Encoder, numbers: array[Any]) -> Any:
    if numbers.typecode in "uw":
        return [numbers.typecode, 4, numbers.tounicode()]
    ordered = numbers
    if sys.byteorder == "big":
        ordered = numbers[:]
        ordered.byteswap()
    return [numbers.typecode, numbers.itemsize, ordered.tobytes()]


def _read_numbers(_: Decoder, state: Any) -> array[Any]:
    code, size, data = state
    made = array(code)
    if code in "uw":
        made.fromunicode(data)
        return made
    if made.itemsize != size:
        raise ValueError(f"numbers of type {code!r} have {made.itemsize} bytes here, not {size}")
    made.frombytes(data)
    if sys.byteorder == "big":
        made.byteswap()
    return made


register(array, "array.array", _array, _read_numbers)
_callable: Any = Callable
_alias: Any = type(Callable[[int], str])
register(_alias, "collections.abc.Callable", lambda _, alias: list(get_args(alias)), lambda _, state: _callable[*state])
