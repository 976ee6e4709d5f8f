"""The registry of value adapters: how a type that has no native form becomes a code and a state, and back.

An adapter's state is any value. Adapters of libraries lie in modules of their own, imported when a value of the
library (or a stored code that begins with its name) first turns up: nothing heavy is imported to learn that a value is
not of its kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, Protocol, TypeVar

from redun.core import codes
from redun.core.decoding import READERS, Decoder
from redun.core.errors import CannotDecode, CannotEncode, CodecError, RedunError
from redun.core.values import FINDERS, HANDLERS, PLAIN, Encoder, Handler

T = TypeVar("T")

#: Which module of ours holds the adapters of which library, by the first part of a type's `__module__` or of a code.
_HOMES: Final = {
    "builtins": "redun.core.adapters.builtin",
    "types": "redun.core.adapters.typings",
    "typing": "redun.core.adapters.typings",
    "datetime": "redun.core.adapters.times",
    "zoneinfo": "redun.core.adapters.times",
    "time": "redun.core.adapters.times",
    "pytz": "redun.core.adapters.pytz_zones",
    "decimal": "redun.core.adapters.numbers",
    "fractions": "redun.core.adapters.numbers",
    "statistics": "redun.core.adapters.numbers",
    "uuid": "redun.core.adapters.identifiers",
    "ipaddress": "redun.core.adapters.identifiers",
    "urllib": "redun.core.adapters.identifiers",
    "pathlib": "redun.core.adapters.paths",
    "re": "redun.core.adapters.texts",
    "string": "redun.core.adapters.texts",
    "collections": "redun.core.adapters.containers",
    "array": "redun.core.adapters.containers",
    "functools": "redun.core.adapters.callables",
    "operator": "redun.core.adapters.callables",
    "numpy": "redun.core.adapters.arrays",
    "pandas": "redun.core.adapters.pandas_frames",
    "polars": "redun.core.adapters.polars_frames",
    "pyarrow": "redun.core.adapters.arrow_tables",
    "torch": "redun.core.adapters.tensors",
    "redun": "redun.core.secrets",
    "redun_files": "redun.core.files.staging",
}


#: Those of other people, whose classes have more to them than a subclass tells.
_LIBRARIES: Final = frozenset({"numpy", "pandas", "polars", "pyarrow", "torch"})
#: How to read states, by the code of the adapter.
_BY_CODE: dict[str, Callable[[Decoder, Any], Any]] = {}
#: Types that have an adapter of ours.
_OURS: set[type] = set()
#: Types whose form a user has chosen: an adapter of ours that is loaded later leaves them alone.
_CHOSEN: set[type] = set()
#: The types of adapters that `register_adapter` registered, by code.
_KINDS: dict[str, type] = {}
#: Words joined by dots, at least two.
_CODE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
#: Types that the format has a form for.
_OWN_FORM: Final = PLAIN | {list, dict, tuple, set, frozenset, bytearray, memoryview}


def register(
    kind: Any, code: str, encode: Callable[[Encoder, Any], Any], decode: Callable[[Decoder, Any], Any]
) -> None:
    """Registers the adapter of exactly that type (subclasses are not meant).

    Args:
        kind: the type.
        code: its name in stored bytes, such as `numpy.ndarray`; never changed once values were stored under it.
        encode: from the value to its state. It may put blobs through the encoder.
        decode: from the state to the value; instantiates nothing but its own type.
    """
    reads(code, decode)

    def handler(encoder: Encoder, obj: Any) -> Any:
        return encoder.ext(codes.ADAPTED, [code, encode(encoder, obj)])

    _handle(kind, handler)


def _handle(kind: type, handler: Handler) -> None:
    if kind not in _CHOSEN:
        HANDLERS[kind] = handler
        if kind.__module__.partition(".")[0] in _HOMES:
            _OURS.add(kind)


def reads(code: str, decode: Callable[[Decoder, Any], Any]) -> None:
    """Registers how states of a code are read."""
    _BY_CODE[code] = decode


def writes(kind: type, encode: Callable[[Encoder, Any], tuple[str, Any]]) -> None:
    """Registers how values of a type become one of several codes, and the state that belongs to it."""
    _handle(kind, lambda encoder, obj: encoder.ext(codes.ADAPTED, list(encode(encoder, obj))))


def choose(
    kind: type[T], code: str, encode: Callable[[Encoder, T], Any], decode: Callable[[Decoder, Any], T], owner: type
) -> None:
    """Registers an adapter of the user, also where the type has one of ours. The code belongs to `owner` from now on.

    Raises:
        CodecError: if the code is that of another one.
    """
    known = _KINDS.get(code)
    if known is not None and (known.__module__, known.__qualname__) != (owner.__module__, owner.__qualname__):
        raise CodecError(f"{code!r} is the code of {known.__module__}.{known.__qualname__} already")
    _KINDS[code] = owner
    _CHOSEN.discard(kind)
    register(kind, code, encode, decode)
    _CHOSEN.add(kind)


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
    if not isinstance(kind, type) or kind in _OWN_FORM or _is_ours(kind):
        raise CodecError(f"{kind!r} is no type that an adapter can be registered for", hint="it has a form of its own")
    if not _CODE.fullmatch(code) or code.partition(".")[0] in _HOMES:
        raise CodecError(f"{code!r} is not a code for an adapter of yours", hint="call it yourtool.TypeName")

    def to_state(encoder: Encoder, obj: T) -> Any:
        encoder.code.append(kind)  # of an argument, the code of its class is part of a call's key
        return encode(obj)

    def from_state(decoder: Decoder, state: Any) -> T:
        decoder.code.append(kind)
        return decode(state)

    choose(kind, code, to_state, from_state, kind)


class AdapterMethods(Protocol[T]):
    """What `value_adapter` decorates: a class with these two, both static."""

    @staticmethod
    def encode(value: T, /) -> Any:
        """Returns the state of a value: any other value that can be stored, and the same for equal values."""

    @staticmethod
    def decode(state: Any, /) -> T:
        """Returns the value of a state."""
        ...


A = TypeVar("A", bound="type[AdapterMethods[Any]]")


def value_adapter(kind: type, *, code: str) -> Callable[[A], A]:
    """Makes the decorated class the adapter of a type, as `register_adapter` does with two functions.

        @value_adapter(Matrix, code="acme.Matrix")
        class MatrixAdapter:
            @staticmethod
            def encode(matrix):
                return matrix.rows()

            @staticmethod
            def decode(state):
                return Matrix(state)

    Raises:
        CodecError: as `register_adapter`, or if the class lacks one of the two.
    """

    def adopt(adapter: A) -> A:
        for name in ("encode", "decode"):
            if not callable(getattr(adapter, name, None)):
                raise CodecError(f"{adapter.__qualname__} has no static method {name!r}", hint="it needs both")
        register_adapter(kind, code, encode=adapter.encode, decode=adapter.decode)
        return adapter

    return adopt


def _is_ours(kind: type) -> bool:
    """Whether an adapter of ours is there for the type, once its library's are loaded."""
    if kind in _CHOSEN:
        return False
    _load(kind.__module__)
    return kind in _OURS


