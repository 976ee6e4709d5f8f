"""Frames and series of polars come back as they were, and are one value however they lie in memory."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal

from redun.core.errors import CannotEncode
from tests.core.round_trips import line, page, payload, round_trip

SERIES: list[Any] = [
    pl.Series("a", [1, None, 3]),
    pl.Series([1, 2], dtype=pl.Int8),
    pl.Series([1.5, None, float("nan")]),
    pl.Series([None, 1], dtype=pl.Float32),
    pl.Series([True, None]),
    pl.Series(["a", None, "é"]),
    pl.Series([b"a", None, b""]),
    pl.Series([dt.date(2020, 1, 1), None]),
    pl.Series([dt.datetime(2020, 1, 1), None]),
    pl.Series([dt.datetime(2020, 1, 1), None]).dt.replace_time_zone("Europe/Berlin").dt.cast_time_unit("ms"),
    pl.Series([dt.time(1, 2), None]),
    pl.Series([dt.timedelta(1), None]),
    pl.Series([Decimal("1.20"), None]),
    *([pl.Series([2**100, None], dtype=pl.Int128)] if hasattr(pl, "Int128") else []),
    pl.Series(["a", "b", "a", None], dtype=pl.Categorical),
    pl.Series(["a", "b", None], dtype=pl.Enum(["b", "a"])),
    pl.Series([[1], None, [], [2, None]]),
    pl.Series([["a"], [], None]),
    pl.Series([[[1], []], None, [None]]),
    pl.Series([[1, 2], None, [3, 4]], dtype=pl.Array(pl.Int8, 2)),
    pl.Series([{"a": 1, "b": "x"}, None, {"a": None, "b": None}]),
    pl.Series([[{"a": 1}], None]),
    pl.Series([None, None]),
    pl.Series([], dtype=pl.String),
    pl.Series([], dtype=pl.List(pl.Int8)),
    pl.Series([], dtype=pl.Struct({"a": pl.Int8})),
    pl.Series([[]], dtype=pl.List(pl.Int8)),
    pl.Series([None], dtype=pl.List(pl.Int8)),
]


@pytest.mark.parametrize("series", SERIES, ids=lambda series: str(series.dtype))
def test_series_come_back_as_they_were(series: Any):
    decoded = round_trip(series)
    assert_series_equal(decoded, series, check_exact=True)
    assert (decoded.dtype, decoded.name) == (series.dtype, series.name)
    assert round_trip(series.dtype) == series.dtype
    frame = series.to_frame("c")
    assert_frame_equal(round_trip(frame), frame)


@pytest.mark.parametrize("series", [s for s in SERIES if len(s) > 1], ids=lambda series: str(series.dtype))
def test_slices_and_chunks_are_no_part_of_a_value(series: Any):
    for part in (series[1:], series[:1]):
        assert payload(part) == payload(pl.Series(series.name, part.to_list(), dtype=series.dtype))
    assert payload(pl.concat([series[:1], series[1:]], rechunk=False)) == payload(series)


def test_frames_come_back_with_their_columns_in_order():
    frame = pl.DataFrame({"b": [1, 2], "a": ["x", None]})
    assert_frame_equal(round_trip({"f": [frame]})["f"][0], frame)
    assert round_trip(frame.schema) == frame.schema
    assert round_trip(pl.DataFrame()).shape == (0, 0)
    assert payload(frame) != payload(frame.select("a", "b"))


def test_a_frame_that_was_read_may_be_changed():
    decoded = round_trip(pl.DataFrame({"a": [1, 2]}))
    decoded[0, "a"] = 9
    assert decoded["a"].to_list() == [9, 2]


def test_plans_and_expressions_are_refused_with_what_to_do():
    with pytest.raises(CannotEncode, match="a plan and not its rows") as caught:
        payload({"f": pl.LazyFrame({"a": [1]})})
    assert (caught.value.path, ".collect()" in caught.value.hint) == ("value['f']", True)
    with pytest.raises(CannotEncode, match="an expression of polars"):
        payload(pl.col("a"))


def test_a_column_without_a_form_is_named():
    with pytest.raises(CannotEncode, match=r"value\['k'\]: a column of dtype Object"):
        payload(pl.DataFrame({"k": pl.Series([object()], dtype=pl.Object)}))


def test_a_frame_is_shown_by_its_first_rows():
    frame = pl.DataFrame({"a": [1, None], "when": [dt.datetime(2020, 1, 1, 1, 2, 3, 4)] * 2, "l": [[1], None]})
    assert page(frame) == [
        "DataFrame(",
        "  2 rows x 3 columns",
        "  a: Int64  when: Datetime(us)          l: List(Int64)",
        "  1         2020-01-01 01:02:03.000004  ...",
        "  null      2020-01-01 01:02:03.000004  ...",
        ")",
    ]
    assert line(pl.Series("n", ["x", None])) == "Series([x, null], 2 rows, dtype=String, name=n)"
