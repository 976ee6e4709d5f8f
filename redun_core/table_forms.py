"""Forms of tables of pandas, polars and pyarrow: rows, columns, dtypes and the first rows, from their bytes.

On one line a table is its columns, each with its first items; over several lines it is a table. What its columns look
like in bytes is told in `adapters.columns`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import Any, Final, NamedTuple

from redun.core import codes
from redun.core.array_forms import dtype_name, first_items, held, safely
from redun.core.codec import ExtType, unpack
from redun.core.forms import ADAPTED, Form, items_of, leaf, printable

#: Rows that are written, on one line and as a table.
_FEW: Final = 3
_ROWS: Final = 8
#: Characters of a cell, and of a row.
_CELL: Final = 27
_WIDTH: Final = 96
_NULL: Final = "null"
_UNKNOWN: Final = "..."


class Column(NamedTuple):
    """What is shown of a column: its name, its dtype, and the text of its first items."""

    name: str
    dtype: str
    items: list[str]


# -- items ------------------------------------------------------------------------------------------------------------


def first_of(column: Any, count: int) -> list[str]:
    """Returns the text of the first items of a column, as far as its own bytes tell."""
    if not isinstance(column, list):
        return []
    form = column[0]
    if form == "null":
        return [_NULL] * min(count, column[1])
    if form == "fixed":
        _, descr, total, data, valid = column
        return _with_nulls(first_items(descr, held(data), min(count, total)), valid)
    if form == "text":
        return _first_texts(column, count)
    if form == "codes":
        known = first_of(column[2], 1000)
        return [known[int(i)] if i.isdigit() and int(i) < len(known) else i for i in first_of(column[1], count)]
    if form == "values":
        return [_cell(item) for item in column[1][:count]] if isinstance(column[1], list) else []
    return [_UNKNOWN] * min(count, column[1])  # list and struct


def _with_nulls(items: list[str], valid: Any) -> list[str]:
    if valid is None:
        return items
    bits = int.from_bytes(held(valid), "little")
    return [item if bits >> i & 1 else _NULL for i, item in enumerate(items)]


def _first_texts(column: Any, count: int) -> list[str]:
    _, kind, total, offsets, data, valid = column
    ends = held(offsets)
    size = min(count + 1, total + 1, len(ends) // 8)
    places = struct.unpack_from(f"<{size}q", ends)
    known = held(data)
    items = []
    for start, end in pairwise(places):
        part = known[start:end] if end <= len(known) else known[start : start + 4 * _CELL] + b"..."
        items.append(printable(part.decode(errors="replace")) if kind == "utf8" else repr(part))
    return _with_nulls(items, valid)


def _cell(item: Any) -> str:
    if isinstance(item, str):
        return printable(item)
    found = leaf(item, _CELL)
    if found is not None:
        return found.opening
    if type(item) is ExtType and item.code == codes.ADAPTED:
        code, state = unpack(item.data)
        writer = ADAPTED.get(code)
        if writer is not None and (form := writer(code, state)).parts is None:
            return form.opening
    return _UNKNOWN


# -- the forms --------------------------------------------------------------------------------------------------------


def _table(name: str, rows: int, columns: Iterator[Column], total: int, index: Column | None = None) -> Form:
    shown = list(islice(columns, _WIDTH // 4))
    parts: list[tuple[str, Any]] = [("", Form(f"{rows:,} rows", style="number"))]
    for column in shown:
        few = ", ".join(_short(item) for item in column.items[:_FEW]) + (", ..." if rows > _FEW else "")
        parts.append((f"{_short(column.name)}: {_short(column.dtype)} = ", Form(f"[{few}]", style="text")))
    if total > len(shown):
        parts.append(("", Form(f"... {total - len(shown):,} more columns", style="id")))
    return Form(f"{name}(", parts, ")", block=_block(rows, shown, total, index))


def _block(rows: int, columns: list[Column], total: int, index: Column | None) -> list[str]:
    """The lines of a table: a head, and the first rows as far as they are known."""
    texts = [[f"{_short(column.name)}: {_short(column.dtype)}", *map(_short, column.items)] for column in columns]
    texts = [["", *map(_short, index.items)], *texts] if index is not None else texts
    widths = [max(map(len, column)) for column in texts]
    fitting, width = 0, 0
    for size in widths:
        width += size + 2
        if width > _WIDTH and fitting:
            break
        fitting += 1
    known = max((len(column.items) for column in columns), default=0)
    lines = [f"{rows:,} rows x {total:,} columns"]
    for i in range(known + 1 if columns else 0):
        cells = [column[i] if i < len(column) else _UNKNOWN for column in texts[:fitting]]
        lines.append("  ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=False)).rstrip())
    hidden = total - fitting + (index is not None)
    if columns and rows > known:
        lines.append(f"... {rows - known:,} more rows")
    return [*lines, f"... {hidden:,} more columns"] if columns and hidden > 0 else lines


def _short(text: str) -> str:
    return text if len(text) <= _CELL else f"{text[: _CELL - 3]}..."


def _series(name: str, rows: int, column: Column) -> Form:
    more = ", ..." if rows > len(column.items) else ""
    parts = [("", Form(f"[{', '.join(map(_short, column.items))}{more}]", style="text"))]
    parts += [("", Form(f"{rows:,} rows")), ("dtype=", Form(column.dtype, style="name"))]
    parts += [("name=", Form(column.name, style="text"))] if column.name else []
    return Form(f"{name}(", parts, ")")


# -- pandas -----------------------------------------------------------------------------------------------------------


def _pandas_column(name: str, state: Any, count: int) -> Column:
    if not isinstance(state, list):  # too large to lie in the table
        return Column(name, _UNKNOWN, [])
    kind, *parts = state
    if kind == "objects":
        return Column(name, "object", [_cell(item) for item in parts[0][:count]] if isinstance(parts[0], list) else [])
    if kind == "numpy":
        descr = parts[0][1]
        unit = descr.partition("[")[2] if "[" in descr else ""
        if unit:
            return Column(
                name, f"{'timedelta64[' if unit[0] == '+' else 'datetime64['}{unit.lstrip('+')}", _head(parts[0], count)
            )
        return Column(name, dtype_name(descr), _head(parts[0], count))
    if kind == "categorical":
        known = _index_items(parts[0], 1000)
        places = [int(place) for place in _head(parts[2], count)]
        return Column(name, "category", [_NULL if i < 0 else known[i] if i < len(known) else f"#{i}" for i in places])
    if kind == "interval":
        left, right = (_pandas_column("", part, count) for part in parts[1:3])
        return Column(
            name, f"interval[{left.dtype}]", [f"({a}, {b})" for a, b in zip(left.items, right.items, strict=False)]
        )
    dtype = parts[0] if isinstance(parts[0], str) else parts[0][0]
    if kind == "zoned":
        dtype = f"datetime64[{parts[0][1]}, {_zone(parts[0][2])}]"
        return Column(name, dtype, [f"{item}Z" for item in _head(parts[1], count)])
    if kind == "arrow":
        dtype = f"{_arrow_type(parts[0][1])}[pyarrow]"
    return Column(name, "str" if dtype == "string" else printable(dtype), _head(parts[1], count))


def _head(column: Any, count: int) -> list[str]:
    return [_NULL if item == "NaT" else item for item in first_of(column, count)]


def _zone(zone: Any) -> str:
    if type(zone) is ExtType and zone.code == codes.ADAPTED:
        code, state = unpack(zone.data)
        if isinstance(state, str):
            return printable(state)
        return "UTC" if code == "datetime.timezone" else printable(code)
    return _UNKNOWN


def _index_items(state: Any, count: int) -> list[str]:
    kind, *parts = state
    if kind == "range":
        return [str(i) for i in range(*parts[:3])[:count]]
    if kind == "multi":
        levels, columns, _ = parts
        known = [_index_items(level, 1000) for level in levels]
        rows = zip(*(first_of(column, count) for column in columns), strict=False)
        return [f"({', '.join(_at(level, place) for level, place in zip(known, row, strict=False))})" for row in rows]
    return _pandas_column("", parts[0], count).items


def _at(level: list[str], place: str) -> str:
    number = int(place)
    return _NULL if number < 0 else level[number] if number < len(level) else f"#{place}"


def _frame(_: str, state: Any) -> Form:
    rows, names, index, columns, _more = state
    if not isinstance(columns, list):
        return Form(f"DataFrame({int(rows):,} rows, many columns)", style="name")
    texts = _index_items(names, len(columns)) if isinstance(names, list) else []
    texts += [_UNKNOWN] * (len(columns) - len(texts))
    found = (_pandas_column(name, state, _ROWS) for name, state in zip(texts, columns, strict=True))
    first = Column("", "", _index_items(index, _ROWS)) if isinstance(index, list) else None
    return _table("DataFrame", int(rows), found, len(columns), first)


def column_names(code: str, state: Any) -> list[str] | None:
    """Returns the names of a table's columns, None where its bytes do not have them."""
    if code == "pandas.DataFrame":
        _rows, names, _index, columns, _more = state
        found = _index_items(names, len(columns)) if isinstance(names, list) and isinstance(columns, list) else []
        return found if isinstance(columns, list) and len(found) == len(columns) else None
    held = state[1] if code == "polars.DataFrame" else state[0]
    if not isinstance(held, list) or not isinstance(state[-1], list):
        return None
    return [str(part[0]) for part in held] if all(isinstance(part, list) for part in held) else None


