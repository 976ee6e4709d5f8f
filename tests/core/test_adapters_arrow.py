"""Arrays and tables of pyarrow come back as they were, and are one value however they lie in memory."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest

from redun.core.errors import CannotEncode
from tests.core.round_trips import page, payload, round_trip

NANOSECONDS = pa.array([1, None, -5], pa.timestamp("ns"))
CATEGORIES = pa.array(["a", "b", None, "a"]).dictionary_encode()
compute: Any = pyarrow.compute  # whose functions are made at run time
ARRAYS: list[Any] = [
    pa.array([1, None, 3]),
    pa.array([1, 2], pa.int8()),
    pa.array(np.array([1.5, 2], dtype="f2")),
    pa.array([float("nan"), None, -0.0]),
    pa.array([True, None, False]),
    pa.array(["a", None, "é"]),
    pa.array([b"a", None]),
    pa.array(["a", None, ""], pa.large_string()),
    pa.array(["long enough to lie elsewhere", None, "d"], pa.string_view()),
    pa.array([b"x", b""], pa.binary_view()),
    pa.array([dt.date(2020, 1, 1), None]),
    pa.array([dt.date(2020, 1, 1)], pa.date64()),
    pa.array([dt.datetime(2020, 1, 1), None], pa.timestamp("us", tz="Europe/Berlin")),
    NANOSECONDS,
    pa.array([dt.time(1, 2), None]),
    pa.array([1], pa.time32("ms")),
    pa.array([dt.timedelta(1), None]),
    pa.array([Decimal("1.20"), None]),
    pa.array([Decimal("1.20")], pa.decimal256(50, 3)),
    pa.array([b"abc", None], pa.binary(3)),
    pa.array([[1], None, [], [2, 3]]),
    pa.array([[1], None, [], [2, 3]], pa.large_list(pa.int8())),
    pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int32(), 2)),
    pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "z"}]),
    pa.array([{}, None], pa.struct([])),
    pa.array([[("k", 1)], None, [], [("l", None), ("m", 2)]], pa.map_(pa.string(), pa.int32())),
    CATEGORIES,
    pa.array(["a"]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string(), ordered=True)),
    pa.nulls(3),
    pa.array([[{"a": [1, None]}], None]),
    pa.array([[[1], []], None, [None]]),
    pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    pa.array([], pa.string()),
    pa.array([], pa.list_(pa.int8())),
    pa.array([], pa.struct([("a", pa.int8())])),
]


def _same(a: Any, b: Any) -> bool:
    # equal also where a NaN stands at the same place, and in the order of a dictionary
    return bool(type(a) is type(b) and a.type == b.type and (a.equals(b) or str(a) == str(b)))


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.type))
def test_arrays_come_back_as_they_were(array: Any):
    decoded = round_trip(array)
    decoded.validate(full=True)
    assert _same(decoded, array)
    assert round_trip(array.type) == array.type


@pytest.mark.parametrize("array", [a for a in ARRAYS if len(a) > 1], ids=lambda array: str(array.type))
def test_a_slice_is_the_array_of_its_items(array: Any):
    for part in (array[1:], array[:1]):
        assert _same(round_trip(part), part)
        if array is not NANOSECONDS and array is not CATEGORIES:  # whose items are no values of Python
            assert payload(part) == payload(pa.array(part.to_pylist(), type=array.type))


@pytest.mark.parametrize("array", [a for a in ARRAYS if len(a) > 1], ids=lambda array: str(array.type))
def test_chunks_are_no_part_of_a_value(array: Any):
    chunked = pa.chunked_array([array[:1], array[1:]])
    decoded = round_trip(chunked)
    assert decoded.num_chunks == 1
    assert _same(decoded.chunk(0), array) or array is CATEGORIES
    assert payload(chunked) == payload(pa.chunked_array([array])) or array is CATEGORIES


def test_what_lies_under_a_null_is_no_part_of_a_value():
    bits = pa.py_buffer(b"\x05")
    left, right = (
        pa.Array.from_buffers(pa.int64(), 3, [bits, pa.py_buffer(np.array([1, hidden, 3]))]) for hidden in (7, 8)
    )
    assert left.equals(right)
    assert payload(left) == payload(right)


@pytest.mark.parametrize("array", ARRAYS[:6], ids=lambda array: str(array.type))
def test_scalars_come_back(array: Any):
    for scalar in (array[0], array[1]):
        decoded = round_trip(scalar)
        assert (type(decoded), repr(decoded)) == (type(scalar), repr(scalar))


def _table() -> Any:
    fields = [
        pa.field("a", pa.int64(), nullable=False, metadata={"unit": "m"}),
        pa.field("b", pa.string()),
    ]
    return pa.table([[1, 2], ["x", None]], schema=pa.schema(fields, metadata={"k": "v", "a": "b"}))


def test_tables_batches_and_schemas_come_back_with_their_metadata():
    table = _table()
    assert round_trip(table).equals(table, check_metadata=True)
    assert round_trip(table.schema).equals(table.schema, check_metadata=True)
    batch = table.to_batches()[0]
    decoded = round_trip(batch)
    assert type(decoded) is pa.RecordBatch
    assert decoded.equals(batch, check_metadata=True)
    assert round_trip(table.field("a")).equals(table.field("a"), check_metadata=True)


def test_the_order_of_metadata_is_no_part_of_a_value():
    table = pa.table({"a": [1]})
    assert payload(table.replace_schema_metadata({"x": "1", "y": "2"})) == payload(
        table.replace_schema_metadata({"y": "2", "x": "1"})
    )


def test_rows_of_a_table_without_columns_are_counted():
    assert round_trip(_table().select([])).num_rows == 2


def test_versions_of_libraries_are_no_part_of_a_value():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2]}, index=["x", "y"])
    table = pa.Table.from_pandas(frame)
    older = table.replace_schema_metadata(
        {b"pandas": table.schema.metadata[b"pandas"].replace(b'version": "', b'version": "0.')}
    )
    assert older.schema.metadata != table.schema.metadata
    assert payload(older) == payload(table)
    pd.testing.assert_frame_equal(round_trip(table).to_pandas(), frame)


def test_types_without_a_form_are_named():
    for array in (
        compute.run_end_encode(pa.array([1, 1])),
        pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]),
    ):
        with pytest.raises(CannotEncode, match="has no form here"):
            payload(pa.table({"x": array}))


def test_a_table_is_shown_by_its_first_rows():
    rows = ["  a: int64  b: string", "  1         x", "  2         null"]
    assert page(_table()) == ["Table(", "  2 rows x 2 columns", *rows, ")"]
