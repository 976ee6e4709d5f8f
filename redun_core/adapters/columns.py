"""Columns: the one form in which tables of every library are stored, so that a table's bytes depend on no library.

A column is a list. `fixed` are items of one width, `text` items of any length one after the other, `list` and `struct`
have columns in them, `codes` points into another column. A column's *valid* is None, or a bit for each item, the lowest
first; an item that is not valid has no bytes, or zeros. Bytes are a list themselves: [bytes], or [a large leaf, its
first bytes], so that the head of a table can be shown from the table alone.

    ["fixed", dtype, count, bytes, valid]          dtype as numpy writes it, with a unit: "<i8", "<i8[us]", "|V16[e-2]"
    ["text", "utf8" or "bytes", count, bytes of count + 1 offsets as <i8, bytes, valid]
    ["list", count, bytes of count + 1 offsets as <i8, column, valid]
    ["struct", count, [names], [columns], valid]   the columns hold the items of the valid ones only
    ["codes", column of positions, column of what they point to]
    ["values", [items]]                            any values
    ["null", count]
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from redun.core.adapters.arrays import buffer
from redun.core.values import Encoder

Numbers = np.ndarray[Any, Any]


class Fixed(NamedTuple):
    """Items of one width, and which of them are valid (None: all)."""

    items: Numbers
    valid: Numbers | None


class Text(NamedTuple):
    """Items of any length: where each begins in `data`, the end of the last included."""

    offsets: Numbers
    data: Any
    valid: Numbers | None


def write_valid(encoder: Encoder, valid: Numbers | None) -> Any:
    """Returns which items are valid as a column keeps it."""
    if valid is None or bool(valid.all()):
        return None
    return buffer(encoder, np.packbits(valid, bitorder="little"))


def write_fixed(encoder: Encoder, items: Numbers, valid: Numbers | None = None, *, unit: str = "") -> list[Any]:
    """Returns the column of an array; items that are not valid become zeros."""
    plain = np.ascontiguousarray(items, dtype=items.dtype.newbyteorder("<"))
    if valid is not None and not valid.all():
        plain = plain.copy() if plain is items or plain.base is not None else plain
        plain[~valid] = np.zeros((), dtype=plain.dtype)
    return ["fixed", plain.dtype.str + unit, len(plain), buffer(encoder, plain), write_valid(encoder, valid)]


def write_text(encoder: Encoder, text: Text, *, kind: str = "utf8") -> list[Any]:
    """Returns the column of texts or byte strings; items that are not valid are empty already."""
    offsets = np.ascontiguousarray(text.offsets, dtype="<i8")
    if len(offsets) and offsets[0]:
        offsets = offsets - offsets[0]
    data = np.frombuffer(text.data, dtype=np.uint8)
    count = len(offsets) - 1
    return ["text", kind, count, buffer(encoder, offsets), buffer(encoder, data), write_valid(encoder, text.valid)]


def text_of(items: Sequence[str | bytes | None]) -> Text:
    """Returns texts or byte strings, None for those that are missing, one after the other."""
    parts = [b"" if item is None else item if isinstance(item, bytes) else item.encode() for item in items]
    valid = None if None not in items else np.fromiter((item is not None for item in items), bool, len(items))
    return Text(offsets_of(np.fromiter(map(len, parts), np.int64, len(parts))), b"".join(parts), valid)


def offsets_of(lengths: Numbers) -> Numbers:
    """Returns where items of these lengths begin, and where the last ends."""
    offsets: Numbers = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


# -- reading ----------------------------------------------------------------------------------------------------------


def read_valid(bits: Any, count: int) -> Numbers | None:
    """Returns which items are valid, None for all."""
    if bits is None:
        return None
    packed: Numbers = np.frombuffer(bits[0], dtype=np.uint8)
    return np.unpackbits(packed, count=count, bitorder="little").astype(bool)


def read_fixed(column: Any) -> Fixed:
    """Returns the items of a `fixed` column, as a view that cannot be written."""
    _, descr, count, data, bits = column
    return Fixed(
        np.frombuffer(data[0], dtype=descr.partition("[")[0] if _has_unit(descr) else descr), read_valid(bits, count)
    )


def _has_unit(descr: str) -> bool:
    return "[" in descr and descr[1] not in "Mm"  # numpy's own units are part of its dtype


def read_text(column: Any) -> Text:
    """Returns what a `text` column holds."""
    _, _, count, offsets, data, bits = column
    return Text(np.frombuffer(offsets[0], dtype="<i8"), data[0], read_valid(bits, count))


def read_items(column: Any) -> list[Any]:
    """Returns the texts or byte strings of a `text` column, None for those that are missing."""
    offsets, data, valid = read_text(column)
    view, ends = memoryview(data), offsets.tolist()
    utf8 = column[1] == "utf8"
    items = [str(view[a:b], "utf-8") if utf8 else bytes(view[a:b]) for a, b in pairwise(ends)]
    return items if valid is None else [item if ok else None for item, ok in zip(items, valid.tolist(), strict=True)]
