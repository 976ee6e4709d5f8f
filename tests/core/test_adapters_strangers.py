"""Bytes of strangers under the codes of arrays and tables: shown or refused, never believed."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from redun.core import codes
from redun.core.codec import ExtType, pack, unpack
from redun.core.decoding import Decoder
from redun.core.display import pretty, show
from redun.core.errors import CannotDecode, RedunError
from tests.core.round_trips import payload

FRAME = pd.DataFrame(
    {
        "a": [1, 2],
        "b": ["x", None],
        "k": pd.Categorical(["p", "q"]),
        "t": pd.date_range("2020", periods=2, tz="UTC"),
        "o": [1, "a"],
        "i": pd.array([1, None], dtype="Int64"),
    },
    index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]),
)
POLARS = pl.DataFrame({"a": [1, None], "l": [[1], None], "s": [{"a": 1}] * 2, "e": ["x", "y"]})
ARROW = pa.table({
    "a": ["x", None],
    "d": pa.array(["x", "y"]).dictionary_encode(),
    "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())),
})  # fmt: skip
MASKED: Any = np.ma.array(np.arange(2), mask=np.array([False, True]))
OBJECTS: Any = np.array([1, "a"], dtype=object)
VALUES: list[Any] = [FRAME, FRAME["t"], FRAME.index, POLARS, ARROW, np.arange(5), MASKED, OBJECTS]
JUNK: list[Any] = [None, -1, 0, 2**63, "", "fixed", "text", b"", b"\xff" * 3, [], {}, [1], 1.5, True]
JUNK += ["<i8", "|V16[e-2]", "[", "<i8[xx]", -(2**63), 10**6, ["codes", ["null", 1], ["null", 1]]]


def _state(value: Any) -> tuple[str, Any]:
    code, state = unpack(unpack(payload(value)).data)
    return code, state


def _mutated(item: Any, chance: random.Random) -> Any:
    if isinstance(item, list) and item and chance.random() < 0.93:
        place = chance.randrange(len(item))
        return [*item[:place], _mutated(item[place], chance), *item[place + 1 :]]
    return chance.choice(JUNK)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_any_state_is_shown_and_read_or_refused(value: Any):
    chance = random.Random(1)
    code, state = _state(value)
    for _ in range(60):
        other = _mutated(_mutated(state, chance), chance)
        data = pack(ExtType(codes.ADAPTED, pack([code, other])))
        show(data)
        pretty(data)
        try:
            Decoder({}.__getitem__).decode(data)
        except RedunError:
            continue


def test_offsets_that_lead_out_of_a_column_are_refused():
    ends = np.array([0, 1_000_000_000], dtype="<i8").tobytes()
    state = ["string", ["text", "utf8", 1, [ends], [b"x"], None]]
    with pytest.raises(CannotDecode, match=r"pyarrow\.Array cannot be made here"):
        Decoder({}.__getitem__).decode(pack(ExtType(codes.ADAPTED, pack(["pyarrow.Array", state]))))


def test_positions_that_lead_out_of_a_dictionary_are_refused():
    places = ["fixed", "<i4", 1, [np.array([5], dtype="<i4").tobytes()], None]
    words = ["text", "utf8", 1, [np.array([0, 1], dtype="<i8").tobytes()], [b"x"], None]
    state = [["dictionary", "int32", "string", False], ["codes", places, words]]
    with pytest.raises(CannotDecode, match=r"pyarrow\.Array cannot be made here"):
        Decoder({}.__getitem__).decode(pack(ExtType(codes.ADAPTED, pack(["pyarrow.Array", state]))))
