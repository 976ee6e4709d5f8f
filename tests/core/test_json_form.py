"""Stored objects as JSON: every value has one form, and nothing is lost that JSON can carry."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

import redun.core.adapters.registry
import redun.core.classes
from redun.core import codes
from redun.core.codec import ExtType, Pointer, pack
from redun.core.digest import XXH3_128, Digest
from redun.core.errors import MalformedObject
from redun.core.json_form import expr_to_json, record_to_json, to_json
from redun.core.objects import CallRecord, Outcome, TaskRecord
from redun.core.values import Encoder

assert redun.core.adapters.registry, "it registers how such values are encoded"
assert redun.core.classes, "as above"


def payload(value: Any) -> bytes:
    return Encoder(XXH3_128).encode(value).payload


def ext(code: int, items: Any) -> ExtType:
    return ExtType(code, msgpack.packb(items, default=lambda p: ExtType(64, bytes(p)), strict_types=True))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"a": [1, 1.5, True, None, "x"]}, {"a": [1, 1.5, True, None, "x"]}),
        ((1, 2), {"$tuple": [1, 2]}),
        ({1}, {"$set": [1]}),
        (frozenset(), {"$frozenset": []}),
        (b"\x01", {"$bytes": "01"}),
        (bytearray(b"\x01"), {"$bytearray": "01"}),
        ({1: 2}, {"$dict": [[1, 2]]}),
        ({"$set": 1}, {"$dict": [["$set", 1]]}),
        (2**53, 2**53),
        (2**53 + 1, {"$int": "9007199254740993"}),
        (2**70, {"$int": "1180591620717411303424"}),
        (2**5000, {"$int": hex(2**5000)}),
        (float("-inf"), {"$float": "-inf"}),
        ("\ud800", "\ud800"),
        (1j, {"$adapted": "builtins.complex", "state": [0.0, 1.0]}),
        (int, {"$class": "builtins:int"}),
        (len, {"$function": "builtins:len"}),
        (
            KeyError("k"),
            {"$error": "builtins:KeyError", "args": ["k"], "notes": [], "cause": None, "state": {}},
        ),
    ],
)
def test_what_json_lacks_carries_a_tag(value: Any, form: Any) -> None:
    assert to_json(payload(value)) == form
    assert json.loads(json.dumps(form)) == form


@pytest.mark.parametrize(
    ("item", "form"),
    [
        (ext(codes.DATACLASS, ["m:P", ["x"], [[1]]]), {"$dataclass": "m:P", "fields": {"x": [1]}}),
        (ext(codes.NAMEDTUPLE, ["m:P", ["x"], [1]]), {"$namedtuple": "m:P", "fields": {"x": 1}}),
        (ext(codes.ENUM, ["m:E", "A"]), {"$enum": "m:E", "member": "A"}),
        (ext(codes.TASK, ["f"]), {"$task": "f"}),
        (
            ext(codes.PARTIAL, ["f", [1], {"a": 2}, {}]),
            {"$partial": "f", "args": [1], "kwargs": {"a": 2}, "options": {}},
        ),
        (ext(codes.FILE, ["redun:File", "p", b"\1"]), {"$file": "redun:File", "path": "p", "hash": "01"}),
        (
            ext(codes.LARGE, ["str", Pointer(b"\2" * 16), 9]),
            {"$large": "str", "blob": "02" * 16, "size": 9},
        ),
        (
            ext(codes.SEGMENTED, ["list", Pointer(b"\2" * 16), 9]),
            {"$segmented": "list", "tree": "02" * 16, "count": 9},
        ),
        (Pointer(b"\3" * 16), {"$value": "03" * 16}),
        (ExtType(99, b"\1"), {"$extension": 99, "data": "01"}),
        ([ext(codes.TUPLE, [Pointer(b"\3" * 16)])], [{"$tuple": [{"$value": "03" * 16}]}]),
    ],
)
def test_stored_extensions_carry_a_tag(item: Any, form: Any) -> None:
    assert to_json(pack(item)) == form


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_different_values_have_different_forms(left: Any, right: Any) -> None:
    first, second = payload(left), payload(right)
    forms = [json.dumps(to_json(body)) for body in (first, second)]
    assert (forms[0] == forms[1]) == (first == second)


@given(st.binary(max_size=100))
def test_bytes_that_are_no_value_are_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedObject):
        json.dumps(to_json(data))


def test_deep_nesting_is_no_recursion() -> None:
    data = pack(0)
    for _ in range(300):
        data = msgpack.packb(ExtType(codes.TUPLE, b"\x91" + data))
    form = to_json(data)
    for _ in range(300):
        form = form["$tuple"][0]
    assert form == 0


def test_nesting_without_end_is_malformed() -> None:
    data = b"\x00"
    for _ in range(3000):
        data = msgpack.packb(ExtType(codes.TUPLE, b"\x91" + data))
    with pytest.raises(MalformedObject, match="too deep"):
        to_json(data)


def test_a_record_has_its_fields_by_name_and_ids_in_hexadecimal() -> None:
    one, two = Digest(b"\1" * 16), Digest(b"\2" * 16)
    call = CallRecord(task=one, args=(two,), reduction=None, outcome=Outcome.VALUE, result=two, children=(None,))
    assert record_to_json(call) == {
        "task": "01" * 16,
        "args": ["02" * 16],
        "reduction": None,
        "outcome": "value",
        "result": "02" * 16,
        "children": [None],
        "extras": [],
    }
    assert record_to_json(TaskRecord("f", "closure", params=(("x", 1),)))["params"] == [["x", 1]]


def test_an_expression_has_its_nodes_by_number() -> None:
    nodes = [[0, 0, [1], {"k": 2}, {}], [1, 1, [ExtType(codes.NODE, b"\0"), 1], {}, {}]]
    body = pack([1, ["f", "add"], nodes, ExtType(codes.NODE, b"\1")])
    assert expr_to_json(body) == {
        "nodes": [
            {"task": "f", "args": [1], "kwargs": {"k": 2}, "options": {}},
            {"operation": "add", "args": [{"$node": 0}, 1]},
        ],
        "root": {"$node": 1},
    }
    with pytest.raises(MalformedObject):
        expr_to_json(pack([]))