def _pandas_series(_: str, state: Any) -> Form:
    name, index, held_by, _more = state
    column = _pandas_column("" if name is None else _cell(name), held_by, _ROWS)
    return _series("Series", _length(index), column)


def _length(index: Any) -> int:
    """Rows of an index, from whatever in it says so."""
    if not isinstance(index, list):
        return 0
    kind, *parts = index
    if kind == "range":
        return len(range(*parts[:3]))
    return _count(parts[1][0] if kind == "multi" else parts[0])


def _count(state: Any) -> int:
    """Items of what a series or an index holds, or of a column."""
    if isinstance(state, list) and state:
        if state[0] in ("fixed", "text"):
            return int(state[2])
        if state[0] in ("list", "struct", "null"):
            return int(state[1])
        if state[0] in ("objects", "values") and isinstance(state[1], list):
            return len(state[1])
        if state[0] == "codes":
            return _count(state[1])
        return next((found for part in reversed(state[1:]) if (found := _count(part))), 0)
    return 0


def _pandas_index(_: str, state: Any) -> Form:
    rows = _length(state)
    if state[0] == "multi":
        return _series("MultiIndex", rows, Column("", "tuple", _index_items(state, _ROWS)))
    if state[0] == "range":
        return Form("RangeIndex(", items_of(state[1:4]), ")")
    return _series("Index", rows, _pandas_column("", state[1], _ROWS))


