"""Kinds of objects that other tools add."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from redun.core import kinds
from redun.core.codec import pack, unpack
from redun.core.errors import CodecError, MalformedObject
from redun.core.kinds import register_kind
from redun.core.objects import SourceRecord, TreeRecord, check, parse


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[bytes], Any]], None]:
    """`register_kind`, for the time of one test."""
    monkeypatch.setattr(kinds, "_parsers", {})
    return register_kind


def _pair(payload: bytes) -> tuple[int, int]:
    left, right = unpack(payload)
    if left > right:
        raise ValueError("the wrong way round")
    return left, right


def test_what_is_registered_is_parsed_and_checked(register: Callable[..., None]) -> None:
    register("tool.pair", _pair)
    assert parse("tool.pair", pack([1, 2])) == (1, 2)
    check("tool.pair", pack([1, 2]))
    with pytest.raises(MalformedObject, match=r"not a tool\.pair: ValueError: the wrong way round"):
        check("tool.pair", pack([2, 1]))
    with pytest.raises(MalformedObject, match="TypeError"):
        parse("tool.pair", pack(7))


def test_what_nobody_registered_is_checked_to_be_canonical_and_not_parsed(register: Callable[..., None]) -> None:
    check("tool.other", pack({"a": [1]}))
    with pytest.raises(MalformedObject, match="canonical"):
        check("tool.other", b"\xcc\x01")
    with pytest.raises(MalformedObject, match="no parser is registered"):
        parse("tool.other", pack(1))


@pytest.mark.parametrize("name", ["value", "call", "note"])
def test_kinds_of_the_format_are_not_registered(register: Callable[..., None], name: str) -> None:
    with pytest.raises(CodecError, match="kind of the format"):
        register(name, _pair)


def test_a_name_that_can_be_none_is_refused(register: Callable[..., None]) -> None:
    with pytest.raises(CodecError, match=r"at least two words"):
        register("thing", _pair)


def test_a_kind_has_one_parser(register: Callable[..., None]) -> None:
    register("tool.pair", _pair)
    register("tool.pair", _pair)
    with pytest.raises(CodecError, match="another parser"):
        register("tool.pair", lambda payload: None)


def test_records_of_the_format_are_parsed_by_kind() -> None:
    for record in (SourceRecord("x = 1"), TreeRecord(0, 0, ())):
        kind = type(record).__name__.removesuffix("Record").lower()
        assert parse(kind, record.payload()) == record
    for kind in ("value", "blob", "expr"):
        with pytest.raises(MalformedObject, match="is no record"):
            parse(kind, b"\x01")
