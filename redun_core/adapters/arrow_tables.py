"""Adapters of pyarrow: tables, batches, arrays, schemas and types, as columns.

What does not belong to a value is gone from its bytes: chunks, slices, what lies under a null, and the versions of
libraries that pandas leaves in a schema.
"""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
import pyarrow as pa

from redun.core.adapters.arrays import buffer
from redun.core.adapters.arrow_types import read_field, read_type, write_field, write_type
from redun.core.adapters.columns import (
    Numbers,
    Text,
    offsets_of,
    read_fixed,
    read_text,
    read_valid,
    write_fixed,
    write_text,
    write_valid,
)
from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.errors import CannotEncode
from redun.core.values import Encoder

# -- columns ----------------------------------------------------------------------------------------------------------


def whole(array: Any) -> Any:
    """Returns the array without chunks."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    if pa.types.is_dictionary(array.type) and array.num_chunks > 1:
        array = array.unify_dictionaries()
    combined = array.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def write_column(encoder: Encoder, array: Any) -> list[Any]:
    """Returns an array as a column.

    Raises:
        CannotEncode: if there is none for its type.
    """
    kind = array.type
    valid = None if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_null(kind):
        return ["null", len(array)]
    if pa.types.is_dictionary(kind):
        return ["codes", write_column(encoder, array.indices), write_column(encoder, array.dictionary)]
    if _is_text(kind):
        return _write_text(encoder, array, valid)
    if pa.types.is_struct(kind):
        held = array if valid is None else array.filter(array.is_valid())
        parts = [write_column(encoder, part) for part in held.flatten()]
        return ["struct", len(array), [field.name for field in kind], parts, write_valid(encoder, valid)]
    if _is_list(kind):
        offsets = buffer(encoder, offsets_of(_lengths(array, valid)))
        return ["list", len(array), offsets, write_column(encoder, _flat(array)), write_valid(encoder, valid)]
    if pa.types.is_boolean(kind):
        filled = array if valid is None else array.fill_null(False)
        return write_fixed(encoder, filled.to_numpy(zero_copy_only=False), valid)
    return _write_numbers(encoder, array, valid)


def _is_text(kind: Any) -> bool:
    return any(
        test(kind)
        for test in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_string_view,
            pa.types.is_binary_view,
        )
    )


def _is_list(kind: Any) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_map)
    return any(test(kind) for test in tests)


def _lengths(array: Any, valid: Numbers | None) -> Numbers:
    if pa.types.is_fixed_size_list(array.type):
        lengths = np.full(len(array), array.type.list_size, dtype=np.int64)
    else:
        lengths = np.diff(array.offsets.to_numpy(zero_copy_only=False)) if len(array) else np.zeros(0, np.int64)
    return lengths if valid is None else np.where(valid, lengths, 0)


def _flat(array: Any) -> Any:
    """The items of the lists one after the other, nothing of what lies under a null."""
    held = array.filter(array.is_valid()) if array.null_count else array
    if pa.types.is_map(array.type):
        start, end = (held.offsets[0].as_py(), held.offsets[-1].as_py()) if len(held) else (0, 0)
        return pa.StructArray.from_arrays(
            [held.keys[start:end], held.items[start:end]], fields=[array.type.key_field, array.type.item_field]
        )
    return held.flatten()


def _write_text(encoder: Encoder, array: Any, valid: Numbers | None) -> list[Any]:
    is_utf8 = (
        pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type)
    )
    large = _cast(array, pa.large_string() if is_utf8 else pa.large_binary())
    if valid is not None:
        large = large.fill_null("" if is_utf8 else b"")
    kind = "utf8" if is_utf8 else "bytes"
    if len(large) == 0:
        return write_text(encoder, Text(np.zeros(1, np.int64), b"", None), kind=kind)
    _, offsets, data = large.buffers()
    ends = np.frombuffer(offsets, dtype="<i8")[large.offset : large.offset + len(large) + 1]
    held = memoryview(data)[ends[0] : ends[-1]] if data is not None else b""
    return write_text(encoder, Text(ends, held, valid), kind=kind)


def _write_numbers(encoder: Encoder, array: Any, valid: Numbers | None) -> list[Any]:
    descr, unit = _width(array.type)
    data = array.buffers()[1]
    items = np.frombuffer(b"" if data is None else data, dtype=descr)[array.offset : array.offset + len(array)]
    return write_fixed(encoder, items, valid, unit=unit)


def _width(kind: Any) -> tuple[str, str]:
    """numpy's dtype for items of a type of one width, and their unit."""
    tests = pa.types
    if tests.is_integer(kind) or tests.is_floating(kind):
        letter = "f" if tests.is_floating(kind) else "i" if tests.is_signed_integer(kind) else "u"
        return f"<{letter}{kind.bit_width // 8}", ""
    if tests.is_date32(kind):
        return "<i4", "[D]"
    if tests.is_date64(kind):
        return "<i8", "[ms]"
    if tests.is_timestamp(kind):
        return "<i8", f"[{kind.unit}]"
    if tests.is_time(kind) or tests.is_duration(kind):
        return f"<i{kind.bit_width // 8}", f"[+{kind.unit}]"
    if tests.is_decimal(kind):
        return f"|V{kind.bit_width // 8}", f"[e{-kind.scale}]"
    if tests.is_fixed_size_binary(kind) or kind == pa.month_day_nano_interval():
        return f"|V{kind.bit_width // 8}", ""
    raise CannotEncode(f"an array of type {kind} has no form here", hint="cast it to a plain type")