def _pandas_array(_: str, state: Any) -> Form:
    return _series("array", _count(state), _pandas_column("", state, _ROWS))


def _moment(_: str, state: Any) -> Form:
    number, unit, zone, _fold = state
    (text,) = first_items(f"<i8[{unit}]", struct.pack("<q", number), 1)
    return Form(f"Timestamp('{text}')" if zone is None else f"Timestamp('{text}Z', tz={_zone(zone)})", style="text")


def _span(_: str, state: Any) -> Form:
    (text,) = first_items(f"<i8[+{state[1]}]", struct.pack("<q", state[0]), 1)
    return Form(f"Timedelta('{text}')", style="text")


# -- polars and pyarrow -----------------------------------------------------------------------------------------------


def _polars_type(kind: Any) -> str:
    if isinstance(kind, str):
        return printable(kind)
    word, *parts = kind
    if word in ("List", "Array"):
        return f"{word}({_polars_type(parts[0])})"
    if word == "Struct":
        return f"Struct({', '.join(printable(name) for name, _ in parts[0])})"
    shown = [part for part in parts if isinstance(part, (str, int))]
    return printable(f"{word}({', '.join(map(str, shown))})" if shown else word)


def _polars_frame(_: str, state: Any) -> Form:
    rows, columns = state
    if not isinstance(columns, list):
        return Form(f"DataFrame({int(rows):,} rows, many columns)", style="name")
    return _table("DataFrame", int(rows), map(_polars_column, columns), len(columns))


