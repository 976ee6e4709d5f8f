"""What a value is in bytes: decoding gives it back, other values have other bytes, and the bytes are canonical."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core.codec import references, unpack_strict
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT, OBJECT_FORMATS, ObjectFormat
from redun.core.objects import check
from redun.core.values import Encoder
from tests.core.sample_values import SAME, SAMPLES, MyDict, MyList, MyTuple, Pair, Point, alike, fetcher, ids

ROOT = Path(__file__).parents[2]

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**63 - 2, 2**64 + 2)
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.text(st.characters(categories=["Cs", "Ll"]), max_size=3)
    | st.binary()
    | st.binary(max_size=4).map(bytearray)
    | st.datetimes()
    | st.decimals()
    | st.uuids()
)
hashable_leaves = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False)
hashables = st.recursive(
    hashable_leaves,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    few = st.lists(inner, max_size=3)
    return (
        few
        | few.map(tuple)
        | few.map(MyList)
        | few.map(MyTuple)
        | st.sets(hashables, max_size=3)
        | st.frozensets(hashables, max_size=3)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.dictionaries(hashables, inner, max_size=3).map(MyDict)
        | st.builds(Pair, inner, inner)
        | st.builds(Point, st.integers(), inner)
    )


values = st.recursive(leaves | hashables, _containers, max_leaves=15)
#: Few enough that two draws are often equal in Python though not the same value.
close = st.recursive(
    st.sampled_from([0, 0.0, -0.0, False, "", b"", bytearray(), None, (), 0j]),
    lambda inner: _containers(inner).filter(lambda value: not isinstance(value, (set, frozenset))),
    max_leaves=2,
)


def _round_trip(value: Any, fmt: ObjectFormat = DEFAULT_FORMAT) -> Any:
    encoder = Encoder(fmt)
    return Decoder(fetcher(encoder)).decode(encoder.encode(value).payload)


# -- decoding gives the value back ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_decoding_undoes_encoding_types_included(name: str):
    assert alike(_round_trip(SAMPLES[name]), SAMPLES[name])


@pytest.mark.parametrize("name", SAMPLES)
def test_a_decoded_value_has_the_same_bytes_again(name: str):
    payload = Encoder(DEFAULT_FORMAT).encode(SAMPLES[name]).payload
    assert Encoder(DEFAULT_FORMAT).encode(_round_trip(SAMPLES[name])).payload == payload


@given(values)
def test_decoding_undoes_encoding_of_any_nesting(value: Any):
    assert alike(_round_trip(value), value)


@given(values)
def test_any_decoded_value_has_the_same_bytes_again(value: Any):
    assert Encoder(DEFAULT_FORMAT).encode(_round_trip(value)).payload == Encoder(DEFAULT_FORMAT).encode(value).payload


def test_encoding_leaves_nothing_behind_in_the_encoder():
    encoder = Encoder(DEFAULT_FORMAT)
    first = {name: encoder.encode(value).payload for name, value in SAMPLES.items()}
    second = {name: encoder.encode(value).payload for name, value in reversed(SAMPLES.items())}
    assert first == second == {n: Encoder(DEFAULT_FORMAT).encode(v).payload for n, v in SAMPLES.items()}


# -- other values have other bytes ------------------------------------------------------------------------------------


def test_no_two_samples_have_the_same_bytes():
    by_payload: dict[bytes, list[str]] = {}
    for name, value in SAMPLES.items():
        by_payload.setdefault(Encoder(DEFAULT_FORMAT).encode(value).payload, []).append(name)
    assert [names for names in by_payload.values() if len(names) > 1] == [[k, v] for k, v in SAME.items()]


@given(close, close)
def test_two_values_have_the_same_bytes_exactly_if_they_cannot_be_told_apart(a: Any, b: Any):
    encoder = Encoder(DEFAULT_FORMAT)
    assert (encoder.encode(a).payload == encoder.encode(b).payload) == alike(a, b)


@pytest.mark.parametrize(
    "wrap", [list, tuple, MyList, MyTuple, lambda items: Point(0, items), lambda items: {0: items}]
)
def test_numbers_that_are_equal_in_python_stay_apart_inside_containers(wrap: Any):
    encoder = Encoder(DEFAULT_FORMAT)
    payloads = {encoder.encode(wrap([x])).payload for x in (1, 1.0, True, 1 + 0j, b"1", "1", 0, -0.0, 0.0, False)}
    assert len(payloads) == 10


# -- one value, one encoding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("fmt", OBJECT_FORMATS.values(), ids=str)
def test_payloads_are_canonical(name: str, fmt: ObjectFormat):
    encoder = Encoder(fmt)
    encoder.value(SAMPLES[name])
    for kind, payload in encoder.objects.values():
        check(kind, payload)


@given(values)
def test_payloads_of_any_nesting_are_canonical(value: Any):
    unpack_strict(Encoder(DEFAULT_FORMAT).encode(value).payload)


@pytest.mark.parametrize("items", [["a", "b", "c"], [1, 2.5, "x"], [None, b"", (1,)], [frozenset({1}), 2**70, False]])
def test_equal_sets_have_equal_bytes_in_whatever_order_they_were_filled(items: list[Any]):
    encoder = Encoder(DEFAULT_FORMAT)
    for kind in (set, frozenset):
        payloads = {encoder.encode(_filled(kind, order)).payload for order in permutations(items)}
        assert len(payloads) == 1


def _filled(kind: type, items: tuple[Any, ...]) -> Any:
    # a set that once was larger has other places for its items
    made = set(range(1000, 1100))
    for item in items:
        made.add(item)
    made -= set(range(1000, 1100))
    return kind(made)


@given(st.lists(hashables, max_size=6), st.randoms(use_true_random=False))
def test_order_of_filling_does_not_matter_for_any_set(items: list[Any], random: Any):
    distinct: list[Any] = []
    for item in items:
        if item not in distinct:
            distinct.append(item)
    other = list(distinct)
    random.shuffle(other)
    encoder = Encoder(DEFAULT_FORMAT)
    assert encoder.encode(set(distinct)).payload == encoder.encode(set(other)).payload


def test_who_else_holds_an_object_does_not_matter():
    part = [1]
    encoder = Encoder(DEFAULT_FORMAT)
    assert encoder.encode([part, part]).payload == encoder.encode([[1], [1]]).payload


@pytest.fixture(scope="module")
def printed_ids() -> list[list[str]]:
    program = (
        "from tests.core.sample_values import SAMPLES, ids\n"
        "for name, digest in ids(SAMPLES).items(): print(digest.hex(), name)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1", "42", "4294967295")
    ]
    return [process.communicate()[0].splitlines() for process in processes]


def test_ids_are_the_same_in_every_process_whatever_its_hash_seed(printed_ids: list[list[str]]):
    here = [f"{digest.hex()} {name}" for name, digest in ids(SAMPLES).items()]
    for there in printed_ids:
        assert there == here


def test_a_small_value_points_to_nothing():
    for name, value in SAMPLES.items():
        assert references(Encoder(DEFAULT_FORMAT).encode(value).payload) == [], name
