"""Reductions: from graphs of lazy values to flat tables and their bytes, and back."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core import keys, limits  # noqa: F401  `keys` registers what can be stored
from redun.core.codec import pack, references
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotEncode, MalformedObject
from redun.core.expressions import Expression
from redun.core.objects import check
from redun.core.reduction import CALL, OPERATION, Arg, Node, Reduction, read_reduction, reduce
from redun.core.tasks import Task
from redun.core.values import Encoded, Encoder
from tests.core.sample_values import Box, MyDict, MyList, Pair, Point, alike

ROOT = Path(__file__).parents[2]


def _task(name: str) -> Task[..., Any]:
    return Task(lambda *args, **kwargs: None, {"name": name, "namespace": "test_reduction"})


F, G = _task("f"), _task("g")


def _reduced(value: Any) -> tuple[Reduction, Encoder]:
    encoder = Encoder(DEFAULT_FORMAT)
    return reduce(encoder, value), encoder


def _plain(arg: Arg, encoder: Encoder) -> Any:
    """An argument as comparable data: where an id is at hand only, the bytes are fetched."""
    if isinstance(arg, int):
        return arg
    payload = arg.payload or encoder.objects[arg.digest][1]  # type: ignore[index]
    return payload, sorted(arg.nodes)


def _table(reduction: Reduction, encoder: Encoder) -> Any:
    rows = [
        (
            node.op,
            node.name,
            [_plain(arg, encoder) for arg in node.args],
            [(key, _plain(arg, encoder)) for key, arg in node.kwargs.items()],
            node.options or None,
        )
        for node in reduction.nodes
    ]
    return rows, _plain(reduction.root, encoder)


def _survives(value: Any) -> Reduction:
    """Checks that the stored bytes say what the table says, and returns it."""
    reduction, encoder = _reduced(value)
    check("expr", reduction.payload)
    again = read_reduction(reduction.payload)
    assert _table(again, encoder) == _table(reduction, encoder)
    return reduction


# -- what is found ----------------------------------------------------------------------------------------------------

INSIDE: dict[str, Any] = {
    "list": lambda x: [1, x],
    "tuple": lambda x: (1, x),
    "value of a dict": lambda x: {"a": x},
    "key of a dict": lambda x: {x: 1},
    "tuple as key": lambda x: {(1, x): 1},
    "set": lambda x: {1, x},
    "frozenset": lambda x: frozenset({1, x}),
    "frozenset in a set": lambda x: {frozenset({x})},
    "named tuple": lambda x: Pair(1, x),
    "dataclass": lambda x: Point(1, x),
    "object": Box,
    "list subclass": lambda x: MyList([x]),
    "dict subclass": lambda x: MyDict(a=x),
    "OrderedDict": lambda x: OrderedDict(a=x),
    "defaultdict": lambda x: defaultdict(list, a=[x]),
    "slice": lambda x: slice(x, None),
    "error": lambda x: ValueError([x]),
    "deep": lambda x: {"a": [({1: Point(0, [x])},)]},
    "beside something large": lambda x: [list(range(100_000)), x],
    "beside something very large": lambda x: [["a" * 100] * 20_000, x, x],
    "in something large": lambda x: [*range(100_000), x],
}


@pytest.mark.parametrize("where", INSIDE)
def test_lazy_values_are_found_wherever_they_are(where: str):
    wrap = INSIDE[where]
    for made in (wrap(F(1)), G(wrap(F(1))), G(k=wrap(F(1))), F(1)[wrap(F(1) + 1)]):
        reduction = _survives(made)
        assert "test_reduction.f" in [node.name for node in reduction.nodes]
    reduction, encoder = _reduced(wrap(F(1)))
    assert isinstance(reduction.root, Encoded)
    assert reduction.root.nodes == (0,)
    decoder = Decoder(encoder.objects.__getitem__, lambda number: {0: 77}[number])
    assert alike(decoder.decode(reduction.root.payload), wrap(77))


def test_a_value_without_lazy_parts_is_no_expression():
    for value in (1, "a", [1, (2,)], {"a": Point(1)}, None):
        reduction, _ = _reduced(value)
        assert (reduction.nodes, reduction.payload) == ([], b"")
        assert isinstance(reduction.root, Encoded)
        assert reduction.root.payload == Encoder(DEFAULT_FORMAT).encode(value).payload


def test_options_of_a_call_are_kept():
    reduction = _survives(F.options(executor="x", memory=3)(1))
    assert read_reduction(reduction.payload).nodes[0].options == {"executor": "x", "memory": 3}
    assert read_reduction(_survives(F(1)).payload).nodes[0].options is None


def test_large_arguments_are_objects_of_their_own():
    reduction, encoder = _reduced([F(list(range(50_000))), G(list(range(50_000)))])
    assert len(reduction.payload) < 200
    assert len(set(references(reduction.payload))) == 1
    assert set(references(reduction.payload)) <= set(encoder.objects)


def test_names_are_written_once():
    one, _ = _reduced([F(1)])
    many, _ = _reduced([F(i) for i in range(101)])
    assert many.payload.count(b"test_reduction.f") == one.payload.count(b"test_reduction.f") == 1


# -- order and sharing ------------------------------------------------------------------------------------------------


def _order(value: Any) -> list[str]:
    reduction = _survives(value)
    return [f"{node.name.rpartition('.')[2]}{_first(node)}" for node in reduction.nodes]


def _first(node: Node) -> str:
    return "".join(str(arg.obj) for arg in node.args if isinstance(arg, Encoded) and arg.plain)


def test_calls_stand_after_what_they_depend_on_in_the_order_in_which_they_are_written():
    assert _order([F(1), F(2), F(3)]) == ["f1", "f2", "f3"]
    assert _order(G(F(1), G(F(2)), k=F(3))) == ["f1", "f2", "g", "f3", "g"]
    assert _order([G(F(1)), F(2)]) == ["f1", "g", "f2"]
    assert _order({"b": F(1), "a": [F(2) + F(3)]}) == ["f1", "f2", "f3", "add"]


def test_one_lazy_object_is_one_node_however_often_it_is_used():
    shared = F(1)
    reduction = _survives([shared, G(shared, [shared]), {shared: shared + shared}])
    assert sorted(node.name for node in reduction.nodes) == ["add", "test_reduction.f", "test_reduction.g"]
    other = _survives([F(1), F(1)])
    assert len(other.nodes) == 2


def test_a_diamond_of_sharing_stays_small():
    value: Any = F(0)
    for _ in range(200):
        value = value + value
    assert len(_survives(value).nodes) == 201


def _fresh(numbers: range) -> Any:
    return [F(number) for number in numbers]


def test_memory_of_dropped_expressions_is_not_confused_with_new_ones():
    encoder = Encoder(DEFAULT_FORMAT)
    for number in range(50):
        reduction = reduce(encoder, _fresh(range(number, number + 3)))
        assert [node.args[0].obj for node in reduction.nodes] == [number, number + 1, number + 2]  # type: ignore[union-attr]


def test_equal_expressions_have_equal_bytes():
    def make() -> Any:
        shared = F(1, k={"b": 2})
        return [shared, G(shared, (F(2) + 1)[0].name), {"x": shared}]

    assert _reduced(make())[0].payload == _reduced(make())[0].payload


def test_sets_of_calls_have_the_same_bytes_in_every_process():
    program = (
        "import sys; from tests.core.test_reduction import F, _reduced\n"
        "junk = [object() for _ in range(int(sys.argv[1]))]; del junk[::3]\n"
        "print(_reduced({F(i) for i in range(20)})[0].payload.hex())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, size], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for size in ("1", "5000", "70000")
    }
    assert len(outputs) == 1


# -- large graphs -----------------------------------------------------------------------------------------------------


def test_a_chain_of_100_000_calls_needs_no_recursion():
    chain: Any = F(0)
    for _ in range(100_000):
        chain = F(chain)
    reduction, _ = _reduced(chain)
    assert len(reduction.nodes) == 100_001
    again = read_reduction(reduction.payload)
    assert again.root == 100_000
    assert [node.args[0] for node in again.nodes[1:]] == list(range(100_000))


def test_a_chain_of_operations_needs_no_recursion():
    total: Any = F(0)
    for _ in range(10_000):
        total = total + 1
    assert len(_survives(total).nodes) == 10_001


def test_a_fan_of_100_000_calls_is_one_object_of_a_few_bytes_a_call():
    reduction, encoder = _reduced([F(i) for i in range(100_000)])
    assert encoder.objects == {}
    assert len(reduction.payload) > limits.CONTAINER_BYTES
    assert len(reduction.nodes) == 100_000
    assert len(reduction.payload) < 100_000 * 22


# -- random graphs ----------------------------------------------------------------------------------------------------

_NAMES = ["add", "getitem", "eq"]


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """A value that holds expressions which share others."""
    pool: list[Any] = [1, "a", None, (2,)]
    for _ in range(draw(st.integers(1, 12))):
        picked = [draw(st.sampled_from(pool)) for _ in range(draw(st.integers(1, 3)))]
        shape = draw(st.sampled_from(["call", "keyword", "list", "dict", "point", "operation", "options"]))
        lazy = next((item for item in picked if isinstance(item, Expression)), None)
        if shape == "call" or (shape == "operation" and lazy is None):
            made = F(*picked)
        elif shape == "operation":
            made = lazy + picked[0] if isinstance(lazy, Expression) else None
        else:
            made = {
                "keyword": lambda p=picked: G(p[0], k=p[-1]),
                "options": lambda p=picked: F.options(executor="x")(p[0]),
                "list": lambda p=picked: list(p),
                "dict": lambda p=picked: {"k": p[0], "l": tuple(p)},
                "point": lambda p=picked: Point(0, p),
            }[shape]()
        pool.append(made)
    return [pool[-1], draw(st.sampled_from(pool)), F(pool[-1])]


@given(graphs())
def test_any_graph_survives_being_stored(value: Any):
    reduction = _survives(value)
    for number, node in enumerate(reduction.nodes):
        for arg in (*node.args, *node.kwargs.values()):
            assert all(other < number for other in ([arg] if isinstance(arg, int) else arg.nodes))


@given(graphs())
def test_every_lazy_object_of_a_graph_is_one_node(value: Any):
    reduction, _ = _reduced(value)
    assert len(reduction.nodes) == len(_expressions(value))


def _expressions(value: Any) -> set[int]:
    found: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Expression):
            if id(item) in found:
                continue
            found.add(id(item))
            waiting += [getattr(item, name) for kind in type(item).__mro__ for name in getattr(kind, "__slots__", ())]
        elif isinstance(item, (list, tuple)):
            waiting += item
        elif isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, Point):
            waiting += [item.x, item.y]
    return found


# -- errors -----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_encoded_is_named_inside_arguments_too():
    with pytest.raises(CannotEncode):
        _reduced([F({"a": lambda: None})])


def test_an_encoder_goes_on_after_an_error_in_a_reduction():
    encoder = Encoder(DEFAULT_FORMAT)
    with pytest.raises(CannotEncode):
        reduce(encoder, [F(1), F(lambda: None)])
    with pytest.raises(CannotEncode, match="lazy"):
        encoder.encode([F(1)])
    assert len(reduce(encoder, [F(1)]).nodes) == 1


@pytest.mark.parametrize(
    "record",
    [
        [],
        [2, [], [], None],
        [1, ["f"], [[0, 0, [], {}, {}]], 5],
        [1, ["f"], [[7, 0, [], {}, {}]], None],
        [1, ["f"], [[0, 1, [], {}, {}]], None],
        [1, ["f"], [[0, 0, [], {}]], None],
        [1, ["f"], [[0, 0, 5, {}, {}]], None],
        [1, 5, [[0, 0, [], {}, {}]], None],
        5,
    ],
)
def test_bytes_that_are_no_reduction_are_malformed(record: Any):
    payload = pack(record)
    if record and record != 5 and record[3] == 5:
        payload = payload[:-1] + b"\xd4\x41\x05"
    with pytest.raises(MalformedObject):
        read_reduction(payload)


def test_a_node_that_refers_to_itself_or_to_a_later_one_is_malformed():
    for number in (b"\x00", b"\x01"):
        payload = b"\x94\x01\x91\xa1f\x91\x95\x00\x00\x91\xd4\x41" + number + b"\x80\x80\xd4\x41\x00"
        with pytest.raises(MalformedObject):
            read_reduction(payload)


def test_operations_and_calls_have_the_documented_numbers():
    assert (CALL, OPERATION) == (0, 1)
    assert _reduced(F(1))[0].payload == pack([1, ["test_reduction.f"], [[0, 0, [1], {}, {}]]])[:0] + (
        b"\x94\x01\x91" + pack("test_reduction.f") + b"\x91\x95\x00\x00\x91\x01\x80\x80\xd4\x41\x00"
    )
