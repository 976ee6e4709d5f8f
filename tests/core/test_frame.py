from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core.digest import OBJECT_FORMATS, ObjectFormat
from redun.core.errors import MalformedObject
from redun.core.frame import KIND_CODES, KINDS, frame, header, is_kind, object_id, stream_id, unframe

FORMATS = pytest.mark.parametrize("fmt", OBJECT_FORMATS.values(), ids=lambda fmt: fmt.name)
kinds = st.sampled_from([*KINDS, "tool.thing", "a.b-c.d_9"])


def test_a_frame_is_kind_space_size_nul_payload():
    assert frame("value", b"\xc0") == b"value 1\0\xc0"
    assert frame("blob", b"") == b"blob 0\0"


def test_kinds_keep_their_numbers_in_the_envelope_for_ever():
    assert " ".join(KINDS[:12]) == "value blob tree task source expr call footprint jobs exec trace note"
    assert KIND_CODES["value"] == 0
    assert KIND_CODES["note"] == 11


@given(kind=kinds, payload=st.binary())
def test_unframe_undoes_frame(kind: str, payload: bytes):
    assert unframe(frame(kind, payload)) == (kind, payload)


@FORMATS
@given(kind=kinds, payload=st.binary())
def test_an_id_is_the_hash_of_the_frame(fmt: ObjectFormat, kind: str, payload: bytes):
    assert object_id(fmt, kind, payload) == fmt.hash(frame(kind, payload))


@FORMATS
@given(kind=kinds, parts=st.lists(st.binary(max_size=30)))
def test_a_stream_has_the_id_of_its_whole(fmt: ObjectFormat, kind: str, parts: list[bytes]):
    whole = b"".join(parts)
    assert stream_id(fmt, kind, len(whole), map(memoryview, parts)) == object_id(fmt, kind, whole)


@FORMATS
@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 16 * 1024 + 1, 1024 * 1024])
def test_an_id_is_the_hash_of_the_frame_whatever_its_size(fmt: ObjectFormat, size: int):
    payload = bytes(i % 251 for i in range(size))
    assert object_id(fmt, "blob", payload) == fmt.hash(frame("blob", payload))


def test_the_same_payload_has_another_id_as_another_kind():
    for fmt in OBJECT_FORMATS.values():
        assert len({object_id(fmt, kind, b"\x90") for kind in KINDS}) == len(KINDS)


@given(first=st.tuples(kinds, st.binary(max_size=8)), second=st.tuples(kinds, st.binary(max_size=8)))
def test_different_objects_have_different_frames(first: tuple[str, bytes], second: tuple[str, bytes]):
    assert (frame(*first) == frame(*second)) == (first == second)


@pytest.mark.parametrize("name", ["a.b", "tool.thing", "a1.b_2.c-3", "a." + "b" * 62])
def test_words_joined_by_dots_can_name_a_kind(name: str):
    assert is_kind(name)
    assert unframe(frame(name, b"x")) == (name, b"x")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "thing",
        "values",
        ".",
        "a.",
        ".a",
        "a..b",
        "A.b",
        "a.1",
        "a b.c",
        "a.b\n",
        "\u00e4.b",
        "a." + "b" * 63,
        "../a.b",
    ],
)
def test_nothing_else_can(name: str):
    assert not is_kind(name)
    with pytest.raises(MalformedObject, match="no kind of object is called"):
        frame(name, b"x")
    with pytest.raises(MalformedObject, match="not a frame"):
        unframe(name.encode() + b" 1\0x")


def test_no_kind_of_the_format_can_be_that_of_another_tool():
    assert not any("." in kind for kind in KINDS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"value",
        b"value 1",
        b"value\0x",
        b" 1\0x",
        b"nothing 1\0x",
        b"Value 1\0x",
        b"value  1\0x",
        b"value +1\0x",
        b"value 01\0x",
        b"value 1 \0x",
        b"value 2\0x",
        b"value 0\0x",
        b"value \xb9\0x",
        b"value 1\n\0x",
        b"v\xe4lue 1\0x",
        b"value " + b"1" * 5000 + b"\0x",
    ],
)
def test_a_frame_with_any_other_header_is_refused(data: bytes):
    with pytest.raises(MalformedObject):
        unframe(data)


@given(data=st.binary() | st.tuples(st.sampled_from([header("value", 3), b"call "]), st.binary()).map(b"".join))
def test_of_any_bytes_unframe_gives_what_frame_writes_or_refuses(data: bytes):
    try:
        kind, payload = unframe(data)
    except MalformedObject:
        return
    assert frame(kind, payload) == data
