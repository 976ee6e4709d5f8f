"""Forty-one kinds of value, each made in two ways that are the same value, and how five libraries name them.

`main` prints, as JSON, {case: {library: [names]}}: a library's names of the value, of its twin, and of what comes back
when the value was written and read. A library is stable where all of them are one, in every process.
"""

from __future__ import annotations

import collections
import datetime as dt
import enum
import functools
import hashlib
import ipaddress
import json
import pathlib
import pickle
import re
import sys
import types
import typing
import uuid
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]


class Color(enum.Enum):
    RED = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Bag:
    words: set[str] = field(default_factory=set)


class Plain:
    def __init__(self, words: Any) -> None:
        self.words = words


@attrs.define
class Attrs:
    words: frozenset[str]


class Model(pydantic.BaseModel):
    words: set[str]
    size: int = 3


def helper(**x: int) -> Any:
    return x


def _fresh(word: str) -> str:
    """An equal text that is another object."""
    return "".join(list(word))


def _refilled(kind: type, words: list[str]) -> Any:
    """The set, filled in another order, with another history."""
    made = {f"no {i}" for i in range(50)}
    made.update(reversed(words))
    made -= {f"no {i}" for i in range(50)}
    return kind(made)


def _padded(hidden: int) -> Any:
    """Records with bytes between their fields that mean nothing."""
    kind = np.dtype([("a", "u1"), ("b", "f8")], align=True)
    raw = np.full(2 * kind.itemsize, hidden, dtype=np.uint8).view(kind)
    raw["a"], raw["b"] = [1, 2], [0.5, 1.5]
    return raw


def _frame() -> Any:
    return pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "c": ["x", "y", None]})


def _row(text: str | None, number: int) -> Any:
    return pa.table({"a": [text], "b": [number]}, schema=pa.schema({"a": pa.string(), "b": pa.int64()}))


def _under_null(hidden: int) -> Any:
    return pa.Array.from_buffers(pa.int64(), 3, [pa.py_buffer(b"\x05"), pa.py_buffer(np.array([1, hidden, 3]))])


def _error(words: Any) -> Exception:
    error = ValueError("bad", words)
    error.add_note("note")
    return error


ZONE = zoneinfo.ZoneInfo("Europe/Berlin")
MOMENT = dt.datetime(2024, 2, 29, 12, tzinfo=ZONE)
SHARED = ["shared"]

