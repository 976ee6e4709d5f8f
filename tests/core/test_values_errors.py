"""What has no deterministic encoding is a named error that says where inside the value it is."""

from __future__ import annotations

import contextvars
import io
import random
import sched
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import polars as pl
import pytest

from redun.core import limits
from redun.core.codec import ExtType
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotEncode, ValueTooDeep
from redun.core.expressions import Operation
from redun.core.files.file import File
from redun.core.values import Encoder
from tests.core.sample_values import Box, Frozen, MyList, Pair, Point, fetcher

LOCK = threading.Lock()


def _encode(value: Any) -> bytes:
    return Encoder(DEFAULT_FORMAT).encode(value).payload


class RaisesInState:
    def __getstate__(self) -> Any:
        raise RuntimeError("no state")


class OwnReduce:
    def __reduce__(self) -> Any:
        return (print, ("called",))


class OwnReduceEx:
    def __reduce_ex__(self, protocol: Any) -> Any:
        return (print, ("called",))


class KeywordNew:
    def __getnewargs_ex__(self) -> Any:
        return ((), {"a": 1})


def _local_class() -> Any:
    class Local: ...

    return Local()


def _local_function() -> Any:
    def inner() -> None: ...

    return inner


def _unset_field() -> Point:
    point = Point(1)
    del point.x
    return point


UNENCODABLE: dict[str, Any] = {
    "lock": LOCK,
    "thread": threading.current_thread(),
    "open file": sys.stderr,
    "buffer": io.BytesIO(),
    "module": sys,
    "generator": (i for i in ()),
    "iterator": iter([]),
    "view of a dict": {}.keys(),
    "bare object": object(),
    "lambda": lambda: None,
    "local class": _local_class(),
    "local function": _local_function(),
    "bound method": [].append,
    "random numbers": random.Random(1),
    "memoryview": memoryview(b"a"),
    "extension of msgpack": ExtType(5, b"\x90"),
    "timestamp of msgpack": msgpack.Timestamp(1),
    "named tuple of the standard library": sched.Event(1.0, 1, 1, print, (), {}),
    "generator of numpy": np.random.default_rng(1),
    "plan of polars": pl.LazyFrame({"a": [1]}),
    "context variable": contextvars.ContextVar("v"),
    "raises in its state": RaisesInState(),
    "reduce of its own": OwnReduce(),
    "reduce_ex of its own": OwnReduceEx(),
    "keyword arguments of __new__": KeywordNew(),
    "field that was never set": _unset_field(),
    "array of objects": np.array([object()]),
    "lazy value": Operation("add", (1, 2)),
    "subclass of bytearray": type("Sub", (bytearray,), {})(b"a"),
}

WRAPS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "root": (lambda x: x, "value"),
    "list": (lambda x: [1, x], "value[1]"),
    "tuple": (lambda x: (1, (2, x)), "value[1][1]"),
    "dict": (lambda x: {"a": 1, "model": {"layers": [0, 1, 2, x]}}, "value['model']['layers'][3]"),
    "list subclass": (lambda x: MyList([x]), "value[0]"),
    "named tuple": (lambda x: Pair(1, x), "value[1]"),
    "dataclass": (lambda x: Point(1, x), "value.y"),
    "object": (lambda x: [Box({"k": x})], "value[0].content['k']"),
}


@pytest.mark.parametrize("what", UNENCODABLE)
@pytest.mark.parametrize("where", WRAPS)
def test_what_cannot_be_encoded_is_named_with_its_place(what: str, where: str):
    wrap, path = WRAPS[where]
    with pytest.raises(CannotEncode) as caught:
        _encode(wrap(UNENCODABLE[what]))
    assert caught.value.path.startswith(path)
    assert caught.value.message.startswith(path)


def test_keys_and_members_of_sets_are_named_too():
    with pytest.raises(CannotEncode) as caught:
        _encode({"a": {(1, LOCK): 2}})
    assert caught.value.path.startswith("value['a'].keys()[")
    assert caught.value.path.endswith("[1]")
    with pytest.raises(CannotEncode) as caught:
        _encode([{LOCK}])
    assert caught.value.path.startswith("value[0]{")


