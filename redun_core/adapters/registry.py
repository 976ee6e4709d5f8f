"""The registry of value adapters: how a type that has no native form becomes a code and a state, and back.

An adapter's state is any value. Adapters of libraries lie in modules of their own, imported when a value of the
library (or a stored code that begins with its name) first turns up: nothing heavy is imported to learn that a value is
not of its kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, TypeVar

from redun.core import codes
from redun.core.decoding import READERS, Decoder
from redun.core.errors import CannotDecode, RedunError
from redun.core.values import FINDERS, HANDLERS, Encoder, Handler

T = TypeVar("T")

#: Which module of ours holds the adapters of which library, by the first part of a type's `__module__` or of a code.
_HOMES: Final = {
    "builtins": "redun.core.adapters.builtin",
    "datetime": "redun.core.adapters.times",
    "zoneinfo": "redun.core.adapters.times",
    "decimal": "redun.core.adapters.numbers",
    "fractions": "redun.core.adapters.numbers",
    "uuid": "redun.core.adapters.identifiers",
    "pathlib": "redun.core.adapters.paths",
    "collections": "redun.core.adapters.containers",
    "numpy": "redun.core.adapters.arrays",
}


@dataclass(frozen=True, slots=True)
class Adapter:
    """How values of one type are stored.

    Attributes:
        code: its name in stored bytes, such as `numpy.ndarray`; never changed once values were stored under it.
        encode: from the value to its state. It may put blobs through the encoder.
        decode: from the state to the value; instantiates nothing but its own type.
    """

    code: str
    encode: Callable[[Encoder, Any], Any]
    decode: Callable[[Decoder, Any], Any]


_BY_CODE: dict[str, Adapter] = {}


def register(
    kind: type[T],
    code: str,
    encode: Callable[[Encoder, T], Any],
    decode: Callable[[Decoder, Any], T],
) -> None:
    """Registers the adapter of exactly that type (subclasses are not meant)."""
    adapter = Adapter(code, encode, decode)
    _BY_CODE[code] = adapter

    def handler(encoder: Encoder, obj: T) -> Any:
        return encoder.ext(codes.ADAPTED, [code, encode(encoder, obj)])

    HANDLERS[kind] = handler


def _finder(kind: type) -> Handler | None:
    home = _HOMES.get(kind.__module__.partition(".")[0])
    if home is not None:
        import_module(home)  # a constant of ours, never a name from data
    return HANDLERS.get(kind)


def _read(decoder: Decoder, items: Any) -> Any:
    code, state = items
    adapter = _BY_CODE.get(code)
    if adapter is None:
        home = _HOMES.get(code.partition(".")[0])
        if home is not None:
            try:
                import_module(home)
            except ImportError as error:
                raise CannotDecode(f"a value of type {code}: {error}", hint="install the library") from None
        adapter = _BY_CODE.get(code)
    if adapter is None:
        raise CannotDecode(f"no adapter for values of type {code}", hint="import the module that registers it")
    try:
        return adapter.decode(decoder, state)
    except RedunError:
        raise
    except Exception as error:  # a time zone that this machine does not know, an array of a dtype of a newer numpy
        raise CannotDecode(f"a value of type {code} cannot be made here: {type(error).__name__}: {error}") from error


FINDERS.insert(0, _finder)
READERS[codes.ADAPTED] = _read
