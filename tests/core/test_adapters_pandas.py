"""Frames, series and indexes of pandas come back as they were, and are one value however they lie in memory."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from redun.core.errors import CannotEncode
from redun.core.values import Encoder
from tests.core.round_trips import line, page, payload, round_trip

ZONED = pd.date_range("2020-01-01", periods=3, tz="Europe/Berlin")
SERIES: dict[str, Any] = {
    "int": pd.Series([1, 2, 3]),
    "float": pd.Series([1.0, np.nan]),
    "half": pd.Series([1], dtype="float16"),
    "bool": pd.Series([True, False]),
    "complex": pd.Series([1j]),
    "text": pd.Series(["a", None, "é"]),
    "text of python": pd.Series(["a", None], dtype=pd.StringDtype("python")),
    "text of pyarrow": pd.Series(["a", None], dtype="string[pyarrow]"),
    "objects": pd.Series([1, "a", None, [1], np.nan, pd.NA], dtype=object),
    "dates": pd.Series([dt.date(2020, 1, 1)]),
    "Int64": pd.Series([1, None], dtype="Int64"),
    "UInt8": pd.Series([1], dtype="UInt8"),
    "Float64": pd.Series([1.5, None], dtype="Float64"),
    "boolean": pd.Series([True, None], dtype="boolean"),
    "moments": pd.Series(pd.to_datetime(["2020-01-01", None])),
    "moments in a zone": pd.Series(ZONED),
    "moments of seconds": pd.Series(pd.date_range("2020-01-01", periods=3, tz="UTC", unit="s")),
    "an hour twice": pd.Series(pd.date_range("2024-10-27 00:00", periods=4, freq="h", tz="Europe/Berlin")),
    "spans": pd.Series(pd.to_timedelta([1, 2], unit="h")),
    "categories": pd.Series(["a", "b", "a", None], dtype="category"),
    "ordered categories": pd.Series(pd.Categorical([2, 1], categories=[1, 2, 3], ordered=True)),
    "periods": pd.Series(pd.period_range("2020-01", periods=2, freq="M")),
    "intervals": pd.Series(pd.interval_range(0, 3)),
    "intervals of moments": pd.Series(pd.IntervalIndex.from_breaks(ZONED)),
    "arrow": pd.Series([1, None], dtype="int64[pyarrow]"),
    "arrow text": pd.Series(["a", None], dtype="large_string[pyarrow]"),
    "named": pd.Series([1, 2], name=("a", 1), index=["x", "y"]),
    "empty": pd.Series([], dtype="float32"),
}


def _equal(a: Any, b: Any) -> None:
    pd.testing.assert_series_equal(a, b, check_freq=True)
    assert a.dtype == b.dtype


@pytest.mark.parametrize("name", SERIES)
def test_series_come_back_as_they_were(name: str):
    series = SERIES[name]
    _equal(round_trip(series), series)
    _equal(round_trip(series.iloc[1:]), series.iloc[1:])
    assert type(round_trip(series.array)) is type(series.array)
    assert round_trip(series.dtype) == series.dtype


@pytest.mark.parametrize("name", [name for name in SERIES if len(SERIES[name])])
def test_frames_that_were_read_may_be_changed(name: str):
    frame = SERIES[name].to_frame("c")
    decoded = round_trip(frame)
    pd.testing.assert_frame_equal(decoded, frame)
    decoded.iloc[0, 0] = decoded.iloc[-1, 0]
    decoded["new"] = 1


FRAMES: dict[str, Any] = {
    "mixed": pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [1.0, 2.0]}),
    "two columns of one name": pd.DataFrame([[1, 2.0]], columns=["a", "a"]),
    "levels": pd.DataFrame(
        np.arange(4).reshape(2, 2),
        index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"]),
        columns=pd.MultiIndex.from_product([["p"], ["q", "r"]]),
    ),
    "nothing": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": []}),
    "no columns": pd.DataFrame(index=[1, 2]),
    "index with a frequency": pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2020", periods=2, freq="D")),
    "columns of many types": pd.DataFrame({0: [1], "a": [2], None: [3], ("t", 1): [4]}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_come_back_as_they_were(name: str):
    frame = FRAMES[name]
    decoded = round_trip(frame)
    pd.testing.assert_frame_equal(decoded, frame, check_column_type=True, check_index_type=True, check_freq=True)
    assert (type(decoded.index), type(decoded.columns)) == (type(frame.index), type(frame.columns))


INDEXES: list[Any] = [
    pd.Index([1, 2], name="n"),
    pd.Index(["a"]),
    pd.Index(["a", 1], dtype=object),
    pd.Index([], dtype="int8"),
    pd.Index([True]),
    pd.RangeIndex(1, 9, 2, name="r"),
    pd.date_range("2020", periods=3, freq="MS", tz="UTC"),
    pd.timedelta_range("1h", periods=3),
    pd.period_range("2020", periods=2, freq="Y"),
    pd.interval_range(0, 2),
    pd.CategoricalIndex(["a", "b"]),
    pd.MultiIndex.from_arrays([[1, 2], ["a", None]], names=["x", None]),
]


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: type(index).__name__)
def test_indexes_come_back_as_they_were(index: Any):
    decoded = round_trip(index)
    pd.testing.assert_index_equal(decoded, index, exact=True)
    assert getattr(decoded, "freq", None) == getattr(index, "freq", None)


SCALARS: list[Any] = [
    pd.Timestamp("2020-01-01"),
    pd.Timestamp("2020-01-01 01:02:03.000000004", tz="Europe/Berlin"),
    pd.Timestamp("2024-10-27 01:30", tz="UTC").tz_convert("Europe/Berlin"),
    pd.Timedelta("1h"),
    pd.Timedelta("1s").as_unit("s"),
    pd.Period("2020Q1"),
    pd.Interval(0, 1.5, closed="both"),
    pd.NaT,
    pd.NA,
    pd.offsets.MonthEnd(2),
    pd.offsets.Hour(3),
    pd.CategoricalDtype(["a"], ordered=True),
]


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_scalars_come_back_as_they_were(value: Any):
    decoded = round_trip(value)
    assert (type(decoded), repr(decoded)) == (type(value), repr(value))


def test_attributes_and_flags_come_back():
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["source"] = {"file": "x"}
    assert round_trip(frame).attrs == frame.attrs
    assert payload(frame) != payload(pd.DataFrame({"a": [1]}))
    assert not round_trip(frame.set_flags(allows_duplicate_labels=False)).flags.allows_duplicate_labels


def test_the_blocks_of_a_frame_are_no_part_of_its_value():
    whole = pd.DataFrame(np.arange(6).reshape(3, 2), columns=["a", "b"])
    pieces = pd.DataFrame({"a": [0, 2, 4]})
    pieces["b"] = [1, 3, 5]
    larger = pd.DataFrame({"z": [9, 9, 9], "b": [1, 3, 5], "a": [0, 2, 4]})[["a", "b"]]
    assert payload(whole) == payload(pieces) == payload(larger)


def test_order_of_columns_and_rows_names_and_dtypes_are_part_of_the_value():
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    others = [
        frame[["b", "a"]],
        frame[::-1],
        frame.astype("int32"),
        frame.rename(columns={"a": "c"}),
        frame.set_index("a"),
    ]
    others += [frame.astype("Int64"), frame.astype(object), frame.rename_axis("i"), frame.iloc[:1]]
    assert len({payload(one) for one in [frame, *others]}) == len(others) + 1


def test_equal_columns_of_two_frames_are_stored_once():
    one = pd.DataFrame({"a": np.arange(200_000), "b": np.arange(200_000) * 2.0})
    two = one.assign(c=1)
    from redun.core.digest import DEFAULT_FORMAT

    encoder = Encoder(DEFAULT_FORMAT)
    encoder.value(one)
    before = sum(len(data) for _, data in encoder.objects.values())
    encoder.value(two)
    after = sum(len(data) for _, data in encoder.objects.values())
    assert after - before < 1_700_000  # the third column, and not three


def test_what_a_column_cannot_hold_is_named_with_its_place():
    with pytest.raises(CannotEncode, match=r"value\['f'\]\['k'\]\.iloc\[1\]: .*object has no deterministic encoding"):
        payload({"f": pd.DataFrame({"a": [1, 2], "k": [1, object()]})})
    with pytest.raises(CannotEncode, match=r"a column of dtype Sparse"):
        payload(pd.Series(pd.arrays.SparseArray([0, 0, 1])))


class Child(pd.DataFrame):
    """Of the user, with who knows what beside."""


def test_subclasses_by_the_user_are_refused():
    with pytest.raises(CannotEncode, match=r"Child, a subclass of DataFrame, may be more"):
        payload(Child({"a": [1]}))


# -- what is shown ----------------------------------------------------------------------------------------------------


def test_a_frame_is_shown_by_its_first_rows():
    frame = pd.DataFrame({"a": range(20_000), "b": [float(i) for i in range(20_000)]}, index=range(5, 20_005))
    frame["k"] = pd.Categorical(["x", "y"] * 10_000)
    head = ["      a: int64  b: float64  k: category", "  5   0         0.0         x"]
    assert page(frame)[:4] == ["DataFrame(", "  20,000 rows x 3 columns", *head]
    assert page(frame)[-2:] == ["  ... 19,992 more rows", ")"]
    assert line(frame).startswith("DataFrame(20,000 rows, a: int64 = [0, 1, 2, ...], b: float64 = [0.0, 1.0")


def test_missing_items_levels_and_zones_are_shown():
    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "t": pd.to_datetime(["2020-01-01", None], utc=True)})
    frame.index = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])
    assert page(frame)[2:4] == [
        f"          n: Int64  t: {frame['t'].dtype}",
        "  (a, 1)  1         2020-01-01 00:00:00Z",
    ]
    assert line(frame["n"]) == "Series([1, null], 2 rows, dtype=Int64, name=n)"
    assert line(pd.Timestamp("2020-01-01")) == "Timestamp('2020-01-01 00:00:00')"


def test_frames_with_very_many_columns_are_shown_in_short():
    assert page(pd.DataFrame(np.zeros((3, 200))))[-2:] == ["  ... 193 more columns", ")"]
    assert line(pd.DataFrame(np.zeros((30, 5000)))) == "DataFrame(30 rows, many columns)"


def test_names_of_strangers_are_escaped():
    frame = pd.DataFrame({"\x1b[31mred": ["\x1b[0m"]})
    assert "\x1b" not in line(frame) + "".join(page(frame))
