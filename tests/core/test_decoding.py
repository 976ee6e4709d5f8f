"""Decoding makes instances of nothing but what the running workflow has imported, and imports nothing."""

from __future__ import annotations

import builtins
import sys
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core import codes
from redun.core.codec import ExtType, Pointer, pack
from redun.core.decoding import READERS, Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotDecode, MalformedObject, RedunError
from redun.core.values import Encoder
from tests.core.sample_values import SAMPLES, Box, Point, fetcher


def _decode(payload: bytes) -> Any:
    return Decoder({}.__getitem__).decode(payload)


def _ext(code: int, *items: Any) -> bytes:
    return pack(ExtType(code, pack(list(items))))


def _instance(name: str, arguments: list[Any], state: Any = None) -> bytes:
    return _ext(codes.INSTANCE, name, arguments, [state, None, None])


STDLIB_INSTANCES = {
    "process": _instance("subprocess:Popen", [["true"]]),
    "builtin": _instance("builtins:open", ["/tmp/made-by-decoding", "w"]),
    "function as class": _instance("os:system", ["true"]),
    "thread": _instance("threading:Thread", []),
    "dataclass": _ext(codes.DATACLASS, "dataclasses:Field", [], []),
    "named tuple": _ext(codes.NAMEDTUPLE, "urllib.parse:ParseResult", [], []),
    "path": _instance("pathlib:PosixPath", ["/"]),
}


@pytest.mark.parametrize("name", STDLIB_INSTANCES)
def test_nothing_of_the_standard_library_is_instantiated(name: str):
    with pytest.raises(CannotDecode):
        _decode(STDLIB_INSTANCES[name])


def test_no_module_is_imported_for_a_name_in_the_bytes():
    before = set(sys.modules)
    for name in ("this:s", "antigravity:geohash", "tests.core.nowhere:Thing"):
        for payload in (_instance(name, []), _ext(codes.CLASS, name), _ext(codes.FUNCTION, name)):
            with pytest.raises(CannotDecode, match="not in the running workflow"):
                _decode(payload)
    assert "this" not in set(sys.modules) - before
    assert "antigravity" not in set(sys.modules) - before


@pytest.mark.parametrize(
    "payload",
    [
        _instance(f"{Box.__module__}:Nowhere", []),
        _instance(f"{Box.__module__}:SAMPLES", []),
        _instance(f"{Box.__module__}:function", []),
        _ext(codes.DATACLASS, f"{Box.__module__}:Point", ["x"], [1]),
        _ext(codes.DATACLASS, f"{Box.__module__}:Point", ["y", "x"], [1, 2]),
        _ext(codes.NAMEDTUPLE, f"{Box.__module__}:Pair", ["left"], [1]),
        _ext(codes.ENUM, f"{Box.__module__}:Color", "BLUE"),
        _ext(codes.ENUM, f"{Box.__module__}:Color", 17),
        _ext(codes.ENUM, f"{Box.__module__}:Point", "x"),
        _ext(codes.FUNCTION, f"{Box.__module__}:SAMPLES"),
        _ext(codes.CLASS, f"{Box.__module__}:function"),
        _ext(codes.ADAPTED, "acme.Thing", 1),
        _ext(codes.ADAPTED, "uuid.UUID", b"short"),
        _ext(codes.ADAPTED, "builtins.range", [1, 2, 0]),
        _ext(codes.ADAPTED, "zoneinfo.ZoneInfo", "No/Such_Zone"),
        _ext(codes.ADAPTED, "numpy.ndarray", ["<f99", [1], b""]),
        _ext(codes.TASK, "no_such_namespace.task"),
        _ext(codes.PARTIAL, "f", [], {}, {}),
        pack(ExtType(99, b"")),
        _ext(40),
    ],
)
def test_what_is_not_available_here_is_an_error_of_its_own_kind(payload: bytes):
    with pytest.raises(CannotDecode):
        _decode(payload)


