"""Adapters of polars: frames, series and types, as columns.

A column of numbers, times or text is stored as bytes, one of another type value by value. How a frame lies in memory
(chunks, slices, what lies under a null) is no part of its value.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from redun.core.adapters.arrays import buffer
from redun.core.adapters.columns import (
    Numbers,
    Text,
    offsets_of,
    read_fixed,
    read_items,
    read_valid,
    write_fixed,
    write_text,
    write_valid,
)
from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.errors import CannotDecode, CannotEncode
from redun.core.values import PARTS, Encoder

# -- types ------------------------------------------------------------------------------------------------------------

#: Types that a word says all about.
_WORDS: Final = frozenset({
    "Boolean", "Int8", "Int16", "Int32", "Int64", "Int128", "UInt8", "UInt16", "UInt32", "UInt64", "UInt128", "Float16",
    "Float32", "Float64", "String", "Binary", "Date", "Time", "Null",
})  # fmt: skip


def _write_type(dtype: Any) -> Any:
    word = str(dtype.base_type())
    if word in _WORDS:
        return word
    if isinstance(dtype, pl.Datetime):
        return ["Datetime", dtype.time_unit, dtype.time_zone]
    if isinstance(dtype, pl.Duration):
        return ["Duration", dtype.time_unit]
    if isinstance(dtype, pl.Decimal):
        return ["Decimal", dtype.precision, dtype.scale]
    if isinstance(dtype, pl.List):
        return ["List", _write_type(dtype.inner)]
    if isinstance(dtype, pl.Array):
        return ["Array", _write_type(dtype.inner), dtype.size]
    if isinstance(dtype, pl.Struct):
        return ["Struct", [[field.name, _write_type(field.dtype)] for field in dtype.fields]]
    if isinstance(dtype, pl.Enum):
        return ["Enum", dtype.categories.to_list()]
    if isinstance(dtype, pl.Categorical) and dtype == pl.Categorical():
        return ["Categorical"]
    raise CannotEncode(f"a column of dtype {dtype} has no form here", hint="cast it to a plain type")


def _read_type(state: Any) -> Any:
    word: Any
    parts: list[Any]
    word, *parts = [state] if isinstance(state, str) else state
    if word == "List":
        return pl.List(_read_type(parts[0]))
    if word == "Array":
        return pl.Array(_read_type(parts[0]), parts[1])
    if word == "Struct":
        return pl.Struct([pl.Field(name, _read_type(kind)) for name, kind in parts[0]])
    if word in _WORDS or word in ("Datetime", "Duration", "Decimal", "Enum", "Categorical"):
        maker = getattr(pl, word, None)
        if maker is not None:
            return maker(*parts)
    raise CannotDecode(f"polars has no type {word!r} here", hint="upgrade polars")


# -- columns ----------------------------------------------------------------------------------------------------------


def _write_column(encoder: Encoder, series: Any) -> list[Any]:
    dtype = series.dtype
    valid = None if series.null_count() == 0 else series.is_not_null().to_numpy()
    if dtype == pl.Null:
        return ["null", len(series)]
    if dtype == pl.String:
        filled = series if valid is None else series.fill_null("")
        return _write_text(encoder, filled.str.len_bytes(), "".join(filled).encode(), valid, "utf8")
    if dtype == pl.Binary:
        filled = series if valid is None else series.fill_null(b"")
        return _write_text(encoder, filled.bin.size(), b"".join(filled), valid, "bytes")
    if isinstance(dtype, pl.Categorical):
        return _write_column(encoder, series.cast(pl.String))
    if isinstance(dtype, pl.Enum):
        return ["codes", _write_column(encoder, series.to_physical()), _write_column(encoder, dtype.categories)]
    if isinstance(dtype, (pl.List, pl.Array)):
        return _write_list(encoder, series, valid)
    if isinstance(dtype, pl.Struct):
        held = series if valid is None else series.filter(series.is_not_null())
        parts = [_write_column(encoder, held.struct.field(field.name)) for field in dtype.fields]
        return ["struct", len(series), [field.name for field in dtype.fields], parts, write_valid(encoder, valid)]
    if dtype == pl.Boolean or (dtype.is_numeric() and str(dtype) not in _WIDE and not isinstance(dtype, pl.Decimal)):
        filled = series if valid is None else series.fill_null(False if dtype == pl.Boolean else 0)
        return write_fixed(encoder, filled.to_numpy(), valid)
    if dtype.is_temporal():
        physical = series.to_physical()
        filled = physical if valid is None else physical.fill_null(0)
        return write_fixed(encoder, filled.to_numpy(), valid, unit=_unit(dtype))
    if isinstance(dtype, pl.Decimal) or str(dtype) in _WIDE:
        return ["values", series.to_list()]
    raise CannotEncode(f"a column of dtype {dtype} has no form here", hint="cast it to a plain type")


#: Types that numpy does not have.
_WIDE: Final = frozenset(("Int128", "UInt128"))


def _unit(dtype: Any) -> str:
    if isinstance(dtype, pl.Datetime):
        return f"[{dtype.time_unit}]"
    if isinstance(dtype, pl.Duration):
        return f"[+{dtype.time_unit}]"
    return "[D]" if dtype == pl.Date else "[+ns]"


def _write_text(encoder: Encoder, lengths: Any, data: bytes, valid: Numbers | None, kind: str) -> list[Any]:
    return write_text(encoder, Text(offsets_of(lengths.to_numpy()), data, valid), kind=kind)


def _write_list(encoder: Encoder, series: Any, valid: Numbers | None) -> list[Any]:
    held = series if valid is None else series.filter(series.is_not_null())
    if isinstance(series.dtype, pl.Array):
        size = series.dtype.size
        lengths = np.full(len(series), size) if valid is None else np.where(valid, size, 0)
        inner = held.arr.to_list().explode() if size and len(held) else pl.Series([], dtype=series.dtype.inner)
    else:
        lengths = series.list.len().fill_null(0).to_numpy()
        inner = held.filter(held.list.len() > 0).explode()  # which would make a null of an empty list
    offsets = buffer(encoder, offsets_of(lengths))
    return ["list", len(series), offsets, _write_column(encoder, inner), write_valid(encoder, valid)]


def _read_column(column: Any, dtype: Any) -> Any:
    """Returns the series without a name that a column holds."""
    form = column[0]
    if form == "null":
        return pl.Series([None] * column[1], dtype=pl.Null)
    if form == "values":
        return pl.Series(column[1], dtype=dtype)
    if form == "text":
        return pl.Series(read_items(column), dtype=pl.Binary if column[1] == "bytes" else pl.String).cast(dtype)
    if form == "codes":
        places = _read_column(column[1], pl.UInt32)
        return _read_column(column[2], pl.String).gather(places).cast(dtype)
    if form == "struct":
        _, count, names, parts, bits = column
        series = [_read_column(p, f.dtype).alias(f.name) for p, f in zip(parts, dtype.fields, strict=True)]
        valid = read_valid(bits, count)
        held = pl.DataFrame(series).to_struct() if names else pl.Series([{}] * count, dtype=dtype)
        return held if valid is None else held.gather(_places(valid))
    if form == "list":
        return _read_list(column, dtype)
    items, valid = read_fixed(column)
    made = pl.Series(items)
    if valid is not None:
        made = made.to_frame("items").select(pl.when(pl.Series(valid)).then(pl.col("items"))).to_series()
    return made.cast(dtype)


def _places(valid: Numbers) -> Any:
    """For each item its place among the valid ones, null where it is not."""
    places = pl.Series(np.cumsum(valid) - 1)
    return places.to_frame("place").select(pl.when(pl.Series(valid)).then(pl.col("place"))).to_series()


def _read_list(column: Any, dtype: Any) -> Any:
    _, count, data, inner, bits = column
    offsets = np.frombuffer(data[0], dtype="<i8")
    lengths, valid = np.diff(offsets), read_valid(bits, count)
    items = _read_column(inner, dtype.inner)
    rows = np.repeat(np.arange(count), lengths)
    grouped = (
        pl.DataFrame({"row": rows, "item": items})
        .group_by("row", maintain_order=True)
        .agg(pl.col("item"))
        .get_column("item")
    )
    if len(grouped) != count:
        empty = pl.Series([[]], dtype=pl.List(dtype.inner))
        grouped = pl.concat([grouped.cast(pl.List(dtype.inner)), empty])
        places = np.where(lengths > 0, np.cumsum(lengths > 0) - 1, len(grouped) - 1)
        grouped = grouped.gather(pl.Series(places, dtype=pl.UInt32))
    if valid is not None:
        grouped = grouped.to_frame("items").select(pl.when(pl.Series(valid)).then(pl.col("items"))).to_series()
    return grouped.cast(dtype)


# -- frames -----------------------------------------------------------------------------------------------------------


def _series(encoder: Encoder, series: Any) -> Any:
    return [series.name, _write_type(series.dtype), _write_column(encoder, series)]


def _read_series(_: Decoder | None, state: Any) -> Any:
    name, kind, column = state
    return _read_column(column, _read_type(kind)).alias(name)


def _frame(encoder: Encoder, frame: Any) -> Any:
    return [frame.height, [_series(encoder, series) for series in frame.get_columns()]]


def _read_frame(_: Decoder, state: Any) -> Any:
    _height, columns = state
    return pl.DataFrame([_read_series(None, column) for column in columns])


def _lazy(_: Encoder, frame: Any) -> Any:
    raise CannotEncode("a LazyFrame is a plan and not its rows", hint="call .collect() in the task that makes it")


def _expression(_: Encoder, expression: Any) -> Any:
    raise CannotEncode("an expression of polars has no deterministic encoding", hint="make it in the task that uses it")


def _schema(_: Encoder, schema: Any) -> Any:
    return [[name, _write_type(kind)] for name, kind in schema.items()]


def _all_kinds(kind: Any) -> list[Any]:
    return [kind, *(sub for below in kind.__subclasses__() for sub in _all_kinds(below))]


def _unread(_: Decoder, __: Any) -> Any:
    raise CannotDecode("nothing of the kind is ever stored")


PARTS[pl.DataFrame] = lambda frame: ((f"[{series.name!r}]", series) for series in frame.get_columns())
PARTS[pl.Series] = PARTS[pl.LazyFrame] = PARTS[pl.Expr] = lambda _: ()
register(pl.DataFrame, "polars.DataFrame", _frame, _read_frame)
register(pl.Series, "polars.Series", _series, _read_series)
register(pl.LazyFrame, "polars.LazyFrame", _lazy, _unread)
register(pl.Expr, "polars.Expr", _expression, _unread)
register(pl.Schema, "polars.Schema", _schema, lambda _, s: pl.Schema([(name, _read_type(kind)) for name, kind in s]))
for _kind in _all_kinds(pl.DataType):
    register(_kind, "polars.DataType", lambda _, kind: _write_type(kind), lambda _, s: _read_type(s))