def _load(name: str) -> None:
    """Loads our adapters for the library that a module or a code belongs to."""
    home = _HOMES.get(name.partition(".")[0])
    if home is not None:
        import_module(home)  # a constant of ours, never a name from data


def _finder(kind: type) -> Handler | None:
    try:
        _load(kind.__module__)
    except ImportError as error:  # polars stands alone, and its adapters need numpy
        raise CannotEncode(
            f"a value of type {kind.__module__}.{kind.__qualname__} cannot be stored here: {error}",
            hint=f"install {error.name}" if error.name else "",
        ) from None
    for base in kind.__mro__[1:]:
        if base.__module__.partition(".")[0] in _LIBRARIES and _is_ours(base) and kind not in HANDLERS:
            name = f"{kind.__module__}.{kind.__qualname__}"
            raise CannotEncode(
                f"a value of type {name}, a subclass of {base.__name__}, may be more than that",
                hint=f"return a {base.__name__}, or register an adapter for the class",
            )
    return HANDLERS.get(kind)


def _read(decoder: Decoder, items: Any) -> Any:
    code, state = items
    decode = _BY_CODE.get(code)
    if decode is None:
        try:
            _load(code)
        except ImportError as error:
            raise CannotDecode(f"a value of type {code}: {error}", hint="install the library") from None
        decode = _BY_CODE.get(code)
    if decode is None:
        raise CannotDecode(f"no adapter for values of type {code}", hint="import the module that registers it")
    try:
        return decode(decoder, state)
    except RedunError:
        raise
    except Exception as error:  # a time zone that this machine does not know, an array of a dtype of a newer numpy
        raise CannotDecode(f"a value of type {code} cannot be made here: {type(error).__name__}: {error}") from error


FINDERS.insert(0, _finder)
READERS[codes.ADAPTED] = _read
