"""Adapters of numpy: arrays and scalars as little-endian dtype, shape and bytes in C order.

A large array is a blob that is hashed and written in place; reading it gives a read-only view of the mapped file.
"""

from __future__ import annotations

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


def _read_scalar(_: Decoder, state: Any) -> Any:
    return np.frombuffer(state[1], dtype=_dtype(state[0]))[0]


def _read_dtype(_: Decoder, state: Any) -> np.dtype[Any]:
    return _dtype(state)


register(np.ndarray, "numpy.ndarray", _array, _read_array)
for _kind in sorted(set(np.sctypeDict.values()), key=lambda kind: kind.__name__):
    if not issubclass(_kind, np.object_):
        register(_kind, f"numpy.{_kind.__name__}", _scalar, _read_scalar)
for _member in {type(np.dtype(kind)) for kind in np.sctypeDict.values()}:
    register(_member, "numpy.dtype", lambda _, dtype: _descr(dtype.newbyteorder("<")), _read_dtype)
