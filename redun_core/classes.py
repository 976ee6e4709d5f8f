"""Instances of classes: dataclasses, named tuples, enums, exceptions, and plain objects, encoded by structure.

A plain object is its class by name, the arguments of `__new__`, and its state, as `copyreg.__newobj__` defines them. No
other reduce callable is ever called, when encoding or decoding. Classes of the standard library have no structure that
their authors promise, so they need an adapter.
"""

from __future__ import annotations

import copyreg
import sys
from enum import Enum
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final

from redun.core import codes
from redun.core.concealed import redacted, tells
from redun.core.decoding import READERS, Decoder
from redun.core.errors import CannotDecode, CannotEncode, CodecError
from redun.core.values import FINDERS, Encoder, Handler

_STDLIB: Final = sys.stdlib_module_names


def _finder(kind: type) -> Handler | None:
    if issubclass(kind, Enum):
        return _enum
    if issubclass(kind, BaseException):
        return _error
    if issubclass(kind, type):
        return _class
    if kind is FunctionType or kind is BuiltinFunctionType:
        return _function
    if kind.__module__.partition(".")[0] in _STDLIB:
        return None
    if any(base.__module__ == "pydantic.types" and base.__name__ in _SECRETS for base in kind.__mro__):
        return _secret
    if hasattr(kind, "__dataclass_fields__") and not _is_native(kind):
        return partial(_dataclass, _field_names(kind))
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _namedtuple
    if issubclass(kind, (set, frozenset)):
        return _set_subclass
    return _instance if _is_structural(kind) else None


FINDERS.append(_finder)
#: Classes of pydantic for what is not to be told, which would be stored as it is.
_SECRETS: Final = frozenset({"SecretStr", "SecretBytes", "Secret"})


def _is_structural(kind: type) -> bool:
    return all(getattr(kind, name) is getattr(object, name) for name in ("__reduce_ex__", "__reduce__"))


def _is_native(kind: type) -> bool:
    """Whether instances hold data of a type written in C (a list, a number): fields alone do not make them."""
    return any(isinstance(vars(base).get("__new__"), BuiltinFunctionType) for base in kind.__mro__[:-1])


# -- encoding ---------------------------------------------------------------------------------------------------------


def _name(encoder: Encoder, kind: Any) -> str:
    encoder.code.append(kind)
    return codes.qualified_name(kind)


def _field_names(kind: Any) -> list[str]:
    """Names of a dataclass's fields: `ClassVar` and `InitVar` are listed with them and belong to no instance."""
    return [name for name, field in kind.__dataclass_fields__.items() if field._field_type.name == "_FIELD"]


def _dataclass(names: list[str], encoder: Encoder, obj: Any) -> Any:
    missing = [name for name in names if not hasattr(obj, name)]
    if missing:
        raise CannotEncode(f"field {missing[0]!r} of a {type(obj).__qualname__} was never set")
    extra = {k: v for k, v in getattr(obj, "__dict__", {}).items() if k not in names}
    values = [getattr(obj, name) for name in names]
    return encoder.ext(codes.DATACLASS, [_name(encoder, type(obj)), [*names, *extra], [*values, *extra.values()]])


def _namedtuple(encoder: Encoder, obj: Any) -> Any:
    if getattr(obj, "__dict__", None):  # of a subclass, whose instances can hold more than the fields
        return _instance(encoder, obj)
    return encoder.ext(codes.NAMEDTUPLE, [_name(encoder, type(obj)), list(obj._fields), list(obj)])


def _enum(encoder: Encoder, obj: Any) -> Any:
    named = type(obj).__members__.get(obj.name or "") is obj
    return encoder.ext(codes.ENUM, [_name(encoder, type(obj)), obj.name if named else obj.value])


def _function(encoder: Encoder, obj: Any) -> Any:
    return encoder.ext(codes.FUNCTION, [_name(encoder, obj)])


def _class(encoder: Encoder, obj: Any) -> Any:
    return encoder.ext(codes.CLASS, [_name(encoder, obj)])


def _secret(_: Encoder, obj: Any) -> Any:
    raise CannotEncode(f"a {type(obj).__name__} of pydantic would be stored in the open", hint="use redun.Secret")


