"""Types of pyarrow as plain data: a word, or a list that begins with one."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from redun.core.errors import CannotDecode, CannotEncode

#: Types that a word says all about.
_WORDS: Final[dict[str, Any]] = {
    str(kind): kind
    for kind in (
        pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(),
        pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.date32(), pa.date64(), pa.string(), pa.binary(),
        pa.large_string(), pa.large_binary(), pa.string_view(), pa.binary_view(), pa.month_day_nano_interval(),
    )
}  # fmt: skip
_LISTS: Final[dict[str, Any]] = {"list": pa.list_, "large_list": pa.large_list}


def write_type(kind: Any) -> Any:
    """Returns a type as plain data.

    Raises:
        CannotEncode: if there is no form for it.
    """
    word, tests = str(kind), pa.types
    if word in _WORDS and _WORDS[word] == kind:
        return word
    if tests.is_timestamp(kind):
        return ["timestamp", kind.unit, kind.tz]
    if tests.is_time(kind):
        return [f"time{kind.bit_width}", kind.unit]
    if tests.is_duration(kind):
        return ["duration", kind.unit]
    if tests.is_decimal(kind):
        return [f"decimal{kind.bit_width}", kind.precision, kind.scale]
    if tests.is_fixed_size_binary(kind):
        return ["fixed_size_binary", kind.byte_width]
    if tests.is_fixed_size_list(kind):
        return ["fixed_size_list", write_field(kind.value_field), kind.list_size]
    if tests.is_list(kind) or tests.is_large_list(kind):
        return ["list" if tests.is_list(kind) else "large_list", write_field(kind.value_field)]
    if tests.is_struct(kind):
        return ["struct", [write_field(field) for field in kind]]
    if tests.is_map(kind):
        return ["map", write_field(kind.key_field), write_field(kind.item_field), kind.keys_sorted]
    if tests.is_dictionary(kind):
        return ["dictionary", write_type(kind.index_type), write_type(kind.value_type), kind.ordered]
    raise CannotEncode(f"the Arrow type {kind} has no form here", hint="cast it to a plain type")


def write_field(field: Any) -> list[Any]:
    """Returns [name, type, whether it may be null, metadata] of a field."""
    metadata = {name: field.metadata[name] for name in sorted(field.metadata)} if field.metadata else None
    return [field.name, write_type(field.type), field.nullable, metadata]


def read_field(state: Any) -> Any:
    """Returns the field that plain data describes."""
    name, kind, nullable, metadata = state
    return pa.field(name, read_type(kind), nullable=nullable, metadata=metadata)


def read_type(state: Any) -> Any:
    """Returns the type that plain data describes.

    Raises:
        CannotDecode: if this version of the library has none such.
    """
    if isinstance(state, str):
        if state not in _WORDS:
            raise CannotDecode(f"pyarrow has no type {state!r} here", hint="upgrade pyarrow")
        return _WORDS[state]
    word, *rest = state
    if word in _LISTS:
        return _LISTS[word](read_field(rest[0]))
    if word == "fixed_size_list":
        return pa.list_(read_field(rest[0]), rest[1])
    if word == "struct":
        return pa.struct([read_field(field) for field in rest[0]])
    if word == "map":
        return pa.map_(read_field(rest[0]), read_field(rest[1]), keys_sorted=rest[2])
    if word == "dictionary":
        return pa.dictionary(read_type(rest[0]), read_type(rest[1]), ordered=rest[2])
    makers: dict[str, Any] = {
        "timestamp": pa.timestamp,
        "time32": pa.time32,
        "time64": pa.time64,
        "duration": pa.duration,
    }
    makers |= {f"decimal{width}": getattr(pa, f"decimal{width}", None) for width in (32, 64, 128, 256)}
    makers["fixed_size_binary"] = pa.binary
    if makers.get(word) is None:
        raise CannotDecode(f"pyarrow has no type {word!r} here", hint="upgrade pyarrow")
    return makers[word](*rest)