#: Name -> two makers of the same value.
CASES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "numbers": (lambda: [1, 1.0, True, 2**70, -0.0, 1j], lambda: [1, 1.0, True, 2**70, -0.0, complex(0, 1)]),
    "text": (lambda: ["alpha", "alpha"], lambda: [_fresh("alpha"), _fresh("alpha")]),
    "bytes": (lambda: [b"ab", bytearray(b"ab")], lambda: [bytes([97, 98]), bytearray([97, 98])]),
    "one object twice": (lambda: [SHARED, SHARED], lambda: [["shared"], ["shared"]]),
    "set of text": (lambda: set(WORDS), lambda: _refilled(set, WORDS)),
    "frozenset of text": (lambda: frozenset(WORDS), lambda: _refilled(frozenset, WORDS)),
    "set of tuples": (lambda: {(w, 1) for w in WORDS}, lambda: {(w, 1) for w in reversed(WORDS)}),
    "set of frozensets": (
        lambda: {frozenset(WORDS), frozenset({"a"})},
        lambda: {frozenset({"a"}), _refilled(frozenset, WORDS)},
    ),
    "dict of sets": (lambda: {"k": set(WORDS)}, lambda: {_fresh("k"): _refilled(set, WORDS)}),
    "set of many types": (lambda: {1, "a", None, 2.5, b"b"}, lambda: {b"b", 2.5, None, "a", 1}),
    "named tuple": (lambda: Pair(set(WORDS), 1), lambda: Pair(_refilled(set, WORDS), 1)),
    "dataclass": (lambda: Bag(set(WORDS)), lambda: Bag(_refilled(set, WORDS))),
    "object": (lambda: Plain(set(WORDS)), lambda: Plain(_refilled(set, WORDS))),
    "attrs": (lambda: Attrs(frozenset(WORDS)), lambda: Attrs(_refilled(frozenset, WORDS))),
    "pydantic": (lambda: Model(words=set(WORDS), size=1), lambda: Model(size=1, words=_refilled(set, WORDS))),
    "enums": (lambda: {Color.RED, Access.READ | Access.WRITE}, lambda: {Access(3), Color(1)}),
    "error": (lambda: _error(set(WORDS)), lambda: _error(_refilled(set, WORDS))),
    "function and class": (lambda: [helper, Plain, len], lambda: [helper, Plain, len]),
    "partial": (lambda: functools.partial(helper, a=1, b=2), lambda: functools.partial(helper, b=2, a=1)),
    "annotations": (lambda: [list[int], int | None, typing.Any], lambda: [list[int], int | None, typing.Any]),
    "moments": (
        lambda: [MOMENT, MOMENT.date()],
        lambda: [dt.datetime(2024, 2, 29, 12, tzinfo=ZONE), dt.date(2024, 2, 29)],
    ),
    "exact numbers": (lambda: [Decimal("1.50"), Fraction(2, 4)], lambda: [Decimal("1.50"), Fraction(1, 2)]),
    "names": (
        lambda: [uuid.UUID(int=5), pathlib.PurePosixPath("a/b")],
        lambda: [uuid.UUID(int=5), pathlib.PurePosixPath("a//b")],
    ),
    "addresses": (lambda: ipaddress.ip_network("10.0.0.0/8"), lambda: ipaddress.ip_network("10.0.0.0/255.0.0.0")),
    "pattern": (lambda: re.compile("a+", re.IGNORECASE), lambda: re.compile(_fresh("a+"), re.IGNORECASE)),
    "deque and counter": (
        lambda: [collections.deque([1], 3), collections.Counter("aab")],
        lambda: [collections.deque([9, 9, 1], 1).__class__([1], 3), collections.Counter(a=2, b=1)],
    ),
    "namespace": (lambda: types.SimpleNamespace(a=set(WORDS)), lambda: types.SimpleNamespace(a=_refilled(set, WORDS))),
    "array": (lambda: np.arange(6.0).reshape(2, 3), lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3))),
    "slice of an array": (lambda: np.arange(3), lambda: np.arange(6)[::2] // 2),
    "array of other byte order": (lambda: np.arange(3, dtype="<i4"), lambda: np.arange(3, dtype=">i4")),
    "padded records": (lambda: _padded(0), lambda: _padded(7)),
    "array of objects": (lambda: np.array([set(WORDS), None]), lambda: np.array([_refilled(set, WORDS), None])),
    "scalars and dtypes": (
        lambda: [np.float32(1), np.dtype("M8[s]")],
        lambda: [np.ones(1, "f4")[0], np.dtype("M8[s]")],
    ),
    "frame": (_frame, lambda: pd.DataFrame({"z": 9, **_frame()})[["a", "b", "c"]]),
    "slice of a frame": (_frame, lambda: pd.concat([_frame(), _frame()], ignore_index=True).iloc[:3]),
    "frame with categories": (
        lambda: pd.DataFrame({"k": pd.Categorical(["x", "y"])}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
        lambda: pd.DataFrame({"k": ["x", "y"]}, index=[["a", "b"], [1, 2]]).astype("category"),
    ),
    "series in a zone": (
        lambda: pd.Series(pd.date_range("2020", periods=3, tz="UTC")),
        lambda: pd.Series(pd.date_range("2020", periods=4, tz="UTC")).iloc[:3].reset_index(drop=True),
    ),
    "polars frame": (lambda: pl.DataFrame({"a": [1, None]}), lambda: pl.DataFrame({"a": [9, 1, None]}).slice(1)),
    "polars categories": (
        lambda: pl.Series(["x", "y"], dtype=pl.Categorical),
        lambda: pl.Series(["q", "y", "x", "y"], dtype=pl.Categorical)[2:],
    ),
    "arrow table": (
        lambda: pa.table({"a": ["x", None], "b": [1, 2]}),
        lambda: pa.concat_tables([_row("x", 1), _row(None, 2)]),
    ),
    "arrow array": (lambda: _under_null(0), lambda: _under_null(7)),
}


def _names() -> dict[str, tuple[Callable[[Any], str], Callable[[Any], Any]]]:
    """How each library that is installed names a value, and writes and reads one."""
    from redun.core import keys  # noqa: F401  it registers what can be stored
    from redun.core.decoding import Decoder
    from redun.core.digest import DEFAULT_FORMAT
    from redun.core.values import Encoder

    def own(value: Any) -> str:
        return Encoder(DEFAULT_FORMAT).value(value).hex()

    def own_copy(value: Any) -> Any:
        encoder = Encoder(DEFAULT_FORMAT)
        return Decoder(encoder.objects.__getitem__).decode(encoder.encode(value).payload)

    def pickled(value: Any) -> str:
        return hashlib.sha256(pickle.dumps(value, 4)).hexdigest()

    def copied(value: Any) -> Any:
        return pickle.loads(pickle.dumps(value))  # noqa: S301  it is ours

    found: dict[str, tuple[Callable[[Any], str], Callable[[Any], Any]]] = {
        "redun": (own, own_copy),
        "pickle": (pickled, copied),
    }
    try:
        import cloudpickle

        found["cloudpickle"] = (lambda value: hashlib.sha256(cloudpickle.dumps(value)).hexdigest(), copied)
    except ImportError:
        pass
    try:
        import joblib

        found["joblib"] = (lambda value: str(joblib.hash(value)), copied)
    except ImportError:
        pass
    try:
        from dask.base import tokenize

        found["dask"] = (tokenize, copied)
    except ImportError:
        pass
    return found


def _told(name: Callable[[Any], str], copy: Callable[[Any], Any], makers: tuple[Any, Any]) -> list[str]:
    try:
        value = makers[0]()
        return [name(value), name(makers[1]()), name(copy(value))]
    except Exception as error:  # noqa: BLE001  libraries raise what they like for what they cannot take
        return [f"{type(error).__name__}: {error}", "", ""]


def main() -> None:
    """Prints the names that this process gives."""
    libraries = _names()
    told = {case: {lib: _told(*libraries[lib], makers) for lib in libraries} for case, makers in CASES.items()}
    json.dump(told, sys.stdout)