def _set_subclass(encoder: Encoder, obj: Any) -> Any:
    base = set if isinstance(obj, set) else frozenset
    return encoder.ext(codes.INSTANCE, [_name(encoder, type(obj)), [base(obj)], [vars(obj) or None, None, None]])


def _instance(encoder: Encoder, obj: Any) -> Any:
    reduced = obj.__reduce_ex__(2)
    maker, arguments = reduced[0], reduced[1]
    state, items, pairs = (*reduced[2:], None, None, None)[:3]
    if maker is not copyreg.__newobj__:  # type: ignore[attr-defined]  # typeshed leaves out the function that pickle names
        raise CannotEncode(f"a {type(obj).__qualname__} is not made by __new__ with positional arguments alone")
    parts = [state, None if items is None else list(items), None if pairs is None else [list(p) for p in pairs]]
    return encoder.ext(codes.INSTANCE, [_name(encoder, type(obj)), list(arguments[1:]), parts])


def _error(encoder: Encoder, obj: BaseException) -> Any:
    kind = type(obj)
    try:
        name = _name(encoder, kind)
    except CannotEncode:  # a class local to a function: the error is still told, though not rebuilt as its class
        name = f"{kind.__module__}:{kind.__qualname__}"
    state = {k: v for k, v in vars(obj).items() if k != "__notes__"} | _fields(obj)
    notes = getattr(obj, "__notes__", None)  # whoever assigns it may assign anything
    notes = [redacted(n if isinstance(n, str) else _text(n)) for n in notes] if isinstance(notes, (list, tuple)) else []
    parts = [name, _tellable(encoder, list(obj.args)), notes, _cause(obj), _tellable(encoder, state)]
    return encoder.ext(codes.ERROR, parts)


#: Longest chain of causes that is kept in an error value; a traceback keeps all.
_CAUSES: Final = 50
#: What built-in exceptions keep outside their `args` and `__dict__`, where they say it at all.
_FIELDS: Final[dict[type, tuple[str, ...]]] = {
    OSError: ("errno", "strerror", "filename", "filename2"),
    UnicodeError: ("encoding", "object", "start", "end", "reason"),
    SyntaxError: ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset"),
    ImportError: ("msg", "name", "path"),
    NameError: ("name",),
    AttributeError: ("name",),
    StopIteration: ("value",),
    SystemExit: ("code",),
}


