"""Adapters of numpy: arrays and scalars as little-endian dtype, shape and bytes in C order.

A large array is a blob that is hashed and written in place; reading it gives a read-only view of the mapped file. How
an array lies in memory (order, strides, byte order, a file behind it) is no part of its value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from redun.core import limits
from redun.core.adapters.registry import reads, register, writes
from redun.core.decoding import Decoder
from redun.core.errors import CannotDecode, CannotEncode
from redun.core.values import PARTS, Encoder

#: Bytes of an array that lie in its state: less than `limits.CHILD_BYTES`, so that the state stays in one piece.
_INLINE_BYTES: Final = limits.CHILD_BYTES // 2
#: Bytes of a large array that lie beside it, so that it can be shown without its blob.
HEAD_BYTES: Final = 72


def portable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Returns the dtype in little-endian.

    Raises:
        CannotEncode: if its bytes mean nothing elsewhere.
    """
    if dtype.hasobject:
        raise CannotEncode(
            f"an array of dtype {dtype} holds Python objects in fields", hint="use an array for each field"
        )
    if dtype.type in (np.longdouble, np.clongdouble):
        raise CannotEncode(
            f"dtype {dtype} is another on every machine, and part of its bytes is not set", hint="use float64"
        )
    return dtype.newbyteorder("<")


def _descr(dtype: np.dtype[Any]) -> Any:
    """The dtype as plain data: its string, or for records the list that numpy itself gives."""
    if dtype.names is None and dtype.subdtype is None:
        return dtype.str
    return np.lib.format.dtype_to_descr(dtype)


def buffer(encoder: Encoder, plain: np.ndarray[Any, Any]) -> list[Any]:
    """Returns the bytes of a contiguous array as parts of a state: [bytes], or [a large leaf, its first bytes]."""
    if plain.nbytes <= _INLINE_BYTES:
        return [plain.tobytes()]
    data = plain.reshape(-1).view(np.uint8).data
    return [encoder.large("view", data), bytes(data[:HEAD_BYTES])]


def _array(encoder: Encoder, array: np.ndarray[Any, Any]) -> Any:
    plain = np.ascontiguousarray(array, dtype=portable(array.dtype)).reshape(array.shape)
    if plain.dtype.names is not None:
        plain = _without_gaps(plain)
    return [_descr(plain.dtype), list(plain.shape), *buffer(encoder, plain)]


