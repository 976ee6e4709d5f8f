"""Where two stored values differ: by path, bounded, and without an instance of anything being made."""

from __future__ import annotations

import dataclasses
import decimal
import enum
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from redun import File
from redun.core import (
    keys,  # noqa: F401  # values of the user's own classes have an encoding
    limits,
)
from redun.core.codec import Pointer, pack
from redun.core.digest import XXH3_128, Digest
from redun.core.errors import NotFound
from redun.core.values import Encoder
from redun.executor.value_changes import Difference, ValueChange, differences


@dataclasses.dataclass
class Model:
    size: int
    layers: Any


class Point(NamedTuple):
    x: int
    y: int


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Plain:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class Bag(list[int]):
    pass


class Slotted:
    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


def difference(old: object, new: object) -> Difference:
    encoder = Encoder(XXH3_128)
    before, after = encoder.encode(old).payload, encoder.encode(new).payload
    return differences("v", before, after, lambda digest: encoder.objects[digest])


def texts(old: object, new: object) -> list[str]:
    return [change.text() for change in difference(old, new).changes]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"lr": 0.1, "n": 1}, {"lr": 0.2, "n": 1}, ["v['lr']: 0.1 -> 0.2"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["v['a']['b'][1]: 2 -> 3"]),
        ({"a": 1}, {"b": 2}, ["v['b']: added 2", "v['a']: removed 1"]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ["v: the same in another order"]),
        ({(1, 2): 3}, {(1, 2): 4}, ["v[(1, 2)]: 3 -> 4"]),
        ({1: "x"}, {True: "x"}, ["v[True]: added 'x'", "v[1]: removed 'x'"]),
        ([1, 2, 3], [1, 9, 2, 3], ["v[1]: added 9"]),
        ([1, 2, 3], [1, 3], ["v[1]: removed 2"]),
        ([1, 2, 3, 4], [0, 1, 2, 9, 4, 5], ["v[0]: added 0", "v[3]: 3 -> 9", "v[5]: added 5"]),
        ([], [1], ["v[0]: added 1"]),
        ([1, 1, 1], [1.0, True, 1], ["v[0]: 1 -> 1.0", "v[1]: 1 -> True"]),
        ((1, (2, 3)), (1, (2, 4)), ["v[1][1]: 3 -> 4"]),
        ((1, 2), [1, 2], ["v: (1, 2) -> [1, 2]"]),
        ({1, 2, 3}, {1, 2, 4}, ["v: added 4", "v: removed 3"]),
        (frozenset({1}), frozenset({1, 2}), ["v: added 2"]),
        (Model(1, [1]), Model(2, [1]), ["v.size: 1 -> 2"]),
        (Model(1, {"a": [1]}), Model(1, {"a": [2]}), ["v.layers['a'][0]: 1 -> 2"]),
        (Point(1, 2), Point(1, 3), ["v.y: 2 -> 3"]),
        (Plain(a=1), Plain(a=1, b=2), ["v.b: added 2"]),
        (Slotted(1), Slotted(2), ["v.left: 1 -> 2"]),
        (Bag([1, 2]), Bag([1, 3]), ["v[1]: 2 -> 3"]),
        (Color.RED, Color.BLUE, ["v: <Color.RED> -> <Color.BLUE>"]),
        (OrderedDict(a=1), OrderedDict(a=2), ["v['a']: 1 -> 2"]),
        (Counter("ab"), Counter("abb"), ["v['b']: 1 -> 2"]),
        (defaultdict(list, a=[1]), defaultdict(list, a=[2]), ["v['a'][0]: 1 -> 2"]),
        (deque([1, 2]), deque([1, 3], maxlen=9), ["v[1]: 2 -> 3", "v.maxlen: None -> 9"]),
        (decimal.Decimal("1.10"), decimal.Decimal("1.1"), ["v: Decimal('1.10') -> Decimal('1.1')"]),
        (ValueError("a"), ValueError("b"), ["v.args[0]: 'a' -> 'b'"]),
        (Path("a"), Path("b"), ["v: PosixPath('a') -> PosixPath('b')"]),
        ("short", "shirt", ["v: 'short' -> 'shirt'"]),
        (10**30, 10**30 + 1, [f"v: {10**30} -> {10**30 + 1}"]),
        (bytearray(b"a"), bytearray(b"b"), ["v: bytearray(b'a') -> bytearray(b'b')"]),
        (None, 1, ["v: None -> 1"]),
        (len, print, ["v: <function len> -> <function print>"]),
    ],
)
def test_a_change_is_told_by_its_path(old: object, new: object, expected: list[str]) -> None:
    assert texts(old, new) == expected
    assert texts(new, new) == []


