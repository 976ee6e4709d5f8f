"""Annotations as the command line reads them: what they come down to, their names, and what they are made of."""

from __future__ import annotations

import enum
import sys
import types
import typing
from typing import Any, Final, Literal, Union


def plain(kind: Any) -> Any:
    """Returns the annotation without what says nothing about the value: Annotated, Final, NewType, type variables."""
    while True:
        if hasattr(kind, "__supertype__"):  # NewType
            kind = kind.__supertype__
        elif hasattr(kind, "__metadata__"):  # Annotated
            kind = kind.__origin__
        elif isinstance(kind, typing.TypeVar):
            kind = kind.__bound__ or Union[kind.__constraints__ or (Any,)]  # noqa: UP007 - a tuple made at run time
        elif typing.get_origin(kind) in (typing.Final, typing.Required, typing.NotRequired, typing.ClassVar):
            (kind,) = typing.get_args(kind)
        elif kind is None:
            return type(None)
        elif type(kind).__name__ == "TypeAliasType":  # of `type Name = ...`, from Python 3.12 on
            kind = kind.__value__
        else:
            return kind


def hints_of(thing: Any) -> dict[str, Any]:
    """Returns the annotations of a function or a class; one that names what does not exist counts as Any."""
    try:
        return typing.get_type_hints(thing)
    except Exception:  # noqa: BLE001 - whatever evaluating the user's annotations raises
        names = getattr(sys.modules.get(thing.__module__), "__dict__", {})
        return {name: _hint(name, hint, names) for name, hint in getattr(thing, "__annotations__", {}).items()}


def _hint(name: str, hint: Any, names: dict[str, Any]) -> Any:
    holder = types.SimpleNamespace(__annotations__={name: hint})
    try:
        return typing.get_type_hints(holder, names)[name]
    except Exception:  # noqa: BLE001 - as above
        return Any


def members(kind: Any) -> tuple[Any, ...]:
    """Returns the members of a union, or the annotation alone."""
    kind = plain(kind)
    if typing.get_origin(kind) in (Union, types.UnionType):
        return tuple(inner for member in typing.get_args(kind) for inner in members(member))
    return (kind,)


def is_secret(kind: Any) -> bool:
    """Returns whether the annotation is `Secret` or `Secret[...]`."""
    origin = typing.get_origin(kind) or kind  # known by its name: nothing is imported to ask
    return getattr(origin, "__name__", "") == "Secret" and getattr(origin, "__module__", "") == "redun.core.secrets"


def holds_secret(kind: Any) -> bool:
    """Returns whether a secret may be part of what the annotation admits."""
    seen: list[Any] = []
    waiting = list(members(kind))
    while waiting:
        one = waiting.pop()
        if is_secret(one):
            return True
        if one not in seen:
            seen.append(one)
            parts = [*typing.get_args(one), *(hint for hint, _ in (fields_of(one) or {}).values())]
            waiting += [member for part in parts for member in members(part)]
    return False


def is_flag(kind: Any) -> bool:
    """Returns whether the annotation is bool, or bool or None."""
    return set(members(kind)) - {type(None)} == {bool}


def repeated(kind: Any) -> Any | None:
    """Returns the list, tuple or set (one that may be None, too) of an option that may be repeated, or None."""
    found = [member for member in members(kind) if member is not type(None)]
    return found[0] if len(found) == 1 and container_of(found[0]) in (list, tuple, set, frozenset) else None


def type_name(kind: Any) -> str:
    """Returns the annotation as people write it: `int`, `list[str]`, `Color`, `int | None`."""
    kind = plain(kind) if not isinstance(kind, str) else kind
    if isinstance(kind, str):
        return kind
    if kind is type(None):
        return "None"
    several = members(kind)
    if len(several) > 1:
        return " | ".join(map(type_name, several))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is not None and arguments:
        inner = ", ".join("..." if a is ... else type_name(a) if not isinstance(a, list) else "..." for a in arguments)
        return f"{getattr(origin, '__name__', str(origin))}[{inner}]"
    return getattr(kind, "__name__", None) or str(kind)


def choices(kind: Any) -> list[str]:
    """Returns the words that an Enum or a Literal (one that may be None, too) admits; empty for other annotations."""
    several = [member for member in members(kind) if member is not type(None)]
    if len(several) != 1:
        return []
    (one,) = several
    if typing.get_origin(one) is Literal:
        return [str(choice) for choice in typing.get_args(one)]
    return list(one.__members__) if isinstance(one, enum.EnumMeta) else []


def container_of(kind: Any) -> type | None:
    """Returns list, tuple, set, frozenset or dict for an annotation of such, of a protocol of such, or None."""
    origin = typing.get_origin(kind) or kind
    if origin in (list, tuple, set, frozenset, dict):
        return typing.cast("type", origin)
    name = getattr(origin, "__name__", "") if getattr(origin, "__module__", "") == "collections.abc" else ""
    return _PROTOCOLS.get(name)


_PROTOCOLS: Final[dict[str, type]] = {
    "Sequence": list,
    "MutableSequence": list,
    "Iterable": list,
    "Collection": list,
    "Set": set,
    "MutableSet": set,
    "Mapping": dict,
    "MutableMapping": dict,
}


def item_of(kind: Any, index: int = 0) -> Any:
    """Returns the annotation of a container's item at `index`."""
    arguments = typing.get_args(kind)
    if not arguments:
        return Any
    if container_of(kind) is not tuple or (len(arguments) == 2 and arguments[1] is ...):
        return arguments[0]
    return arguments[index] if index < len(arguments) else Any


def fields_of(kind: Any) -> dict[str, tuple[Any, bool]] | None:
    """Returns (annotation, required) of each field of a dataclass, a NamedTuple or a TypedDict; None for others."""
    if not isinstance(kind, type):
        return None
    if hasattr(kind, "__dataclass_fields__"):
        # Here and not at the top: whoever has a dataclass has loaded the module already.
        from dataclasses import MISSING, fields

        hints = hints_of(kind)
        return {
            f.name: (hints.get(f.name, Any), f.default is MISSING and f.default_factory is MISSING)
            for f in fields(kind)
            if f.init
        }
    if hasattr(kind, "__attrs_attrs__"):
        hints = hints_of(kind)
        # what has a default is known by its type: `NOTHING` of a library that is not imported here
        return {
            a.alias: (hints.get(a.name, Any), type(a.default).__name__ == "_Nothing" or str(a.default) == "NOTHING")
            for a in kind.__attrs_attrs__
            if a.init
        }
    names: tuple[str, ...] = getattr(kind, "_fields", ()) if issubclass(kind, tuple) else ()
    if names:
        hints, defaults = hints_of(kind), getattr(kind, "_field_defaults", {})
        return {name: (hints.get(name, Any), name not in defaults) for name in names}
    if typing.is_typeddict(kind):
        required: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
        return {name: (hint, name in required) for name, hint in hints_of(kind).items()}
    return None