def _without_gaps(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The records with zeros in the bytes that belong to no field."""
    if _is_packed(array.dtype):
        return array
    clean: np.ndarray[Any, Any] = np.zeros(array.shape, dtype=array.dtype)
    _copy_fields(clean, array)
    return clean


def _is_packed(dtype: np.dtype[Any]) -> bool:
    if dtype.subdtype is not None:
        return _is_packed(dtype.subdtype[0])
    if dtype.names is None:
        return True
    fields = [dtype[name] for name in dtype.names]
    return sum(field.itemsize for field in fields) == dtype.itemsize and all(map(_is_packed, fields))


def _copy_fields(target: np.ndarray[Any, Any], source: np.ndarray[Any, Any]) -> None:
    for name in source.dtype.names or ():
        if source[name].dtype.names is None:
            target[name] = source[name]
        else:
            _copy_fields(target[name], source[name])


def _dtype(descr: Any) -> np.dtype[Any]:
    return np.dtype(descr) if isinstance(descr, str) else np.lib.format.descr_to_dtype(descr)


def _read_array(_: Decoder, state: Any) -> np.ndarray[Any, Any]:
    descr, shape, data = state[:3]
    # frombuffer over bytes or a mapped file is read-only: no task can change what another one is given
    return np.frombuffer(data, dtype=_dtype(descr)).reshape(shape)


# -- arrays of objects and of text of any length ----------------------------------------------------------------------


def _items(encoder: Encoder, array: np.ndarray[Any, Any]) -> Any:
    return [list(array.shape), array.reshape(-1).tolist()]


def _filled(shape: Any, items: list[Any], dtype: Any) -> np.ndarray[Any, Any]:
    flat: np.ndarray[Any, Any] = np.empty(len(items), dtype=dtype)
    for i, item in enumerate(items):  # whole, also where it is a list
        flat[i] = item
    flat.flags.writeable = False
    return flat.reshape(shape)


def _read_objects(_: Decoder, state: Any) -> np.ndarray[Any, Any]:
    shape, items = state
    return _filled(shape, items, object)


def _texts(encoder: Encoder, array: np.ndarray[Any, Any]) -> Any:
    return [*_items(encoder, array), _descr_texts(array.dtype)]


def _descr_texts(dtype: Any) -> list[Any]:
    """[whether anything is made text, what stands for a missing one, if there is such]"""
    return [dtype.coerce, dtype.na_object] if hasattr(dtype, "na_object") else [dtype.coerce]


def _text_dtype(state: list[Any]) -> Any:
    missing = {"na_object": state[1]} if len(state) > 1 else {}
    return np.dtypes.StringDType(coerce=state[0], **missing)


def _read_texts(_: Decoder, state: Any) -> np.ndarray[Any, Any]:
    shape, items, descr = state
    return _filled(shape, items, _text_dtype(descr))


def _any_array(encoder: Encoder, array: np.ndarray[Any, Any]) -> tuple[str, Any]:
    """Objects and texts of any length are values one by one, anything else is bytes."""
    if array.dtype.char == "O":
        return "numpy.objects", _items(encoder, array)
    if array.dtype.char == "T":
        return "numpy.texts", _texts(encoder, array)
    return "numpy.ndarray", _array(encoder, array)


# -- subclasses -------------------------------------------------------------------------------------------------------


def _masked(_: Encoder, array: np.ma.MaskedArray[Any, Any]) -> Any:
    mask = None if array.mask is np.ma.nomask else np.asarray(array.mask)
    fill = None if array._fill_value is None else np.asarray(array._fill_value)  # type: ignore[attr-defined]  # the property makes one
    return [np.asarray(array.data), mask, fill, array.hardmask]


def _read_masked(_: Decoder, state: Any) -> np.ma.MaskedArray[Any, Any]:
    data, mask, fill, hard = state
    made: Any = np.ma.array(data, mask=np.ma.nomask if mask is None else mask, hard_mask=hard)
    if fill is not None:
        made.set_fill_value(fill)
    return made  # type: ignore[no-any-return]


def _records(_: Encoder, array: np.ndarray[Any, Any]) -> Any:
    dtype = np.dtype((np.void, array.dtype)) if array.dtype.names else array.dtype
    return np.asarray(array).view(dtype)


def _read_records(_: Decoder, state: Any) -> Any:
    return state.view(np.recarray)


# -- scalars, dtypes, functions ---------------------------------------------------------------------------------------


def _scalar(_: Encoder, scalar: np.generic[Any]) -> Any:
    dtype = portable(scalar.dtype)
    return [_descr(dtype), _without_gaps(np.asarray(scalar, dtype=dtype)).tobytes()]


def _scalar_reader(kind: type[np.generic[Any]]) -> Callable[[Decoder, Any], Any]:
    # types of C that are equally wide (int64 and longlong) have one dtype string, so the type itself has to say
    fixed = None if issubclass(kind, (np.flexible, np.datetime64, np.timedelta64)) else np.dtype(kind).newbyteorder("<")
    return lambda _, state: np.frombuffer(state[1], dtype=_dtype(state[0]) if fixed is None else fixed)[0]


def _dtype_state(_: Encoder, dtype: np.dtype[Any]) -> Any:
    if dtype.char == "T":
        return ["T", *_descr_texts(dtype)]
    return _descr(dtype.newbyteorder("<"))


def _read_dtype(_: Decoder, state: Any) -> np.dtype[Any]:
    if isinstance(state, list) and state[0] == "T":
        return _text_dtype(state[1:])  # type: ignore[no-any-return]
    return _dtype(state)


def _function(_: Encoder, function: Any) -> str:
    name = str(function.__name__)
    if getattr(np, name, None) is not function:
        raise CannotEncode(f"{function!r} is no function of numpy itself", hint="give a function that calls it")
    return name


def _read_function(_: Decoder, state: Any) -> Any:
    found = getattr(np, state, None)
    if not isinstance(found, (np.ufunc, type(np.sum))):
        raise CannotDecode(f"numpy has no function {state!r}")
    return found


PARTS[np.ndarray] = lambda array: ((f"[{i}]", item) for i, item in enumerate(array.flat) if array.dtype.char == "O")
writes(np.ndarray, _any_array)
writes(np.memmap, _any_array)
reads("numpy.ndarray", _read_array)
reads("numpy.objects", _read_objects)
reads("numpy.texts", _read_texts)
register(np.ma.MaskedArray, "numpy.ma.MaskedArray", _masked, _read_masked)
register(type(np.ma.masked), "numpy.ma.masked", lambda _, __: None, lambda _, __: np.ma.masked)
register(np.recarray, "numpy.recarray", _records, _read_records)
register(np.matrix, "numpy.matrix", lambda _, matrix: np.asarray(matrix), lambda _, state: state.view(np.matrix))
for _kind in sorted(set(np.sctypeDict.values()), key=lambda kind: kind.__name__):
    if not issubclass(_kind, (np.object_, np.character)):
        register(_kind, f"numpy.{_kind.__name__}", _scalar, _scalar_reader(_kind))
register(
    np.record, "numpy.record", _scalar, lambda _, state: np.frombuffer(state[1], _dtype(state[0])).view(np.recarray)[0]
)
# through numpy's own conversions these would lose zeros at their end
register(np.str_, "numpy.str_", lambda _, text: str.__str__(text), lambda _, state: np.str_(state))
register(
    np.bytes_, "numpy.bytes_", lambda _, data: bytes.__getitem__(data, slice(None)), lambda _, state: np.bytes_(state)
)
for _member in {type(np.dtype(kind)) for kind in np.sctypeDict.values()}:
    register(_member, "numpy.dtype", _dtype_state, _read_dtype)
if hasattr(np.dtypes, "StringDType"):  # from numpy 2 on
    register(np.dtypes.StringDType, "numpy.dtype", _dtype_state, _read_dtype)
for _type in (np.ufunc, type(np.sum)):
    register(_type, "numpy.function", _function, _read_function)
