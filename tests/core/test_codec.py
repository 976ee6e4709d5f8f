from __future__ import annotations

import math
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core import limits
from redun.core.codec import (
    ExtType,
    Pointer,
    array_header,
    pack,
    pointer_bytes,
    references,
    unpack,
    unpack_strict,
)
from redun.core.digest import Digest
from redun.core.errors import MalformedObject

A, B = Pointer(b"a" * 16), Pointer(b"b" * 32)

digests = st.binary(min_size=16, max_size=16) | st.binary(min_size=32, max_size=32)
integers = st.integers(-(2**63), 2**64 - 1)
texts = st.text(st.characters(codec="utf-8"))
leaves = st.none() | st.booleans() | integers | st.floats() | texts | st.binary() | digests.map(Pointer)
keys = st.none() | st.booleans() | integers | st.floats(allow_nan=False) | texts | st.binary() | digests.map(Pointer)
plain = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))


def ext(code: int, items: list[Any]) -> ExtType:
    """Returns a structured extension."""
    return ExtType(code, pack(items))


def same(a: Any, b: Any) -> bool:
    """Returns whether both are the same data of the same types, NaN and the sign of zero told apart by their bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack(">d", a) == struct.pack(">d", b)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same([*a], [*b]) and same([*a.values()], [*b.values()])
    return bool(a == b)


# -- records ----------------------------------------------------------------------------------------------------------


@given(plain)
def test_unpack_undoes_pack_types_and_order_included(record: Any):
    assert same(unpack(pack(record)), record)


@given(plain)
def test_what_pack_writes_is_canonical(record: Any):
    assert same(unpack_strict(pack(record)), record)


@given(plain, plain)
def test_different_data_have_different_bytes(a: Any, b: Any):
    assert (pack(a) == pack(b)) == same(a, b)


def test_integers_take_the_shortest_form():
    assert [len(pack(n)) for n in (0, 127, 128, 255, 256, 65535, 65536, 2**32, -32, -33)] == [
        1, 1, 2, 2, 3, 3, 5, 9, 1, 2,
    ]  # fmt: skip


def test_floats_keep_their_bits():
    for number in (0.0, -0.0, 1.0, math.inf, 5e-324, 0.1):
        assert pack(number) == b"\xcb" + struct.pack(">d", number)
    nan = struct.unpack(">d", bytes.fromhex("7ff8000000000abc"))[0]
    assert pack(unpack(pack(nan))).hex() == "cb7ff8000000000abc"


def test_one_and_true_and_one_point_zero_are_three():
    assert len({pack(1), pack(1.0), pack(True)}) == 3


@pytest.mark.parametrize("thing", [(1, 2), {1}, 2**64, 1j, Exception, ..., "\ud800"], ids=repr)
def test_a_record_holds_only_plain_data(thing: Any):
    with pytest.raises((TypeError, UnicodeEncodeError)):
        pack([thing])


# -- pointers ---------------------------------------------------------------------------------------------------------


@given(digests)
def test_a_pointer_comes_back_with_its_type_and_digest(digest: bytes):
    found = unpack(pack([Pointer(digest)]))[0]
    assert type(found) is Pointer
    assert found.digest == digest
    assert type(found.digest) is bytes


@given(digests)
def test_pointers_written_by_hand_are_those_that_pack_writes(digest: bytes):
    assert pointer_bytes(digest) == pack(Pointer(digest))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 65535, 65536])
def test_headers_of_arrays_written_by_hand_are_those_that_pack_writes(count: int):
    assert array_header(count) + b"\xc0" * count == pack([None] * count)


@pytest.mark.parametrize("size", [0, 15, 17, 31, 33])
def test_a_pointer_of_another_size_is_refused(size: int):
    payload = msgpack.packb(msgpack.ExtType(64, bytes(size)))
    for read in (unpack, unpack_strict, references):
        with pytest.raises(MalformedObject, match="pointer"):
            read(payload)
    with pytest.raises(KeyError):
        pointer_bytes(bytes(size))


def test_a_pointer_and_its_bytes_are_two_keys():
    both = {A: 1, bytes(A): 2}
    assert len(both) == 2
    assert bytes(A) != A
    assert Pointer(bytes(A)) == A
    assert references(pack(both)) == [bytes(A)]


# -- strictness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    {
        "nothing": "",
        "a byte too many": "c0c0",
        "an array cut off": "92c0",
        "text cut off": "a3616263"[:-2],
        "never used": "c1",
        "integer in two bytes": "cc01",
        "integer in three bytes": "cd0001",
        "integer in five bytes": "ce00000001",
        "integer in nine bytes": "cf0000000000000001",
        "positive integer as signed": "d001",
        "small negative integer in two bytes": "d0ff",
        "negative integer in nine bytes": "d3ffffffffffffffff",
        "float of 32 bits": "ca3f800000",
        "text with a long length": "d90161",
        "bytes with a long length": "c5000161",
        "array with a long length": "dc000190"[:-2] + "c0",
        "map with a long length": "de0001c0c0",
        "text that is not UTF-8": "a1ff",
        "text with half a surrogate pair": "a3eda080",
        "text in an overlong form": "a2c080",
        "one key twice": "82a16101a16102",
        "keys that are equal in Python": "8201c0c3c0",
        "a list as a key": "8190c0",
        "extension 0": "d40000",
        "extension below 0": "d4fe00",
        "a time stamp of msgpack": "d6ff00000000",
        "a pointer with a long length": "c71040" + "00" * 16,
        "a structured extension without an array": "d40100",
        "a structured extension with two values": "d5019090",
        "a structured extension not canonical": "c7030191cc01",
    }.items(),
    ids=lambda item: item[0],
)
def test_bytes_that_pack_would_not_write_are_refused(payload: tuple[str, str]):
    with pytest.raises(MalformedObject):
        unpack_strict(bytes.fromhex(payload[1]))


@given(st.binary(max_size=40))
def test_of_any_bytes_only_canonical_ones_are_taken(payload: bytes):
    try:
        record = unpack_strict(payload)
    except MalformedObject:
        return
    assert pack(record) == payload


@given(plain, st.data())
def test_of_a_payload_with_one_byte_changed_only_canonical_ones_are_taken(record: Any, data: st.DataObject):
    payload = bytearray(pack(record))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        again = unpack_strict(bytes(payload))
    except MalformedObject:
        return
    assert pack(again) == payload


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_by_the_lenient_readers_too(payload: bytes):
    for read in (unpack, references):
        try:
            read(payload)
        except MalformedObject:
            continue


def _nested(depth: int) -> bytes:
    payload = pack([])
    for _ in range(depth):
        payload = pack([ExtType(1, payload)])
    return payload


def test_extensions_nest_as_deep_as_values_do():
    payload = _nested(limits.VALUE_DEPTH)
    unpack_strict(payload)
    assert references(payload) == []


@pytest.mark.parametrize("depth", [limits.VALUE_DEPTH + 100, 5000])
def test_extensions_that_nest_deeper_are_refused_by_all_readers_alike(depth: int):
    payload = _nested(depth)
    for read in (unpack_strict, references):
        with pytest.raises(MalformedObject, match="deep"):
            read(payload)


def test_arrays_that_nest_without_end_are_refused():
    for read in (unpack, unpack_strict, references):
        with pytest.raises(MalformedObject):
            read(b"\x91" * 100_000 + b"\x90")


def test_a_length_that_the_bytes_cannot_hold_is_refused_without_taking_memory():
    for head in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"):
        with pytest.raises(MalformedObject):
            unpack(head + b"\xc0" * 10)


# -- references -------------------------------------------------------------------------------------------------------


@given(st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(
    lambda items: ext(1 + len(items), items)
)))  # fmt: skip
def test_every_pointer_is_found_in_the_order_of_the_bytes(record: Any):
    def expected(item: Any) -> list[bytes]:
        if type(item) is Pointer:
            return [bytes(item)]
        if type(item) is list:
            return [found for part in item for found in expected(part)]
        if type(item) is ExtType:
            return expected(unpack(item.data))
        return []

    assert references(pack(record)) == expected(record)


def test_pointers_are_found_in_keys_values_and_structured_extensions_at_any_depth():
    deep = ext(63, [[{"k": ext(5, ["mod:C", ["x"], [B, A]])}]])
    assert references(pack([{A: B, "x": [deep]}, B])) == [Digest(bytes(p)) for p in (A, B, B, A, B)]


def test_an_opaque_extension_hides_what_looks_like_a_pointer():
    assert references(pack([ExtType(66, pack([A]))])) == []


def test_references_reads_a_view_without_a_copy_of_the_caller():
    assert references(memoryview(pack([A]))) == [bytes(A)]