def _fields(error: BaseException) -> dict[str, Any]:
    names = [name for kind, fields in _FIELDS.items() if isinstance(error, kind) for name in fields]
    names += copyreg._slotnames(type(error))  # type: ignore[attr-defined]  # what pickle itself asks for slots
    values = {name: getattr(error, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _cause(error: BaseException) -> BaseException | None:
    """What the error was raised from; None where the chain of causes is a ring or has no end in sight."""
    last: BaseException | None = error
    for _ in range(_CAUSES):
        last = last.__cause__ if last is not None else None
    return error.__cause__ if last is None else None


def _tellable(encoder: Encoder, parts: Any) -> Any:
    """The parts of an error that can be encoded, the others by their text: an error must always be told."""
    if isinstance(parts, dict):
        return {key: _tell(encoder, value) for key, value in parts.items()}
    return [_tell(encoder, value) for value in parts]


def _tell(encoder: Encoder, value: Any) -> Any:
    probe = Encoder(encoder.format)
    probe.place = encoder.place  # in what a body returns, an error may hold lazy values as anything else may
    try:
        payload = probe.encode(value).payload
    except CodecError:
        return redacted(_text(value))
    if tells([payload, *(part for _, part in probe.objects.values())]):
        return redacted(value if isinstance(value, str) else _text(value))
    return value


def _text(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  the value's own __repr__ may raise anything
        return f"<{type(value).__qualname__}>"


# -- decoding ---------------------------------------------------------------------------------------------------------


class UnavailableError(Exception):
    """Stands for a recorded error whose class the running workflow has not imported."""


def _found(decoder: Decoder, name: str, base: type | tuple[type, ...] = type) -> Any:
    found = codes.lookup(name)
    if not isinstance(found, base):
        raise CannotDecode(f"{name} is now a {type(found).__name__}")
    decoder.code.append(found)
    return found


def _new(decoder: Decoder, name: str) -> Any:
    kind = _found(decoder, name)
    if kind.__module__.partition(".")[0] in _STDLIB:
        raise CannotDecode(f"{name} is of the standard library and has no adapter")
    return kind


def _read_dataclass(decoder: Decoder, items: Any) -> Any:
    kind = _new(decoder, items[0])
    names = _field_names(kind)
    if names != items[1][: len(names)]:
        raise CannotDecode(f"the fields of {items[0]} have changed")
    obj = object.__new__(kind)
    for name, value in zip(items[1], items[2], strict=True):
        object.__setattr__(obj, name, value)
    return obj


def _read_namedtuple(decoder: Decoder, items: Any) -> Any:
    kind = _new(decoder, items[0])
    if not issubclass(kind, tuple) or list(getattr(kind, "_fields", ())) != items[1]:
        raise CannotDecode(f"the fields of {items[0]} have changed")
    return tuple.__new__(kind, items[2])


def _read_enum(decoder: Decoder, items: Any) -> Any:
    kind = _found(decoder, items[0])
    if not issubclass(kind, Enum):
        raise CannotDecode(f"{items[0]} is no enum any more")
    member = kind.__members__.get(items[1]) if isinstance(items[1], str) else None
    try:
        return kind(items[1]) if member is None else member
    except ValueError:
        raise CannotDecode(f"{items[0]} has no member {items[1]!r} any more") from None


def _read_instance(decoder: Decoder, items: Any) -> Any:
    kind = _new(decoder, items[0])
    if not _is_structural(kind) and not issubclass(kind, (set, frozenset)):
        raise CannotDecode(f"{items[0]} now has a reduce method of its own")
    _, arguments, (state, elements, pairs) = items
    if type(state) is dict and _needed(kind) - state.get("__dict__", state).keys():
        raise CannotDecode(f"the fields of {items[0]} have changed")
    try:
        return rebuilt(kind, arguments, state, elements, pairs)
    except Exception as error:
        raise CannotDecode(f"a {items[0]} cannot be made again: {type(error).__name__}: {error}") from error


def _needed(kind: Any) -> set[str]:
    """Fields that every instance of a class of attrs or pydantic has: what was stored without is of another class."""
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name for field in kind.__attrs_attrs__}
    # (`model_fields` before pydantic 2.10)
    return set(getattr(kind, "model_fields", ())) if hasattr(kind, "__pydantic_validator__") else set()


def rebuilt(kind: Any, arguments: list[Any], state: Any, elements: Any, pairs: Any) -> Any:
    """Returns the instance of a class that `copyreg.__newobj__` and these parts make."""
    obj: Any = kind.__new__(kind, *arguments)
    if issubclass(kind, set):
        obj.update(*arguments)
    if elements is not None:
        obj.extend(elements)
    for key, value in pairs or ():
        obj[key] = value
    if state is not None:
        _set_state(obj, state)
    return obj


def _set_state(obj: Any, state: Any) -> None:
    if hasattr(type(obj), "__setstate__"):
        obj.__setstate__(state)
        return
    parts: Any = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    for part in parts:
        for name, value in (part or {}).items():
            object.__setattr__(obj, name, value)


def _read_error(decoder: Decoder, items: Any) -> Any:
    name, arguments, notes, cause, state = items
    try:
        kind = _found(decoder, name)
        if not issubclass(kind, BaseException):
            raise CannotDecode(f"{name} is no exception any more")
        error = kind.__new__(kind, *arguments)
    except (CannotDecode, TypeError, ValueError):
        error = UnavailableError(name.replace(":", "."), *arguments)
    error.args = error.args if isinstance(error, UnavailableError) else tuple(arguments)
    for key, value in state.items():
        object.__setattr__(error, key, value)
    for note in notes:
        error.add_note(note)
    error.__cause__ = cause
    return error


READERS[codes.DATACLASS] = _read_dataclass
READERS[codes.NAMEDTUPLE] = _read_namedtuple
READERS[codes.ENUM] = _read_enum
READERS[codes.INSTANCE] = _read_instance
READERS[codes.ERROR] = _read_error
READERS[codes.FUNCTION] = lambda decoder, items: _found(decoder, items[0], (FunctionType, BuiltinFunctionType, type))
READERS[codes.CLASS] = lambda decoder, items: _found(decoder, items[0])
