"""Values of the standard library beyond numbers and times come back as they were."""

from __future__ import annotations

import array
import collections
import collections.abc
import functools
import io
import ipaddress
import operator
import re
import statistics
import string
import struct
import sys
import time
import types
import typing
import zoneinfo
from typing import Any
from urllib.parse import urlparse, urlsplit

import pytest

from redun.core import codes
from redun.core.codec import ExtType, pack
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotDecode, CannotEncode
from redun.core.values import Encoder
from tests.core.round_trips import line, round_trip

T = typing.TypeVar("T")
Count = typing.NewType("Count", int)


class Box(typing.Generic[T]):
    def __init__(self, content: Any = None) -> None:
        self.content = content

    def method(self) -> Any:
        return self.content

    @classmethod
    def made(cls) -> type:
        return cls

    @property
    def trap(self) -> Any:
        raise AssertionError("a property was asked for")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and other.content == self.content

    __hash__ = None  # type: ignore[assignment]


@functools.lru_cache
def cached(x: int) -> int:
    return x


VALUES: list[Any] = [
    re.compile("a+", re.IGNORECASE),
    re.compile(b"x"),
    ipaddress.ip_address("127.0.0.1"),
    ipaddress.ip_address("::1"),
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_interface("10.0.0.1/8"),
    array.array("d", [1, 2]),
    array.array("i", []),
    array.array("u" if sys.version_info < (3, 13) else "w", "hé"),
    types.SimpleNamespace(a=1, b=[2]),
    types.MappingProxyType({"a": 1}),
    time.gmtime(0),
    statistics.NormalDist(1, 2),
    urlparse("http://x/y?q#f"),
    urlsplit(b"http://x/y?q"),
    collections.UserDict(a=1),
    collections.UserList([1]),
    collections.UserString("s"),
    NotImplemented,
    operator.itemgetter(1),
    operator.itemgetter(1, "a"),
    operator.attrgetter("a.b"),
    operator.methodcaller("f", 1, k=2),
    operator.methodcaller("f"),
    type(None),
    type(...),
    types.FunctionType,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:40])
def test_values_come_back_as_they_were(value: Any):
    decoded = round_trip(value)
    assert type(decoded) is type(value)
    assert repr(decoded) == repr(value)


ANNOTATIONS: list[Any] = [
    list[int],
    dict[str, list[int]],
    tuple[int, ...],
    type[int],
    int | str,
    int | None,
    typing.Optional[int],  # noqa: UP045
    typing.Union[int, str, None],  # noqa: UP007
    typing.List[int],  # noqa: UP006
    typing.Dict[str, typing.List[int]],  # noqa: UP006
    typing.Tuple[int, ...],  # noqa: UP006
    typing.Tuple[()],  # noqa: UP006
    typing.Callable[[int], str],
    typing.Callable[..., int],
    collections.abc.Callable[[int], str],
    collections.abc.Callable[..., int],
    collections.abc.Sequence[int],
    typing.Literal[1, "a"],
    typing.Annotated[int, "m", 1],
    typing.ClassVar[int],
    typing.Any,
    typing.Union,
    typing.Optional,
    typing.List,  # noqa: UP006
    typing.ForwardRef("X"),
    T,
    Count,
    Box[int],
    Box[T],  # type: ignore[valid-type]
]


@pytest.mark.parametrize("value", ANNOTATIONS, ids=str)
def test_annotations_come_back_as_they_were(value: Any):
    decoded = round_trip(value)
    assert decoded == value
    assert (type(decoded), repr(decoded)) == (type(value), repr(value))


def test_functions_with_a_cache_are_stored_by_name():
    assert round_trip(cached) is cached
    assert round_trip([cached])[0](3) == 3


def test_methods_are_their_object_and_their_name():
    decoded = round_trip(Box(7).method)
    assert decoded() == 7
    assert round_trip(Box.made)() is Box


def test_a_method_of_another_name_is_refused():
    method = types.MethodType(lambda self: self, Box())
    with pytest.raises(CannotEncode, match="cannot be found by its name"):
        round_trip(method)


def test_a_stored_method_asks_no_property():
    owner = Encoder(DEFAULT_FORMAT).encode(Box()).payload
    state = b"\x92" + owner + pack("trap")
    data = pack(ExtType(codes.ADAPTED, b"\x92" + pack("builtins.method") + state))
    with pytest.raises(CannotDecode, match="no method any more"):
        Decoder({}.__getitem__).decode(data)


def test_a_template_comes_back():
    assert round_trip(string.Template("$a")).substitute(a=1) == "1"


def test_a_zone_without_a_name_is_refused():
    header = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    zone = zoneinfo.ZoneInfo.from_file(io.BytesIO(header + bytes(6) + b"UTC\0"))
    with pytest.raises(CannotEncode, match="has no name"):
        round_trip(zone)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (iter([1]), "list(...)"),
        ({}.keys(), "list(...)"),
        (map(str, ()), "list(...)"),
        (memoryview(b"a"), "return bytes"),
        (object(), "use an Enum"),
    ],
)
def test_what_cannot_be_stored_says_what_can(value: Any, hint: str):
    with pytest.raises(CannotEncode) as caught:
        round_trip([value])
    assert hint in caught.value.hint


class NoForm:
    def __reduce__(self) -> Any:
        raise TypeError


def test_a_type_without_an_adapter_says_how_to_write_one():
    with pytest.raises(CannotEncode, match=r"value\['m'\]\[0\]") as caught:
        round_trip({"m": [NoForm()]})
    assert len(caught.value.hint.split("\n")) == 3
    assert 'register_adapter(NoForm, "yourtool.NoForm"' in caught.value.hint


def test_values_are_shown_as_they_are_written():
    assert line(re.compile("a")) == "Pattern(['a', 32])"
    assert line(ipaddress.ip_address("::1")) == "IPv6Address('::1')"