def _polars_column(state: Any) -> Column:
    if not isinstance(state, list):
        return Column(_UNKNOWN, _UNKNOWN, [])
    name, kind, column = state
    return Column(printable(name), _polars_type(kind), first_of(column, _ROWS))


def _polars_series(_: str, state: Any) -> Form:
    return _series("Series", _count(state[2]), _polars_column(state))


def _arrow_type(kind: Any) -> str:
    if isinstance(kind, str):
        return printable(kind)
    word, *parts = kind
    if word in ("list", "large_list", "fixed_size_list"):
        return f"{word}<{_arrow_type(parts[0][1])}>"
    if word == "struct":
        return f"struct<{', '.join(printable(field[0]) for field in parts[0])}>"
    if word == "dictionary":
        return f"dictionary<{_arrow_type(parts[1])}>"
    shown = [part for part in parts if isinstance(part, (str, int)) and not isinstance(part, bool)]
    return printable(f"{word}[{', '.join(map(str, shown))}]" if shown else word)


def _arrow_table(code: str, state: Any) -> Form:
    fields, _metadata, rows, columns = state
    if not (isinstance(fields, list) and isinstance(columns, list)):
        return Form(f"{printable(code.rpartition('.')[2])}({int(rows):,} rows, many columns)", style="name")
    pairs = zip(fields, columns, strict=True)
    found = (Column(printable(field[0]), _arrow_type(field[1]), first_of(column, _ROWS)) for field, column in pairs)
    return _table(code.rpartition(".")[2], int(rows), found, len(columns))


def _arrow_array(code: str, state: Any) -> Form:
    kind, column = state
    return _series(code.rpartition(".")[2], _count(column), Column("", _arrow_type(kind), first_of(column, _ROWS)))


def _arrow_schema(_: str, state: Any) -> Form:
    fields = [(f"{printable(field[0])}: ", Form(_arrow_type(field[1]), style="name")) for field in state[0]]
    return Form("Schema(", fields, ")")


_WRITERS: Final[dict[str, Callable[[str, Any], Form]]] = {
    "pandas.DataFrame": _frame,
    "pandas.Series": _pandas_series,
    "pandas.Index": _pandas_index,
    "pandas.array": _pandas_array,
    "pandas.Timestamp": _moment,
    "pandas.Timedelta": _span,
    "pandas.NaT": lambda _, __: Form("NaT", style="word"),
    "pandas.NA": lambda _, __: Form("<NA>", style="word"),
    "polars.DataFrame": _polars_frame,
    "polars.Series": _polars_series,
    "polars.DataType": lambda _, state: Form(_polars_type(state), style="name"),
    "pyarrow.Table": _arrow_table,
    "pyarrow.RecordBatch": _arrow_table,
    "pyarrow.Array": _arrow_array,
    "pyarrow.ChunkedArray": _arrow_array,
    "pyarrow.Schema": _arrow_schema,
    "pyarrow.DataType": lambda _, state: Form(_arrow_type(state), style="name"),
}
ADAPTED.update({code: safely(write) for code, write in _WRITERS.items()})
