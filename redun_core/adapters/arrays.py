"""Adapters of numpy: arrays and scalars as little-endian dtype, shape and bytes in C order.

A large array is a blob that is hashed and written in place; reading it gives a read-only view of the mapped file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from redun.core import limits
from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.errors import CannotEncode
from redun.core.values import Encoder


def _portable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.hasobject:
        raise CannotEncode(f"an array of dtype {dtype} holds Python objects", hint="use a list, or a typed array")
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


def _array(encoder: Encoder, array: np.ndarray[Any, Any]) -> Any:
    plain = np.ascontiguousarray(array, dtype=_portable(array.dtype)).reshape(array.shape)
    if plain.nbytes > limits.LEAF_BYTES:
        data: Any = encoder.large("view", plain.reshape(-1).view(np.uint8).data)
    else:
        data = plain.tobytes()
    return [_descr(plain.dtype), list(plain.shape), data]


def _dtype(descr: Any) -> np.dtype[Any]:
    return np.dtype(descr) if isinstance(descr, str) else np.lib.format.descr_to_dtype(descr)


def _read_array(_: Decoder, state: Any) -> np.ndarray[Any, Any]:
    descr, shape, data = state
    # frombuffer over bytes or a mapped file is read-only: no task can change what another one is given
    return np.frombuffer(data, dtype=_dtype(descr)).reshape(shape)


def _scalar(_: Encoder, scalar: np.generic[Any]) -> Any:
    dtype = _portable(scalar.dtype)
    return [_descr(dtype), np.asarray(scalar, dtype=dtype).tobytes()]


def _scalar_reader(kind: type[np.generic[Any]]) -> Callable[[Decoder, Any], Any]:
    # types of C that are equally wide (int64 and longlong) have one dtype string, so the type itself has to say
    fixed = None if issubclass(kind, (np.flexible, np.datetime64, np.timedelta64)) else np.dtype(kind).newbyteorder("<")
    return lambda _, state: np.frombuffer(state[1], dtype=_dtype(state[0]) if fixed is None else fixed)[0]


def _read_dtype(_: Decoder, state: Any) -> np.dtype[Any]:
    return _dtype(state)


register(np.ndarray, "numpy.ndarray", _array, _read_array)
for _kind in sorted(set(np.sctypeDict.values()), key=lambda kind: kind.__name__):
    if not issubclass(_kind, (np.object_, np.character)):
        register(_kind, f"numpy.{_kind.__name__}", _scalar, _scalar_reader(_kind))
# through numpy's own conversions these would lose zeros at their end
register(np.str_, "numpy.str_", lambda _, text: str.__str__(text), lambda _, state: np.str_(state))
register(
    np.bytes_, "numpy.bytes_", lambda _, data: bytes.__getitem__(data, slice(None)), lambda _, state: np.bytes_(state)
)
for _member in {type(np.dtype(kind)) for kind in np.sctypeDict.values()}:
    register(_member, "numpy.dtype", lambda _, dtype: _descr(dtype.newbyteorder("<")), _read_dtype)
