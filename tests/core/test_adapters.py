"""Adapters: the forms they store, what they refuse, and that a library is loaded only for its own values."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core import codes
from redun.core.adapters.registry import register
from redun.core.codec import ExtType, unpack
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotEncode
from redun.core.values import HANDLERS, Encoder

ROOT = Path(__file__).parents[2]


def _state(value: Any) -> Any:
    ext = unpack(Encoder(DEFAULT_FORMAT).encode(value).payload)
    assert ext.code == codes.ADAPTED
    return unpack(ext.data)


def _round_trip(value: Any) -> Any:
    encoder = Encoder(DEFAULT_FORMAT)
    return Decoder(encoder.objects.__getitem__).decode(encoder.encode(value).payload)


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (1 + 2j, ["builtins.complex", [1.0, 2.0]]),
        (range(1, 9, 2), ["builtins.range", [1, 9, 2]]),
        (slice(None, 3), ["builtins.slice", [None, 3, None]]),
        (Decimal("1.50"), ["decimal.Decimal", "1.50"]),
        (dt.date(2024, 2, 29), ["datetime.date", "2024-02-29"]),
        (dt.timedelta(days=1, microseconds=2), ["datetime.timedelta", [1, 0, 2]]),
        (zoneinfo.ZoneInfo("Europe/Berlin"), ["zoneinfo.ZoneInfo", "Europe/Berlin"]),
        (Path("a/b"), ["pathlib.PosixPath", "a/b"]),
        (OrderedDict(a=1), ["collections.OrderedDict", {"a": 1}]),
        (Counter("a"), ["collections.Counter", {"a": 1}]),
        (deque([1], 3), ["collections.deque", [[1], 3]]),
        (np.arange(2, dtype="int32"), ["numpy.ndarray", ["<i4", [2], b"\0\0\0\0\1\0\0\0"]]),
        (np.arange(2, dtype=">i4"), ["numpy.ndarray", ["<i4", [2], b"\0\0\0\0\1\0\0\0"]]),
        (np.float64(1.5), ["numpy.float64", ["<f8", b"\0\0\0\0\0\0\xf8?"]]),
    ],
)
def test_states_are_as_documented(value: Any, state: Any):
    assert _state(value) == state


def test_moments_that_are_equal_in_other_zones_are_other_values():
    utc = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    other = utc.astimezone(dt.timezone(dt.timedelta(hours=1)))
    assert utc == other
    assert _state(utc) != _state(other)


def test_a_dictionary_with_a_factory_gets_new_items_after_decoding():
    assert _round_trip(defaultdict(list))["new"] == []


@given(st.datetimes(timezones=st.timezones() | st.none(), allow_imaginary=False))
def test_moments_come_back_as_they_were(moment: dt.datetime):
    decoded = _round_trip(moment)
    assert (repr(decoded), decoded.fold) == (repr(moment), moment.fold)


@given(st.timedeltas() | st.times() | st.dates() | st.decimals() | st.fractions() | st.uuids())
def test_library_values_come_back_as_they_were(value: Any):
    assert repr(_round_trip(value)) == repr(value)


# -- numpy ------------------------------------------------------------------------------------------------------------

_DTYPES = ["i1", "u2", "<i4", ">i8", "f2", "<f4", ">f8", "c8", "?", "S3", "<U2", ">U2", "M8[s]", "m8[D]", "V4"]


@pytest.mark.parametrize("dtype", _DTYPES)
def test_arrays_of_every_kind_come_back(dtype: str):
    if dtype[-2:] == "U2":
        array = np.array(["é", "ab", ""], dtype=dtype)
    elif dtype == "?":
        array = np.array([True, False])
    else:
        array = np.frombuffer(bytes(range(96)), dtype=dtype)
    decoded = _round_trip(array)
    assert decoded.dtype == np.dtype(dtype).newbyteorder("<")
    assert decoded.tobytes() == array.astype(decoded.dtype).tobytes()


def test_arrays_are_the_same_value_whatever_their_layout_in_memory():
    array = np.arange(24, dtype=np.int64).reshape(4, 6)
    layouts = [array, np.asfortranarray(array), array.astype(">i8"), np.pad(array, 1)[1:-1, 1:-1], array[::-1][::-1]]
    assert len({str(_state(layout)) for layout in layouts}) == 1


def test_shape_and_dtype_are_part_of_the_value():
    arrays = [np.zeros(6), np.zeros((2, 3)), np.zeros((3, 2)), np.zeros(6, "f4"), np.zeros(6, "i8"), np.zeros((6, 0))]
    assert len({str(_state(array)) for array in arrays}) == len(arrays)


def test_decoded_arrays_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        _round_trip(np.arange(3))[0] = 1


def test_an_array_of_objects_is_stored_item_by_item():
    array = np.array([1, "a", None, [2]], dtype=object).reshape(2, 2)
    assert _state(array) == ["numpy.objects", [[2, 2], [1, "a", None, [2]]]]
    decoded = _round_trip(array)
    assert (decoded.dtype, decoded.shape, decoded.tolist()) == (array.dtype, (2, 2), array.tolist())


def test_records_that_hold_objects_are_refused():
    with pytest.raises(CannotEncode, match="Python objects"):
        _state(np.zeros(1, dtype=[("a", "O")]))


@pytest.mark.parametrize(
    "kind",
    sorted({kind.__name__ for kind in np.sctypeDict.values()} - {"object_", "void", "longdouble", "clongdouble"}),
)
def test_scalars_of_every_kind_come_back(kind: str):
    scalar = np.zeros(1, dtype=kind)[0]
    decoded = _round_trip(scalar)
    assert type(decoded) is type(scalar)
    assert decoded.tobytes() == scalar.tobytes()


def test_record_scalars_come_back():
    record = np.zeros(2, dtype=[("a", "<i4"), ("b", "<f8", (2,))])
    record["a"] = [1, 2]
    decoded = _round_trip(record[1])
    assert (decoded.dtype, decoded.tobytes()) == (record.dtype, record[1].tobytes())


def test_text_scalars_keep_their_end():
    for scalar in (np.str_("a\0"), np.bytes_(b"a\0"), np.str_(""), np.str_("\ud800")):
        decoded = _round_trip(scalar)
        assert (type(decoded), len(decoded), decoded[-1:]) == (type(scalar), len(scalar), scalar[-1:])


@pytest.mark.parametrize("value", [np.zeros(2, "longdouble"), np.longdouble(1), np.clongdouble(1)])
def test_numbers_that_are_not_portable_are_refused(value: Any):
    with pytest.raises(CannotEncode, match="another on every machine"):
        _state(value)


class Named(np.ndarray[Any, Any]):
    name = "n"


def test_subclasses_of_arrays_by_the_user_are_refused():
    with pytest.raises(CannotEncode, match="Named, a subclass of ndarray, may be more"):
        _state(np.zeros(2).view(Named))


# -- the registry -----------------------------------------------------------------------------------------------------


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


def test_an_adapter_of_the_user_decides_the_form():
    register(Money, "acme.Money", lambda _, money: money.cents, lambda _, state: Money(state))
    try:
        assert _state(Money(5)) == ["acme.Money", 5]
        assert _round_trip([Money(5)])[0].cents == 5
    finally:
        HANDLERS.pop(Money)


def test_libraries_are_not_loaded_to_learn_that_a_value_is_not_theirs():
    program = (
        "import sys; from redun.core import keys; from redun.core.values import Encoder\n"
        "from redun.core.digest import DEFAULT_FORMAT\n"
        "Encoder(DEFAULT_FORMAT).encode([1, (2,), {'a'}, ValueError(1), len, print])\n"
        "print([name for name in ('numpy', 'decimal', 'zoneinfo', 'fractions', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_extension_is_never_taken_for_a_value():
    with pytest.raises(CannotEncode):
        Encoder(DEFAULT_FORMAT).encode([ExtType(codes.TUPLE, b"\x90")])