# -- and back ---------------------------------------------------------------------------------------------------------


def _bits(bits: Any) -> Any:
    return None if bits is None else pa.py_buffer(bits[0])


def read_column(column: Any, kind: Any) -> Any:
    """Returns the array of a type that a column holds.

    Raises:
        ValueError: if its offsets or positions lead out of it: whoever used such an array would read beyond its bytes.
    """
    array = _read_column(column, kind)
    array.validate(full=column[0] in ("text", "list", "codes"))
    return array


def _read_column(column: Any, kind: Any) -> Any:
    form = column[0]
    if form == "null":
        return pa.nulls(column[1])
    if form == "codes":
        codes, held = read_column(column[1], kind.index_type), read_column(column[2], kind.value_type)
        return pa.DictionaryArray.from_arrays(codes, held, ordered=kind.ordered)
    if form == "text":
        return _read_text(column, kind)
    if form == "struct":
        _, count, _, parts, bits = column
        valid = read_valid(bits, count)
        arrays = [_spread(read_column(p, f.type), valid) for p, f in zip(parts, kind, strict=True)]
        if not arrays:
            return pa.array([{} if ok else None for ok in ([True] * count if valid is None else valid)], type=kind)
        return pa.StructArray.from_arrays(arrays, fields=list(kind), mask=_mask(valid))
    if form == "list":
        return _read_list(column, kind)
    if pa.types.is_boolean(kind):
        items, valid = read_fixed(column)
        return pa.array(items, type=kind, mask=None if valid is None else ~valid)
    _, _, count, data, bits = column
    return pa.Array.from_buffers(kind, count, [_bits(bits), pa.py_buffer(data[0])])


def _mask(valid: Numbers | None) -> Any:
    return None if valid is None else pa.array(~valid)


def _spread(array: Any, valid: Numbers | None) -> Any:
    """The items at the places of those that are valid, with nulls between."""
    if valid is None:
        return array
    places = np.cumsum(valid) - 1
    return array.take(pa.array(places, mask=~valid))


def _read_text(column: Any, kind: Any) -> Any:
    count = column[2]
    offsets = read_text(column).offsets
    wide = pa.large_string() if column[1] == "utf8" else pa.large_binary()
    narrow = pa.types.is_string(kind) or pa.types.is_binary(kind)
    if narrow:
        offsets = offsets.astype("<i4")
    parts = [_bits(column[5]), pa.py_buffer(offsets), pa.py_buffer(column[4][0])]
    array = pa.Array.from_buffers(kind if narrow else wide, count, parts)
    return array if array.type == kind else _cast(array, kind)


def _cast(array: Any, kind: Any) -> Any:
    """The same texts as another type of text."""
    try:
        return array.cast(kind)
    except pa.ArrowNotImplementedError:  # views, before pyarrow 18
        return pa.array(array.to_pylist(), type=kind)


