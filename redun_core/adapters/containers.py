"""Adapters of `collections`. Their members are values like any other, so expressions inside them are found."""

from __future__ import annotations

from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from typing import Any

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