def test_fields_of_slotted_objects_are_named_too():
    with pytest.raises(CannotEncode) as caught:
        _encode(Frozen("a", (1, LOCK)))
    assert caught.value.path == "value.parts[1]"


def test_a_name_that_leads_elsewhere_is_refused():
    def shadow() -> None: ...

    shadow.__module__, shadow.__qualname__ = __name__, "_encode"
    with pytest.raises(CannotEncode, match="cannot be found by its name"):
        _encode(shadow)


def test_no_reduce_method_of_a_class_is_called(capsys: pytest.CaptureFixture[str]):
    for value in (OwnReduce(), OwnReduceEx()):
        with pytest.raises(CannotEncode):
            _encode(value)
    assert capsys.readouterr().out == ""


def test_a_file_that_cannot_be_read_is_named(tmp_path: Any):
    with pytest.raises(CannotEncode, match=r"value\[0\]: .*Is a directory, where a file was meant") as caught:
        _encode([File(tmp_path)])
    assert caught.value.path == "value[0]"


def test_an_encoder_goes_on_after_an_error():
    encoder = Encoder(DEFAULT_FORMAT)
    for what in UNENCODABLE.values():
        with pytest.raises(CannotEncode):
            encoder.encode([(what,)])
        assert encoder.encode([(1,)]).payload == _encode([(1,)])


# -- depth and cycles -------------------------------------------------------------------------------------------------


@dataclass
class Linked:
    next: Any


def _nested(wrap: Callable[[Any], Any], depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


NESTING: dict[str, Callable[[Any], Any]] = {
    "list": lambda x: [x],
    "tuple": lambda x: (x,),
    "dict": lambda x: {"a": x},
    "frozenset": lambda x: frozenset([x]),
    "dataclass": Linked,
    "object": Box,
    "list subclass": lambda x: MyList([x]),
    "mixed": lambda x: [({"a": Linked(x)},)],
}


@pytest.mark.parametrize("name", NESTING)
def test_whatever_can_be_encoded_can_be_decoded_however_deep(name: str):
    deepest = 0
    for depth in (1, 20, 50, 100, 150, 200, 250, 300, 400, 500, 700, 900, 1000, 1020, 1100, 3000):
        value = _nested(NESTING[name], depth)
        encoder = Encoder(DEFAULT_FORMAT)
        try:
            payload = encoder.encode(value).payload
        except ValueTooDeep:
            break
        again = Encoder(DEFAULT_FORMAT).encode(Decoder(fetcher(encoder)).decode(payload)).payload
        assert again == payload
        deepest = depth
    assert 20 <= deepest < 3000


def _ring_of_lists() -> Any:
    ring: list[Any] = [1]
    ring.append(ring)
    return ring


def _ring_of_dicts() -> Any:
    ring: dict[str, Any] = {}
    ring["a"] = (ring,)
    return ring


def _ring_of_objects() -> Any:
    ring = Linked(None)
    ring.next = [ring]
    return ring


def _ring_of_boxes() -> Any:
    ring: Box[Any] = Box(None)
    ring.content = {"self": ring}
    return ring


@pytest.mark.parametrize("ring", [_ring_of_lists, _ring_of_dicts, _ring_of_objects, _ring_of_boxes])
def test_a_value_that_contains_itself_is_an_error(ring: Callable[[], Any]):
    with pytest.raises(ValueTooDeep, match="contains itself"):
        _encode(ring())


def test_depth_is_counted_from_the_value_not_from_who_asks():
    """The deepest tuple that is taken here is taken from a deeper stack as well, or refused by name."""

    def deeper(calls: int) -> bytes:
        return deeper(calls - 1) if calls else _encode(_nested(lambda x: (x,), 60))

    assert deeper(300) == deeper(0)


def test_the_limit_of_depth_is_a_named_constant():
    assert limits.VALUE_DEPTH == 500