def test_a_long_text_is_shown_from_where_it_differs() -> None:
    assert texts("a" * 100 + "x", "a" * 100 + "y") == [f"v[90:]: '{'a' * 10}x' -> '{'a' * 10}y'"]
    assert texts(b"a" * 100 + b"x", b"a" * 100) == [f"v[90:]: b'{'a' * 10}x' -> b'{'a' * 10}'"]
    assert texts("é" * 70 + "x", "é" * 70) == ["v[65:]: 'éééééx' -> 'ééééé'"]
    assert texts("a" * 70, "b" * 70)[0].startswith("v: 'aaa")


def test_a_text_in_a_blob_is_shown_from_where_it_differs() -> None:
    size = limits.LEAF_BYTES + 10
    assert texts("a" * size + "x", "a" * size + "y") == [f"v[{size - 10}:]: '{'a' * 10}x' -> '{'a' * 10}y'"]
    assert texts(["a" * 100_000 + "x"], ["a" * 100_000]) == [f"v[0][99990:]: '{'a' * 10}x' -> '{'a' * 10}'"]


def test_a_file_is_told_by_its_path_and_the_hashes_of_its_content(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("1")
    before = File(str(path))
    assert before.hash
    path.write_text("2")
    change = difference({"f": before}, {"f": File(str(path))}).changes[0]
    assert change == ValueChange("v['f']", "content", before.hash, File(str(path)).hash, str(path))
    assert change.text() == f"v['f']: content of {path}: {before.hash[:8]} -> {File(str(path)).hash[:8]}"
    path.unlink()
    assert texts(before, File(str(path))) == [f"v: content of {path}: {before.hash[:8]} -> missing"]
    assert "File(path=other" in texts(before, File("other"))[0]


def test_arrays_are_told_by_the_first_element_that_differs() -> None:
    numpy = pytest.importorskip("numpy")
    old = numpy.zeros((3, 4))
    new = old.copy()
    new[1, 2] = 0.5
    assert difference(old, new) == Difference((ValueChange("v[1, 2]", "changed", "float64(0.0)", "float64(0.5)"),))
    new[2, 0] = 1
    assert difference(old, new).more
    large = numpy.arange(400_000)
    changed = large.copy()
    changed[399_999] = -1
    assert texts({"a": large}, {"a": changed}) == ["v['a'][399999]: int64(399999) -> int64(-1)"]
    assert texts(numpy.zeros(20_000), numpy.ones(20_000)) == ["v[0]: float64(0.0) -> float64(1.0)"]
    assert "shape=(3,)" in texts(numpy.zeros(3), numpy.zeros(4))[0]


def test_tables_are_told_by_column_and_by_the_first_item_that_differs() -> None:
    pandas = pytest.importorskip("pandas")
    old = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [0.0, 1.0, 2.0]})
    new = old.copy()
    new.loc[1, "b"] = "Q"
    assert texts([old], [new]) == ["v[0]['b'][1]: 'y' -> 'Q'"]
    new.loc[2, "c"] = 9.0
    assert texts(old, new) == ["v['b'][1]: 'y' -> 'Q'", "v['c'][2]: float64(2.0) -> float64(9.0)"]
    assert texts(old, old.assign(d=1)) == ["v['d']: added array([1, 1, 1], 3 rows, dtype=int64)"]
    assert texts(old, old.set_axis([5, 6, 7])) == [
        "v.index: RangeIndex(0, 3, 1) -> Index([5, 6, 7], 3 rows, dtype=int64)"
    ]
    assert "v['a']: array([1, 2, 3], 3 rows, dtype=int64) -> array([1, 2], 2 rows" in texts(old, old.head(2))[0]


