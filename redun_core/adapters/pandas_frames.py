"""Adapters of pandas: frames, series, every kind of index, and its scalars and types, a column at a time.

A column is stored by its own dtype, an `object` column value by value. A frame that is read may be changed: its columns
are copies. How a frame lies in memory (its blocks, views, chunks) is no part of its value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from redun.core.adapters.columns import read_fixed, read_items, text_of, write_fixed, write_text
from redun.core.adapters.pandas_types import PANDAS, dtype_state, read_dtype
from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.errors import CannotEncode
from redun.core.values import PARTS, Encoder

# -- arrays -----------------------------------------------------------------------------------------------------------


def _write(encoder: Encoder, array: Any) -> list[Any]:
    """Returns [kind, ...] of what a series or an index holds."""
    dtype = array.dtype
    if isinstance(dtype, pd.StringDtype):
        return ["string", dtype_state(dtype), _texts(encoder, array)]
    if isinstance(array, pd.arrays.NumpyExtensionArray) or isinstance(dtype, np.dtype):
        plain = np.asarray(array)
        # `tolist` would make ints of what pandas keeps as it was given
        return ["objects", list(plain)] if plain.dtype.hasobject else ["numpy", _fixed(encoder, plain)]
    if isinstance(dtype, pd.DatetimeTZDtype):
        return ["zoned", dtype_state(dtype), write_fixed(encoder, array.asi8, unit=f"[{dtype.unit}]")]
    if isinstance(dtype, pd.CategoricalDtype):
        return ["categorical", _index(encoder, dtype.categories), dtype.ordered, write_fixed(encoder, array.codes)]
    if isinstance(dtype, pd.PeriodDtype):
        return ["period", dtype_state(dtype), write_fixed(encoder, array.asi8)]
    if isinstance(dtype, pd.IntervalDtype):
        return ["interval", dtype.closed, _write(encoder, array.left.array), _write(encoder, array.right.array)]
    if isinstance(dtype, pd.ArrowDtype):
        from redun.core.adapters.arrow_tables import whole, write_column

        return ["arrow", dtype_state(dtype), write_column(encoder, whole(array.__arrow_array__()))]
    if hasattr(array, "_mask") and hasattr(
        array, "_data"
    ):  # IntegerArray and its like, which have no other way to these
        return ["masked", dtype_state(dtype), write_fixed(encoder, array._data, ~array._mask)]
    raise CannotEncode(f"a column of dtype {dtype} has no form here", hint="convert it: .astype(...), .to_dense()")


def _fixed(encoder: Encoder, plain: Any) -> list[Any]:
    if plain.dtype.kind in "mM":
        unit = np.datetime_data(plain.dtype)[0]
        return write_fixed(encoder, plain.view("i8"), unit=f"[{'+' if plain.dtype.kind == 'm' else ''}{unit}]")
    if plain.dtype.char in "gG":
        raise CannotEncode(f"a column of dtype {plain.dtype} is another on every machine", hint="use float64")
    return write_fixed(encoder, plain)


def _texts(encoder: Encoder, array: Any) -> list[Any]:
    if array.dtype.storage != "python":
        from redun.core.adapters.arrow_tables import whole, write_column

        return write_column(encoder, whole(array.__arrow_array__()))
    items = [None if missing else item for item, missing in zip(array, array.isna(), strict=True)]
    return write_text(encoder, text_of(items))


def _read(state: Any) -> Any:
    """Returns an array of pandas, or of numpy, that nobody else has."""
    kind, *parts = state
    if kind == "objects":
        made: Any = np.empty(len(parts[0]), dtype=object)
        for i, item in enumerate(parts[0]):
            made[i] = item
        return made
    if kind == "numpy":
        return _read_numbers(parts[0])
    if kind == "categorical":
        categories, ordered, column = parts
        dtype = pd.CategoricalDtype(_read_index(categories), ordered=ordered)
        return pd.Categorical.from_codes(read_fixed(column).items.copy(), dtype=dtype)
    if kind == "interval":
        closed, left, right = parts
        return pd.arrays.IntervalArray.from_arrays(_read(left), _read(right), closed=closed)
    dtype = read_dtype(parts[0])
    if kind == "zoned":
        moments = read_fixed(parts[1]).items.view(f"<M8[{dtype.unit}]")
        return pd.DatetimeIndex(moments.copy()).tz_localize("UTC").tz_convert(dtype.tz).array.copy()
    if kind == "period":
        return pd.arrays.PeriodArray(read_fixed(parts[1]).items.copy(), dtype=dtype)
    if kind == "masked":
        items, valid = read_fixed(parts[1])
        mask = np.zeros(len(items), dtype=bool) if valid is None else ~valid
        return dtype.construct_array_type()(items.copy(), mask)
    if kind == "arrow":
        from redun.core.adapters.arrow_tables import read_column

        return pd.arrays.ArrowExtensionArray(read_column(parts[1], dtype.pyarrow_dtype))
    return _read_texts(dtype, parts[1])


def _read_numbers(column: Any) -> Any:
    items = read_fixed(column).items
    descr = column[1]
    if "[" in descr:  # moments or spans of time
        unit = descr.partition("[")[2]
        items = items.view(f"<m8[{unit[1:]}" if unit[0] == "+" else f"<M8[{unit}")
    return items.copy()


def _read_texts(dtype: Any, column: Any) -> Any:
    if dtype.storage != "python":
        import pyarrow as pa

        from redun.core.adapters.arrow_tables import read_column

        array = pa.chunked_array([read_column(column, pa.large_string())])
        return dtype.construct_array_type()(array, **_typed(dtype))
    items = np.array([*read_items(column), None], dtype=object)[:-1]
    items[[item is None for item in items]] = dtype.na_value
    return dtype.construct_array_type()(items, **_typed(dtype))


def _typed(dtype: Any) -> dict[str, Any]:
    """How an array of texts is told its type: before pandas 3 each class had but one."""
    return {"dtype": dtype} if PANDAS >= 3 else {}


# -- indexes ----------------------------------------------------------------------------------------------------------


def _index(encoder: Encoder, index: Any) -> list[Any]:
    if isinstance(index, pd.RangeIndex):
        return ["range", index.start, index.stop, index.step, index.name]
    if isinstance(index, pd.MultiIndex):
        levels = [_index(encoder, level) for level in index.levels]
        return ["multi", levels, [write_fixed(encoder, np.asarray(code)) for code in index.codes], list(index.names)]
    return ["index", _write(encoder, index.array), index.name, getattr(index, "freqstr", None)]


def _read_index(state: Any) -> Any:
    kind, *parts = state
    if kind == "range":
        return pd.RangeIndex(*parts[:3], name=parts[3])
    if kind == "multi":
        levels, columns, names = parts
        codes = [read_fixed(column).items.copy() for column in columns]
        return pd.MultiIndex([_read_index(level) for level in levels], codes, names=names)
    held, name, freq = parts
    array = _read(held)
    index = pd.Index(array, dtype=array.dtype, name=name, copy=False)
    if freq is not None and isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
        index.freq = freq
    return index


# -- series and frames ------------------------------------------------------------------------------------------------


def _more(obj: Any) -> dict[str, Any]:
    """What else a series or a frame may have."""
    more: dict[str, Any] = {"attrs": dict(obj.attrs)} if obj.attrs else {}
    return more if obj.flags.allows_duplicate_labels else more | {"allows_duplicate_labels": False}


def _with(obj: Any, more: dict[str, Any]) -> Any:
    if "attrs" in more:
        obj.attrs = more["attrs"]
    if "allows_duplicate_labels" in more:
        obj.flags.allows_duplicate_labels = False
    return obj


def _series(encoder: Encoder, series: Any) -> Any:
    return [series.name, _index(encoder, series.index), _write(encoder, series.array), _more(series)]


def _read_series(_: Decoder, state: Any) -> Any:
    name, index, held, more = state
    array = _read(held)
    return _with(pd.Series(array, index=_read_index(index), name=name, dtype=array.dtype, copy=False), more)


def _frame(encoder: Encoder, frame: Any) -> Any:
    columns = [_write(encoder, frame.iloc[:, i].array) for i in range(frame.shape[1])]
    return [len(frame), _index(encoder, frame.columns), _index(encoder, frame.index), columns, _more(frame)]


def _read_frame(_: Decoder, state: Any) -> Any:
    _rows, names, index, columns, more = state
    rows = _read_index(index)
    series = {i: pd.Series(a, index=rows, dtype=a.dtype, copy=False) for i, a in enumerate(map(_read, columns))}
    frame = pd.DataFrame(series, index=rows, copy=False)
    frame.columns = _read_index(names)
    return _with(frame, more)


PARTS[pd.DataFrame] = lambda frame: ((f"[{name!r}]", frame.iloc[:, i]) for i, name in enumerate(frame.columns))
PARTS[pd.Series] = lambda series: ((f".iloc[{i}]", item) for i, item in enumerate(series) if series.dtype == object)
register(pd.DataFrame, "pandas.DataFrame", _frame, _read_frame)
register(pd.Series, "pandas.Series", _series, _read_series)
for _kind in (
    pd.Index,
    pd.RangeIndex,
    pd.MultiIndex,
    pd.DatetimeIndex,
    pd.TimedeltaIndex,
    pd.PeriodIndex,
    pd.IntervalIndex,
    pd.CategoricalIndex,
):
    register(_kind, "pandas.Index", _index, lambda _, state: _read_index(state))


def _all_kinds(kind: Any) -> list[Any]:
    return [kind, *(sub for below in kind.__subclasses__() for sub in _all_kinds(below))]


for _kind in _all_kinds(pd.api.extensions.ExtensionArray):
    if _kind.__module__.partition(".")[0] == "pandas":
        register(
            _kind, "pandas.array", _write, lambda _, state: pd.array(held := _read(state), dtype=held.dtype, copy=False)
        )
