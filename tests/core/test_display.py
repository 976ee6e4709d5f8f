"""What stored values and expressions look like, from their bytes alone."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import re
import sys
import uuid
from typing import Any, NamedTuple

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import redun.core.adapters.registry
import redun.core.classes
from redun.core import codes
from redun.core.codec import ExtType, Pointer, pack, unpack
from redun.core.digest import XXH3_128, Digest
from redun.core.display import pretty, pretty_expr, show, show_arguments, show_expr
from redun.core.errors import MalformedObject, NotFound
from redun.core.expression_table import Table
from redun.core.expressions import node_ext
from redun.core.forms import printable, printable_lines, type_name
from redun.core.reduction import reduce
from redun.core.tasks import task
from redun.core.values import Encoder

assert redun.core.adapters.registry, "it registers how such values are encoded"
assert redun.core.classes, "as above"


class Color(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int
    y: Any


class Pair(NamedTuple):
    a: int
    b: str


class Plain:
    def __init__(self) -> None:
        self.name = "n"
        self.size = 2


def payload(value: Any) -> bytes:
    return Encoder(XXH3_128).encode(value).payload


def ext(code: int, items: Any) -> ExtType:
    return ExtType(code, msgpack.packb(items, default=lambda p: ExtType(64, bytes(p)), strict_types=True))


CASES = [
    (None, "None"),
    (True, "True"),
    (-5, "-5"),
    (2**70, "1180591620717411303424"),
    (1.5, "1.5"),
    (float("nan"), "nan"),
    ("Hello", "'Hello'"),
    (b"ab", "b'ab'"),
    (bytearray(b"ab"), "bytearray(b'ab')"),
    ("\ud800", r"'\ud800'"),
    ([1, [2]], "[1, [2]]"),
    ([], "[]"),
    ((), "()"),
    ((1,), "(1,)"),
    ((1, 2), "(1, 2)"),
    ({2, 1}, "{1, 2}"),
    (set(), "set()"),
    (frozenset({1}), "frozenset({1})"),
    ({"a": 1, (1, 2): "b"}, "{'a': 1, (1, 2): 'b'}"),
    (Point(1, 2), "Point(x=1, y=2)"),
    (Pair(1, "z"), "Pair(a=1, b='z')"),
    (Color.RED, "<Color.RED>"),
    (Plain(), "Plain(name='n', size=2)"),
    (ZeroDivisionError("division by zero"), "ZeroDivisionError('division by zero')"),
    (len, "<function len>"),
    (int, "<class 'int'>"),
    (1 + 2j, "(1+2j)"),
    (range(3), "range(0, 3)"),
    (range(0, 9, 2), "range(0, 9, 2)"),
    (slice(1, 2), "slice(1, 2, None)"),
    (..., "..."),
    (datetime.date(2024, 1, 2), "date('2024-01-02')"),
    (
        datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
        "datetime('2024-01-02T03:04:05', tzinfo=timezone(timedelta(seconds=3600)))",
    ),
    (datetime.timedelta(1, 2), "timedelta(days=1, seconds=2)"),
    (decimal.Decimal("1.50"), "Decimal('1.50')"),
    (fractions.Fraction(1, 3), "Fraction(1, 3)"),
    (uuid.UUID(int=1), "UUID('00000000-0000-0000-0000-000000000001')"),
    (pathlib.PurePosixPath("a/b"), "PurePosixPath('a/b')"),
    (collections.OrderedDict(a=1), "OrderedDict({'a': 1})"),
    (collections.defaultdict(list, {1: [2]}), "defaultdict(<class 'list'>, {1: [2]})"),
    (collections.deque([1], 3), "deque([1], maxlen=3)"),
    (np.arange(3), "array([0, 1, 2], shape=(3,), dtype=int64)"),
    (np.zeros((3, 4), "f4"), "array([[0.0, 0.0, 0.0, 0.0], ...], shape=(3, 4), dtype=float32)"),
    (np.arange(100.0), "array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, ...], shape=(100,), dtype=float64)"),
    (np.array([True]), "array([True], shape=(1,), dtype=bool)"),
    (np.float32(1.5), "float32(1.5)"),
    (np.dtype("f8"), "dtype('<f8')"),
]


@pytest.mark.parametrize(("value", "text"), CASES, ids=[text[:30] for _, text in CASES])
def test_a_value_reads_like_its_repr(value: Any, text: str) -> None:
    assert show(payload(value)) == text
    assert pretty(payload(value)) == text


def test_names_that_stand_for_code_are_shown_as_names() -> None:
    assert show(pack(ext(codes.TASK, ["ns.main"]))) == "Task(ns.main)"
    assert show(pack(ext(codes.PARTIAL, ["ns.f", [1], {"b": 2}, {}]))) == "ns.f.partial(1, b=2)"
    assert show(pack(ext(codes.PARTIAL, ["ns.f", [1], {}, {"cache": False}]))) == "ns.f.options(cache=False).partial(1)"
    assert show(pack(ext(codes.PARTIAL, ["ns.f", [], {}, {"cache": False}]))) == "ns.f.options(cache=False)"


def test_a_file_shows_its_path_and_the_start_of_its_hash() -> None:
    state = bytes.fromhex("ab12cd34" + "00" * 12)
    assert show(pack(ext(codes.FILE, ["redun:File", "a.txt", state]))) == "File(path=a.txt, hash=ab12cd34)"
    assert show(pack(ext(codes.FILE, ["redun:File", "gone", None]))) == "File(path=gone, hash=missing)"


def test_an_enum_member_without_a_name_shows_its_value() -> None:
    assert show(pack(ext(codes.ENUM, ["m:Mask", 3]))) == "Mask(3)"


def test_classes_that_no_module_has_are_shown_all_the_same() -> None:
    stored = ext(codes.DATACLASS, ["no.such.module:Outer.Inner", ["x"], [1]])
    assert show(pack(stored)) == "Inner(x=1)"
    assert "no" not in sys.modules


# -- parts that are objects of their own ------------------------------------------------------------------------------


def stored(value: Any) -> tuple[bytes, dict[Digest, tuple[str, bytes]]]:
    encoder = Encoder(XXH3_128)
    return encoder.encode(value).payload, encoder.objects


def test_a_pointer_is_an_id_unless_asked_to_fetch_it() -> None:
    body, objects = stored(["y" * 100_000, 1])
    (digest,) = objects
    assert show(body) == f"[<value {digest.hex()[:8]}>, 1]"
    assert show(body, objects.__getitem__, limit=20) == "['yyyyyyyyyyyyyyy..."


def test_an_object_that_is_missing_is_an_id() -> None:
    def fetch(digest: Digest) -> tuple[str, bytes]:
        raise NotFound("gone")

    body, _ = stored(["y" * 100_000, 1])
    assert show(body, fetch).startswith("[<value ")


def test_only_a_few_objects_are_fetched_for_one_line() -> None:
    asked: list[Digest] = []

    def fetch(digest: Digest) -> tuple[str, bytes]:
        asked.append(digest)
        return "value", pack([])

    assert show(pack([Pointer(bytes([i]) * 16) for i in range(100)]), fetch, limit=10_000).count("[]") < 10
    assert len(asked) < 10


def test_a_segmented_container_shows_its_first_items_and_how_many_follow() -> None:
    body, objects = stored(list(range(1_000_000)))
    assert re.fullmatch(r"<list of 1,000,000 items [0-9a-f]{8}>", show(body))
    assert show(body, objects.__getitem__, limit=30) == "[0, 1, 2, 3, 4, 5, 6, 7, 8,..."
    assert show(body, objects.__getitem__, limit=10**6).endswith(", 4095, ... 995,904 more]")


def test_a_segmented_dict_shows_pairs() -> None:
    body, objects = stored({str(i): i for i in range(200_000)})
    assert show(body, objects.__getitem__, limit=25) == "{'0': 0, '1': 1, '2': ..."


def test_a_large_leaf_shows_its_size_and_blob() -> None:
    assert re.fullmatch(r"<str of 3,000,000 bytes [0-9a-f]{8}>", show(payload("x" * 3_000_000)))


# -- bytes of strangers -----------------------------------------------------------------------------------------------

ESCAPE = "\x1b[31m"


@pytest.mark.parametrize(
    "item",
    [
        ESCAPE,
        {ESCAPE: 1},
        ext(codes.DATACLASS, [f"m:{ESCAPE}", [ESCAPE], [1]]),
        ext(codes.ENUM, ["m:E", ESCAPE]),
        ext(codes.FUNCTION, [ESCAPE]),
        ext(codes.CLASS, [ESCAPE]),
        ext(codes.TASK, [ESCAPE]),
        ext(codes.FILE, [f"m:{ESCAPE}", ESCAPE, b"\0" * 16]),
        ext(codes.LARGE, [ESCAPE, Pointer(b"\0" * 16), 3]),
        ext(codes.SEGMENTED, [ESCAPE, Pointer(b"\0" * 16), 3]),
        ext(codes.ADAPTED, [ESCAPE, ESCAPE]),
        ext(codes.ADAPTED, ["numpy.ndarray", [ESCAPE, [1], b""]]),
        ext(codes.ERROR, [f"m:{ESCAPE}", [ESCAPE], [], None, {}]),
    ],
)
def test_nothing_that_a_terminal_obeys_is_printed(item: Any) -> None:
    for text in (show(pack(item)), pretty(pack(item))):
        assert printable_lines(text) == text


def test_printable_escapes_what_reorders_or_hides_text() -> None:
    assert printable("a\x1b\u202e\n\t\ud800é") == r"a\x1b\u202e\n\t\ud800é"
    assert printable_lines("a\n\tb\r") == "a\n\tb\\r"


@pytest.mark.parametrize("code", range(1, 17))
@pytest.mark.parametrize("items", [[], [1], ["a"], ["m:a", 1], ["m:a", [1], [2, 3]], [None] * 5, [[], [], []]])
def test_a_malformed_extension_is_shown_as_such(code: int, items: list[Any]) -> None:
    for body in (pack(ext(code, items)), pack(ExtType(code, b"\xc1")), pack([ext(code, items)])):
        assert show(body)
        assert pretty(body)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    for text in (show(data), pretty(data), show_expr(data), pretty_expr(data)):
        assert printable_lines(text) == text


@given(st.recursive(st.integers() | st.text() | st.binary(), st.lists), st.integers(3, 60))
def test_a_line_is_never_longer_than_its_limit(value: Any, limit: int) -> None:
    whole = show(payload(value), limit=10**9)
    line = show(payload(value), limit=limit)
    assert line == (whole if len(whole) <= limit else whole[: limit - 3] + "...")


def test_a_huge_integer_is_not_converted() -> None:
    assert show(payload(2**100_000)) == "<int of 100,008 bits>"


def test_deeply_nested_values_are_shown_without_recursion() -> None:
    value: Any = []
    for _ in range(450):
        value = [value]
    assert show(payload(value), limit=10_000) == "[" * 451 + "]" * 451
    assert pretty(payload(value)).count("\n") > 450


# -- several lines and colours ----------------------------------------------------------------------------------------


def test_pretty_opens_what_does_not_fit() -> None:
    value = {"a": [1, 2, (3,)], "b": Point({"k": "v" * 20}, (("u" * 40,),))}
    assert pretty(payload(value), width=50) == "\n".join(
        [
            "{",
            "  'a': [1, 2, (3,)],",
            "  'b': Point(",
            "    x={'k': 'vvvvvvvvvvvvvvvvvvvv'},",
            "    y=(",
            "      (",
            "        'uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu',",
            "      ),",
            "    ),",
            "  ),",
            "}",
        ]
    )


def test_colour_adds_nothing_but_paint() -> None:
    body = payload({"a": [1, None, "x" * 200], "b": Point(1, Color.RED)})

    def paint(text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m"

    for plain, coloured in ((show(body), show(body, paint=paint)), (pretty(body), pretty(body, paint=paint))):
        assert coloured != plain
        assert re.sub(r"\x1b\[\w+m", "", coloured) == plain


# -- arguments and types ----------------------------------------------------------------------------------------------


def test_arguments_read_as_they_are_called() -> None:
    bound = [
        ("a", 1, payload(1)),
        ("args", 2, payload((2, "x"))),
        ("k", 3, payload(None)),
        ("kw", 4, payload({"z": 3})),
    ]
    assert show_arguments(bound) == "a=1, 2, 'x', k=None, z=3"
    assert show_arguments(bound, limit=12) == "a=1, 2, '..."
    assert show_arguments([]) == ""


def test_arguments_that_are_missing_or_malformed_are_shown_as_such() -> None:
    bound = [("a", 1, None), (ESCAPE, 1, b"\xc1"), ("kw", 4, payload([1]))]
    assert show_arguments(bound) == f"a=<missing>, {printable(ESCAPE)}=<malformed value>, kw=[1]"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "builtins.NoneType"),
        (1, "builtins.int"),
        (2**70, "builtins.int"),
        ("x", "builtins.str"),
        ("x" * 2_000_000, "builtins.str"),
        ((), "builtins.tuple"),
        ({}, "builtins.dict"),
        (1j, "builtins.complex"),
        (ValueError(), "builtins.ValueError"),
        (np.zeros(1), "numpy.ndarray"),
        (len, "builtins.function"),
    ],
)
def test_the_type_of_a_stored_value_is_known_from_its_bytes(value: Any, name: str) -> None:
    assert type_name(unpack(payload(value))) == name


def test_a_type_of_the_users_own_has_its_module() -> None:
    assert type_name(ext(codes.DATACLASS, ["m:Outer.P", [], []])) == "m.Outer.P"
    assert type_name(ext(codes.DATACLASS, [])) == "malformed"
    assert type_name(ExtType(99, b"")) == "extension 99"


# -- expressions ------------------------------------------------------------------------------------------------------


def node(number: int) -> ExtType:
    return ExtType(codes.NODE, bytes([number]))


def expression(names: list[str], nodes: list[Any], root: Any) -> bytes:
    return pack([1, names, nodes, root])


def call(name: int, args: list[Any], kwargs: Any = None, options: Any = None) -> list[Any]:
    return [0, name, args, kwargs or {}, options or {}]


def operation(name: int, operands: list[Any]) -> list[Any]:
    return [1, name, operands, {}, {}]


def test_an_expression_reads_as_its_calls() -> None:
    nodes = [call(0, []), call(1, ["Hello"], {"thing": node(0)})]
    body = expression(["ns.get_planet", "ns.greeter"], nodes, node(1))
    assert show_expr(body) == "greeter('Hello', thing=get_planet())"
    assert pretty_expr(body) == "greeter('Hello', thing=get_planet())"


def test_an_expression_made_by_the_language_reads_as_it_was_written() -> None:
    @task(name="half", namespace="ns")
    def half(x: float) -> float:
        return x / 2

    lazy: Any = half(3)
    reduction = reduce(Encoder(XXH3_128), {"a": lazy[0] + 1, "b": [half(x=lazy)]})
    assert show_expr(reduction.payload) == "{'a': (half(3)[0] + 1), 'b': [half(x=half(3))]}"
    table = Table(reduction.payload)
    assert [table.node(number)[1] for number in table.calls()] == ["ns.half"] * 2


def test_options_of_a_call_are_shown() -> None:
    body = expression(["f"], [call(0, [1], options={"memory": 4})], [node(0)])
    assert show_expr(body) == "[f.options(memory=4)(1)]"
    assert pretty_expr(body) == "[f.options(memory=4)(1)]"


@pytest.mark.parametrize(
    ("name", "operands", "text"),
    [
        ("add", [node(0), 1], "(f() + 1)"),
        ("neg", [node(0)], "-f()"),
        ("getitem", [node(0), "k"], "f()['k']"),
        ("getattr", [node(0), "size"], "f().size"),
        ("round", [node(0), 2], "round(f(), 2)"),
        ("add", [node(0)], "add(f())"),
        ("call", [node(0), ext(codes.TUPLE, [1]), {"b": 2}], "f()(1, b=2)"),
    ],
)
def test_operations_read_as_python_writes_them(name: str, operands: list[Any], text: str) -> None:
    body = expression(["f", name], [call(0, []), operation(1, operands)], node(1))
    assert show_expr(body) == text


def test_a_shared_node_is_written_once_over_several_lines() -> None:
    count = 60
    nodes = [call(0, []), *(operation(1, [node(i), node(i)]) for i in range(count))]
    body = expression(["f", "add"], nodes, node(count))
    text = pretty_expr(body)
    assert text.splitlines()[:2] == ["_0 = f()", "_1 = (_0 + _0)"]
    assert text.splitlines()[-1] == "(_59 + _59)"
    assert len(show_expr(body)) == 200


def test_a_long_chain_is_no_recursion() -> None:
    count = 100_000
    nodes = [call(0, [1]), *(call(0, [node_ext(i)]) for i in range(count - 1))]
    body = expression(["f"], nodes, node_ext(count - 1))
    assert show_expr(body, limit=20) == "f(f(f(f(f(f(f(f(f..."
    assert pretty_expr(body).endswith("...")


@pytest.mark.parametrize(
    "record",
    [
        [],
        [2, [], [], None],
        [1, [1], [call(0, [])], None],
        [1, [], [call(0, [])], None],
        [1, ["f"], [call(0, [node(0)])], None],
        [1, ["f"], [call(0, [node(1)]), call(0, [])], None],
        [1, ["f"], [[9, 0, [], {}, {}]], None],
        [1, ["f"], [[0, 0, {}, {}, {}]], None],
        [1, ["f"], [[0, 0, [], [], {}]], None],
        [1, ["f"], [[0, 0]], None],
        [1, ["f"], [7], None],
        [1, ["f"], 7, None],
        [1, [], [], node(0)],
    ],
)
def test_an_expression_that_makes_no_sense_is_malformed(record: Any) -> None:
    with pytest.raises(MalformedObject):
        list(Table(pack(record)).nodes())
    assert show_expr(pack(record)) == "<malformed expression>"
    assert pretty_expr(pack(record)) == "<malformed expression>"