def test_large_columns_are_told_apart_in_their_blobs() -> None:
    polars, arrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    words = [f"t{i}" for i in range(50_000)]
    changed = [*words[:777], None, *words[778:]]
    assert texts(polars.Series("s", words), polars.Series("s", changed)) == ["v[777]: 't777' -> None"]
    one, two = (arrow.table({"a": ["x"] * 30_000 + [end], "n": range(30_001)}) for end in "yz")
    assert texts(one, two) == ["v['a'][30000]: 'y' -> 'z'"]
    numbers = polars.DataFrame({"n": range(50_000)})
    assert texts(numbers, numbers.with_columns(n=numbers["n"].replace(41_000, -1))) == [
        "v['n'][41000]: int64(41000) -> int64(-1)"
    ]


def test_long_lists_are_compared_by_the_segments_that_they_do_not_share() -> None:
    old = list(range(300_000))
    new = [*old[:200_000], -1, *old[200_001:]]
    assert texts(old, new) == ["v[200000]: 200000 -> -1"]
    assert texts(old, [*old, 7]) == ["v[300000]: added 7"]
    found = difference(old, [7, *old])
    assert [change.text() for change in found.changes] == ["v: 300000 items -> 300001", "v[0]: 0 -> 7"]
    assert found.more


def test_long_dicts_and_sets_are_compared_by_the_segments_that_they_do_not_share() -> None:
    old = {n: n for n in range(300_000)}
    assert texts(old, {**old, 200_000: "x"}) == ["v[200000]: 200000 -> 'x'"]
    assert texts(set(old), set(old) - {77}) == ["v: removed 77"]
    shifted = {-1: 0, **old}
    assert [change.how for change in difference(old, shifted).changes] == ["unseen"]


def test_a_list_that_grew_past_one_object_is_compared_all_the_same() -> None:
    old = ["a" * 100] * 10_000
    assert texts(old, [*old, "b"]) == ["v[10000]: added 'b'"]
    assert texts([*old, "b"], old) == ["v[10000]: removed 'b'"]


def test_only_the_first_places_are_listed() -> None:
    found = difference(list(range(100)), list(range(100, 200)))
    assert len(found.changes) == 20
    assert found.more


def test_a_deep_path_is_shown_without_its_middle() -> None:
    old: Any = 0
    new: Any = 1
    for _ in range(400):
        old, new = [old], [new]
    change = difference(old, new).changes[0]
    assert change.path == "v" + "[0]" * 400
    assert len(change.text(60)) < 80
    assert change.text(60).endswith("[0]: 0 -> 1")


def test_a_part_that_is_missing_from_the_store_is_told_by_its_id() -> None:
    def nothing(digest: Digest) -> tuple[str, bytes]:
        raise NotFound(digest.hex())

    one, other = pack([Pointer(b"1" * 16)]), pack([Pointer(b"2" * 16)])
    assert [change.text() for change in differences("v", one, other, nothing).changes] == [
        "v[0]: <value 31313131> -> <value 32323232>"
    ]


def test_bytes_that_are_no_value_are_only_said_to_differ() -> None:
    assert [change.how for change in differences("v", b"\xc1", b"\x01", lambda _: ("value", b"")).changes] == ["unseen"]


def test_names_of_strangers_are_escaped() -> None:
    assert texts({"\x1b[31m": 1}, {"\x1b[31m": 2}) == ["v['\\x1b[31m']: 1 -> 2"]
    assert texts(Plain(**{"\x1b": 1}), Plain(**{"\x1b": 2})) == ["v.\\x1b: 1 -> 2"]
