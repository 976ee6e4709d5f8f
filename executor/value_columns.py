"""What differs in tables: their columns as parts, and the first item in which two columns differ."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Final

from redun.core import codes
from redun.core.codec import ExtType, Pointer, pack, unpack
from redun.core.display import Fetch
from redun.core.table_forms import column_names

#: Bytes that are compared at a time.
_CHUNK: Final = 1 << 16
#: The adapter that a column of a table would be a value of by itself.
_BY_ITSELF: Final = {
    "pandas.DataFrame": "pandas.array",
    "pandas.Series": "pandas.array",
    "polars.DataFrame": "polars.Series",
    "pyarrow.Table": "pyarrow.Array",
    "pyarrow.RecordBatch": "pyarrow.Array",
}


def columns_of(code: str, state: Any) -> list[tuple[Any, Any]] | None:
    """Returns (step, item) of the columns of a table and of what it has beside; None for what is no table whose columns
    can be told apart."""
    alone = _BY_ITSELF.get(code)
    if alone is None:
        return None
    if code == "pandas.Series":
        name, index, held, more = state
        return [
            ("", _adapted(alone, held)),
            (".name", name),
            (".index", _adapted("pandas.Index", index)),
            (".attrs", more),
        ]
    names = column_names(code, state)
    if names is None or len(set(names)) != len(names):
        return None
    columns = state[3] if code != "polars.DataFrame" else state[1]
    if code.startswith("pyarrow."):
        columns = [[field[1], column] for field, column in zip(state[0], columns, strict=True)]
    parts: list[tuple[Any, Any]] = [
        ([name], _adapted(alone, column)) for name, column in zip(names, columns, strict=True) if type(column) is list
    ]
    if len(parts) != len(names):
        return None
    if code == "pandas.DataFrame":
        parts += [(".index", _adapted("pandas.Index", state[2])), (".attrs", state[4])]
    return parts


def _adapted(code: str, state: Any) -> ExtType:
    return ExtType(codes.ADAPTED, pack([code, state]))


def inner_column(item: Any) -> Any:
    """Returns the column that an array or a series is made of, None where it is made of more."""
    if type(item) is not ExtType or item.code != codes.ADAPTED:
        return None
    code, state = unpack(item.data)
    if code == "pandas.array" and state[0] in ("numpy", "string", "masked"):
        return state[-1]
    return state[-1] if code in ("polars.Series", "pyarrow.Array") else None


def text_column_change(old: Any, new: Any, fetch: Fetch) -> tuple[int, Any, Any] | None:
    """Returns the place of the first text in which two columns of one length differ, and both texts; None where they
    are no such columns.

    Raises:
        RedunError: if the bytes of one are an object of their own and cannot be read.
    """
    before, after = inner_column(old), inner_column(new)
    if not (type(before) is list and type(after) is list and before[:1] == after[:1] == ["text"]):
        return None
    if before[1:3] != after[1:3]:
        return None
    left, right = (_Texts(column, fetch) for column in (before, after))
    place = min(_place(left, right), before[2] - 1)
    return None if place < 0 else (place, left.item(place), right.item(place))


class _Texts:
    """Texts one after the other, and where each begins."""

    def __init__(self, column: list[Any], fetch: Fetch) -> None:
        self._utf8 = column[1] == "utf8"
        # as the adapters write them, whatever this machine's own order is
        ends = elements(column[3][0], fetch)
        self.ends = [int.from_bytes(ends[i : i + 8], "little") for i in range(0, len(ends), 8)]
        self.data = elements(column[4][0], fetch)
        self.valid = None if column[5] is None else elements(column[5][0], fetch)

    def item(self, place: int) -> Any:
        if self.valid is not None and not self.valid[place // 8] >> place % 8 & 1:
            return None
        part = self.data[self.ends[place] : self.ends[place + 1]]
        return str(part, "utf-8", "replace") if self._utf8 else bytes(part)


def _place(left: _Texts, right: _Texts) -> int:
    for place in range(len(left.ends) - 1):
        if left.ends[place + 1] != right.ends[place + 1]:
            break
    else:
        place = len(left.ends) - 1
    byte = first_difference(left.data, right.data)
    if byte < min(len(left.data), len(right.data)):
        place = min(place, bisect_right(left.ends, byte) - 1)
    if left.valid != right.valid:
        missing = (i for i in range(place + 1) if (left.item(i) is None) != (right.item(i) is None))
        place = next(missing, place)
    return place


def first_difference(old: memoryview, new: memoryview) -> int:
    """Returns the first index at which they differ, the length of the shorter one where they do not; compared chunk by
    chunk, since Python compares those at the speed of C."""
    length = min(len(old), len(new))
    start = 0
    while start < length and old[start : start + _CHUNK] == new[start : start + _CHUNK]:
        start += _CHUNK
    for place in range(start, min(start + _CHUNK, length)):
        if old[place] != new[place]:
            return place
    return length


def elements(data: Any, fetch: Fetch) -> memoryview:
    """Returns the bytes of an array: in its state, in a value of their own, or in a blob."""
    if type(data) is Pointer:
        data = unpack(fetch(data.digest)[1])
    if type(data) is ExtType:
        return memoryview(fetch(unpack(data.data)[1].digest)[1])
    return memoryview(data)
