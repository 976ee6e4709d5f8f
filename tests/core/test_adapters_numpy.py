"""Arrays beyond plain numbers: objects, texts, masks, records, subclasses of numpy's own, functions; and large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotEncode
from redun.core.values import Encoder
from tests.core.round_trips import line, payload, round_trip

RECORDS: Any = np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "<i4"), ("b", "<f8")])
ARRAYS: dict[str, Any] = {
    "objects": np.array([1, "a", None, 2.5], dtype=object).reshape(2, 2),
    "no objects": np.array([], dtype=object),
    "masked": np.ma.array([1.0, 2.0], mask=[False, True]),
    "not masked": np.ma.array([1, 2]),
    "hard mask": np.ma.array([1, 2], mask=[True, False], hard_mask=True),
    "masked records": np.ma.array(RECORDS, mask=[(True, False), (False, False)]),
    "record array": RECORDS.view(np.recarray),
    "matrix": np.array([[1, 2]]).view(np.matrix),
    "zero dimensions": np.array(5),
    "no items": np.zeros((2, 0, 3), dtype="f4"),
    "not a time": np.array(["NaT", "2020-01-01"], dtype="M8[D]"),
    "nested records": np.zeros(2, dtype=[("p", [("x", "<i2"), ("y", "<f4", (2,))])]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back_as_they_were(name: str):
    array = ARRAYS[name]
    decoded = round_trip(array)
    assert (type(decoded), decoded.dtype, decoded.shape) == (type(array), array.dtype, array.shape)
    assert repr(decoded) == repr(array)


def test_a_filling_of_its_own_comes_back():
    array = np.ma.array([1, 2], mask=[True, False], fill_value=7)
    assert round_trip(array).fill_value == 7


def test_lists_inside_an_array_of_objects_stay_lists():
    array: Any = np.empty(2, dtype=object)
    array[0], array[1] = [1], [2, 3]
    assert round_trip(array).tolist() == [[1], [2, 3]]


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="from numpy 2 on")
def test_texts_of_any_length_come_back():
    for kind in (np.dtypes.StringDType(), np.dtypes.StringDType(na_object=None), np.dtypes.StringDType(coerce=False)):
        array = np.array(["a", "é" * 50], dtype=kind)
        decoded = round_trip(array)
        assert (decoded.dtype, decoded.tolist()) == (kind, array.tolist())
        assert round_trip(kind) == kind


def test_a_memory_map_is_stored_as_its_array(tmp_path: Path):
    mapped: Any = np.memmap(tmp_path / "m", dtype="i4", mode="w+", shape=(3,))
    assert type(round_trip(mapped)) is np.ndarray
    assert payload(mapped) == payload(np.zeros(3, "i4"))


def test_scalars_of_records_and_what_is_masked_come_back():
    record = RECORDS.view(np.recarray)[0]
    assert (round_trip(record), type(round_trip(record))) == (record, np.record)
    assert round_trip(np.ma.masked) is np.ma.masked


def test_functions_of_numpy_are_stored_by_name():
    assert round_trip(np.sin) is np.sin
    assert round_trip([np.sum])[0] is np.sum
    with pytest.raises(CannotEncode, match="no function of numpy itself"):
        payload(np.frompyfunc(str, 1, 1))


def test_bytes_between_fields_are_no_part_of_a_value():
    kind = np.dtype([("a", "u1"), ("b", "f8")], align=True)
    one, two = (np.full(2 * kind.itemsize, hidden, dtype="u1").view(kind) for hidden in (0, 7))
    for array in (one, two):
        array["a"], array["b"] = 1, 2
    assert payload(one) == payload(two)
    assert payload(one[0]) == payload(two[0])


def test_what_an_array_of_objects_cannot_hold_is_named():
    with pytest.raises(CannotEncode, match=r"value\['a'\]\[1\]: .*object has no deterministic encoding"):
        payload({"a": np.array([1, object()], dtype=object)})


@pytest.mark.parametrize("made", [np.random.default_rng(1), np.random.RandomState(1)], ids=["generator", "state"])
def test_random_generators_are_refused(made: Any):
    with pytest.raises(CannotEncode) as caught:
        payload(made)
    assert "give the seed" in caught.value.hint


def test_an_array_is_a_blob_from_where_its_value_would_fall_apart():
    for size, kinds in ((32 * 1024, ["value"]), (32 * 1024 + 1, ["blob", "value"])):
        encoder = Encoder(DEFAULT_FORMAT)
        encoder.value([np.zeros(size, "u1")])
        assert sorted(kind for kind, _ in encoder.objects.values()) == kinds


def test_small_blobs_are_written_with_the_objects_around_them():
    encoder = Encoder(DEFAULT_FORMAT)
    written: list[int] = []
    encoder.write_blob = lambda _, data: written.append(len(data))
    encoder.value([np.zeros(40_000, "u1"), np.zeros(2 << 20, "u1")])
    assert written == [2 << 20]
    assert "blob" in {kind for kind, _ in encoder.objects.values()}


def test_arrays_are_shown_by_their_first_numbers_also_when_they_are_large():
    assert line(np.arange(100_000)) == "array([0, 1, 2, 3, 4, 5, ...], shape=(100000,), dtype=int64)"
    assert line(np.zeros((300, 400), "f4")).startswith("array([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, ...], ...], shape=")
    assert line(np.array(["2020-01-01T01"], "M8[s]")) == "array([2020-01-01 01:00:00], shape=(1,), dtype=datetime64[s])"
    assert line(np.timedelta64(90, "s")) == "timedelta64(0:01:30)"
    assert line(ARRAYS["objects"]) == "array([1, 'a', None, 2.5], shape=(2, 2), dtype=object)"
    assert "mask=array([False, True]" in line(ARRAYS["masked"])
