"""The registry of value adapters: how a type that has no native form becomes a code and a state, and back.

An adapter's state is any value. Adapters of libraries lie in modules of their own, imported when a value of the
library (or a stored code that begins with its name) first turns up: nothing heavy is imported to learn that a value is
not of its kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, TypeVar

from redun.core import codes
from redun.core.decoding import READERS, Decoder
from redun.core.errors import CannotDecode, CodecError, RedunError
from redun.core.values import FINDERS, HANDLERS, PLAIN, Encoder, Handler

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
    "functools": "redun.core.adapters.callables",
    "numpy": "redun.core.adapters.arrays",
    "redun": "redun.core.secrets",
    "redun_files": "redun.core.files.staging",
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
#: The types of adapters that `register_adapter` registered, by code.
_KINDS: dict[str, type] = {}
#: Words joined by dots, at least two.
_CODE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
#: Types that the format has a form for.
_OWN_FORM: Final = PLAIN | {list, dict, tuple, set, frozenset, bytearray, memoryview}


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


def register_adapter(kind: type[T], code: str, *, encode: Callable[[T], Any], decode: Callable[[Any], T]) -> None:
    """Registers how values of a type of yours are stored, for this process.

    The handle under which bytes name the type is `code`, not the class: it can be renamed and moved. Decoding finds the
    adapter in the registry and imports nothing, so whoever reads such values imports the module that registers it.

    Args:
        kind: the type, exactly: subclasses need adapters of their own.
        code: a name that nobody else uses: words of letters, digits and _ joined by dots, such as `yourtool.Matrix`. It
            is never changed once values were stored under it.
        encode: from a value to its state: any other value that can be stored, and the same for equal values. No memory
            address, time, or order of a hash table may be in it.
        decode: from the state to a value.

    Raises:
        CodecError: if the type has a form of its own, the code is none, or is that of another type.
    """
    if not isinstance(kind, type) or kind in _OWN_FORM or kind.__module__.partition(".")[0] in _HOMES:
        raise CodecError(f"{kind!r} is no type that an adapter can be registered for", hint="it has a form of its own")
    if not _CODE.fullmatch(code) or code.partition(".")[0] in _HOMES:
        raise CodecError(f"{code!r} is not a code for an adapter of yours", hint="call it yourtool.TypeName")
    known = _KINDS.setdefault(code, kind)
    if (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
        raise CodecError(f"{code!r} is the code of {known.__module__}.{known.__qualname__} already")

    def to_state(encoder: Encoder, obj: T) -> Any:
        encoder.code.append(kind)  # of an argument, the code of its class is part of a call's key
        return encode(obj)

    def from_state(decoder: Decoder, state: Any) -> T:
        decoder.code.append(kind)
        return decode(state)

    register(kind, code, to_state, from_state)


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
