"""Adapters of pandas' types and scalars: dtypes, moments, spans, periods, intervals and what is missing."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.errors import CannotDecode, CannotEncode
from redun.core.values import Encoder

#: The version of pandas.
PANDAS: Final = int(pd.__version__.partition(".")[0])


def dtype_state(dtype: Any) -> Any:
    """Returns a dtype of pandas as values: its name, or a list that begins with its kind.

    Raises:
        CannotEncode: if there is no form for it.
    """
    if isinstance(dtype, pd.DatetimeTZDtype):
        return ["zoned", dtype.unit, dtype.tz]
    if isinstance(dtype, pd.PeriodDtype):
        return dtype.name  # period[M]
    if isinstance(dtype, pd.StringDtype):
        return ["string", dtype.storage, "NA" if dtype.na_value is pd.NA else "nan"]
    if isinstance(dtype, pd.ArrowDtype):
        from redun.core.adapters.arrow_types import write_type

        return ["arrow", write_type(dtype.pyarrow_dtype)]
    if isinstance(dtype, pd.IntervalDtype):
        return ["interval", str(dtype.subtype), dtype.closed]
    if isinstance(dtype, pd.CategoricalDtype):
        return ["categorical", dtype.categories, dtype.ordered]
    if getattr(pd, f"{dtype.name}Dtype", None) is type(dtype) or dtype.name == "boolean":
        return dtype.name  # Int64 and its like
    raise CannotEncode(f"the dtype {dtype} has no form here")


def read_dtype(state: Any) -> Any:
    """Returns the dtype that `dtype_state` tells of.

    Raises:
        CannotDecode: if this version of pandas has none such.
    """
    if isinstance(state, str):
        return pd.api.types.pandas_dtype(state)
    kind, *parts = state
    if kind == "zoned":
        return pd.DatetimeTZDtype(*parts)
    if kind == "interval":
        return pd.IntervalDtype(*parts)
    if kind == "categorical":
        return pd.CategoricalDtype(*parts)
    if kind == "arrow":
        from redun.core.adapters.arrow_types import read_type

        return pd.ArrowDtype(read_type(parts[0]))
    return _string_dtype(*parts)


def _string_dtype(storage: str, missing: str) -> Any:
    if missing == "NA" or storage == "pyarrow_numpy":  # which was the name of the other one before pandas 3
        return pd.StringDtype(storage)
    if PANDAS < 3:
        raise CannotDecode("a column of the text type of pandas 3", hint="upgrade pandas")
    return pd.StringDtype(storage, na_value=np.nan)  # type: ignore[call-arg]  # from pandas 3 on


def _moment(_: Encoder, moment: Any) -> Any:
    # `asm8` is in UTC where there is a zone; the fold says nothing more then
    return [int(moment.asm8.view("i8")), moment.unit, moment.tz, moment.fold if moment.tz is None else 0]


def _read_moment(_: Decoder, state: Any) -> Any:
    number, unit, zone, fold = state
    moment = pd.Timestamp(np.datetime64(number, unit))
    if zone is not None:
        return moment.tz_localize("UTC").tz_convert(zone)
    return moment.replace(fold=fold) if fold else moment


def _freq(offset: Any) -> str:
    if pd.tseries.frequencies.to_offset(offset.freqstr) != offset:
        raise CannotEncode(f"the offset {offset!r} has no name that tells it whole", hint="give its parts")
    return str(offset.freqstr)


register(pd.Timestamp, "pandas.Timestamp", _moment, _read_moment)
register(
    pd.Timedelta,
    "pandas.Timedelta",
    lambda _, span: [int(span.asm8.view("i8")), span.unit],
    lambda _, state: pd.Timedelta(np.timedelta64(*state)),
)
register(
    pd.Period,
    "pandas.Period",
    lambda _, period: [period.ordinal, period.freqstr],
    lambda _, state: pd.Period(ordinal=state[0], freq=state[1]),
)
register(
    pd.Interval,
    "pandas.Interval",
    lambda _, interval: [interval.left, interval.right, interval.closed],
    lambda _, state: pd.Interval(*state),
)
register(type(pd.NaT), "pandas.NaT", lambda _, __: None, lambda _, __: pd.NaT)
register(type(pd.NA), "pandas.NA", lambda _, __: None, lambda _, __: pd.NA)


def _all_kinds(kind: Any) -> list[Any]:
    return [kind, *(sub for below in kind.__subclasses__() for sub in _all_kinds(below))]


for _kind in _all_kinds(pd.api.extensions.ExtensionDtype):
    if _kind.__module__.partition(".")[0] == "pandas":
        register(_kind, "pandas.dtype", lambda _, dtype: dtype_state(dtype), lambda _, state: read_dtype(state))
for _kind in _all_kinds(pd.offsets.BaseOffset):
    register(_kind, "pandas.offset", lambda _, offset: _freq(offset), lambda _, s: pd.tseries.frequencies.to_offset(s))