class Picky:
    def __init__(self, allowed: int) -> None:
        self.allowed = allowed

    def __setstate__(self, state: Any) -> None:
        raise RuntimeError("not like this")


def test_a_class_that_refuses_its_state_is_an_error_that_names_it():
    payload = Encoder(DEFAULT_FORMAT).encode(Picky(1)).payload
    with pytest.raises(CannotDecode, match=r"Picky cannot be made again: RuntimeError: not like this"):
        _decode(payload)


def test_a_class_that_got_a_reduce_method_since_is_not_made(monkeypatch: pytest.MonkeyPatch):
    payload = Encoder(DEFAULT_FORMAT).encode(Box(1)).payload
    monkeypatch.setattr(Box, "__reduce__", lambda self: (print, ("called",)), raising=False)
    with pytest.raises(CannotDecode, match="reduce"):
        _decode(payload)


def test_fields_of_a_dataclass_are_set_without_its_own_code(monkeypatch: pytest.MonkeyPatch):
    payload = Encoder(DEFAULT_FORMAT).encode(Point(1, 2)).payload

    def refuse(*_: Any) -> None:
        raise AssertionError("ran code of the class")

    monkeypatch.setattr(Point, "__init__", refuse)
    monkeypatch.setattr(Point, "__setattr__", refuse)
    assert _decode(payload).y == 2


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x92\x01",
        b"\x01\x01",
        pack(ExtType(codes.TUPLE, b"")),
        pack(ExtType(codes.TUPLE, b"\x01")),
        pack(ExtType(codes.SET, pack([[1]]))),
        pack(ExtType(codes.SURROGATES, b"\xff")),
        pack({"a": ExtType(codes.TUPLE, pack([ExtType(codes.SET, b"\xc1")]))}),
        _ext(codes.LARGE, "str"),
    ],
)
def test_bytes_that_are_no_value_are_malformed(payload: bytes):
    with pytest.raises(MalformedObject):
        _decode(payload)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_an_error_of_ours(payload: bytes):
    with suppress(RedunError):
        Decoder(lambda digest: ("value", b"\xc0")).decode(payload)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_damaged_values_are_a_value_or_an_error_of_ours(name: str, data: st.DataObject):
    encoder = Encoder(DEFAULT_FORMAT)
    payload = bytearray(encoder.encode(SAMPLES[name]).payload)
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] = data.draw(st.integers(0, 255))
    with suppress(RedunError):
        Decoder(lambda digest: ("value", b"\xc0")).decode(bytes(payload))


def test_hostile_nesting_is_an_error_and_not_a_crash():
    payload = pack([])
    for _ in range(5000):
        payload = pack(ExtType(codes.TUPLE, b"\x91" + payload))
    with pytest.raises(MalformedObject, match="too deep"):
        _decode(payload)


def test_a_value_that_points_to_itself_is_an_error_and_not_a_crash():
    pointer = pack([Pointer(b"a" * 16)])
    with pytest.raises(MalformedObject, match="too deep"):
        Decoder(lambda digest: ("value", pointer)).decode(pointer)


def test_each_structured_code_of_a_value_has_a_reader_or_is_read_by_the_decoder_itself():
    assert set(READERS) >= {
        codes.ADAPTED,
        codes.DATACLASS,
        codes.NAMEDTUPLE,
        codes.ENUM,
        codes.INSTANCE,
        codes.ERROR,
        codes.FUNCTION,
        codes.CLASS,
        codes.TASK,
        codes.FILE,
    }


def test_code_and_externals_of_a_value_are_gathered():
    encoder = Encoder(DEFAULT_FORMAT)
    payload = encoder.encode([Point(1), len, ValueError]).payload
    decoder = Decoder(fetcher(encoder))
    decoder.decode(payload)
    assert set(decoder.code) == {Point, builtins.len, ValueError}
    assert decoder.externals == []