def _read_list(column: Any, kind: Any) -> Any:
    _, count, data, inner, bits = column
    valid = read_valid(bits, count)
    offsets = np.frombuffer(data[0], dtype="<i8")
    mask = _mask(valid)
    if pa.types.is_map(kind):
        struct = pa.struct([kind.key_field, kind.item_field])
        keys, items = read_column(inner, struct).flatten()
        places = pa.array(offsets.astype("<i4"), mask=None if valid is None else np.append(~valid, False))
        return pa.MapArray.from_arrays(places, keys, items, type=kind)
    values = read_column(inner, kind.value_type)
    if pa.types.is_fixed_size_list(kind):
        if valid is not None:
            values = _spread(values, np.repeat(valid, kind.list_size))
        return pa.FixedSizeListArray.from_arrays(values, type=kind, mask=mask)
    if pa.types.is_large_list(kind):
        return pa.LargeListArray.from_arrays(pa.array(offsets), values, type=kind, mask=mask)
    return pa.ListArray.from_arrays(pa.array(offsets.astype("<i4")), values, type=kind, mask=mask)


# -- tables -----------------------------------------------------------------------------------------------------------

_PANDAS: Final = b"pandas"


def _metadata(metadata: Any) -> Any:
    """A schema's metadata, without the versions of libraries that pandas leaves there."""
    if not metadata:
        return None
    kept = dict(metadata)
    if _PANDAS in kept:
        told = json.loads(kept[_PANDAS])
        for name in ("creator", "pandas_version"):
            told.pop(name, None)
        kept[_PANDAS] = json.dumps(told, sort_keys=True).encode()
    return {name: kept[name] for name in sorted(kept)}


def _schema(_: Encoder, schema: Any) -> Any:
    return [[write_field(field) for field in schema], _metadata(schema.metadata)]


def _read_schema(_: Decoder | None, state: Any) -> Any:
    fields, metadata = state
    return pa.schema([read_field(field) for field in fields], metadata=metadata)


def _table(encoder: Encoder, table: Any) -> Any:
    columns = [write_column(encoder, whole(column)) for column in table.columns]
    return [*_schema(encoder, table.schema), table.num_rows, columns]


def _read_batch(_: Decoder, state: Any) -> Any:
    schema, (rows, columns) = _read_schema(None, state[:2]), state[2:]
    arrays = [read_column(column, field.type) for column, field in zip(columns, schema, strict=True)]
    if not arrays:
        return pa.record_batch({"rows": pa.nulls(rows)}, metadata=schema.metadata).select([])
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _read_table(decoder: Decoder, state: Any) -> Any:
    if not state[3]:
        return pa.table({"rows": pa.nulls(state[2])}, metadata=state[1]).select([])
    return pa.Table.from_batches([_read_batch(decoder, state)])


def _array(encoder: Encoder, array: Any) -> Any:
    return [write_type(array.type), write_column(encoder, whole(array))]


def _read_array(_: Decoder, state: Any) -> Any:
    return read_column(state[1], read_type(state[0]))


def _scalar(encoder: Encoder, scalar: Any) -> Any:
    return [write_type(scalar.type), write_column(encoder, pa.repeat(scalar, 1))]


def _all_kinds(kind: Any) -> list[Any]:
    return [kind, *(sub for below in kind.__subclasses__() for sub in _all_kinds(below))]


register(pa.Schema, "pyarrow.Schema", _schema, _read_schema)
register(pa.Table, "pyarrow.Table", _table, _read_table)
register(pa.RecordBatch, "pyarrow.RecordBatch", _table, _read_batch)
register(
    pa.ChunkedArray,
    "pyarrow.ChunkedArray",
    _array,
    lambda d, s: pa.chunked_array([_read_array(d, s)]),
)
for _kind in _all_kinds(pa.Array):
    register(_kind, "pyarrow.Array", _array, _read_array)
for _kind in _all_kinds(pa.Scalar):
    register(_kind, "pyarrow.Scalar", _scalar, lambda decoder, state: _read_array(decoder, state)[0])
for _kind in _all_kinds(pa.DataType):
    register(_kind, "pyarrow.DataType", lambda _, kind: write_type(kind), lambda _, state: read_type(state))
register(pa.Field, "pyarrow.Field", lambda _, field: write_field(field), lambda _, s: read_field(s))
