"""What is known of the value of an expression in a body, as far as it matters whether it is lazy."""

from __future__ import annotations

from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from redun.core.expressions import Expression
from redun.core.tasks import PartialTask, Task


class Lazy(NamedTuple):
    """A value to come.

    Attributes:
        made: the text that made it, such as `size(word)`.
        line: where that is.
        length: how many items it has, where that is declared.
        called: whether it is just the call of a task.
    """

    made: str
    line: int
    length: int | None = None
    called: bool = False


class Listed(NamedTuple):
    """A list, a set or a generator.

    Attributes:
        item: what is known of each item.
        some: a lazy value that is among them, where not all are.
    """

    item: Value
    some: Lazy | None = None


class Mapped(NamedTuple):
    """A dict; `item` is what is known of each of its values."""

    item: Value


class Items(NamedTuple):
    """A tuple, item by item."""

    items: tuple[Value, ...]


class Known(NamedTuple):
    """An object that exists already: a global name, or an attribute of a module."""

    value: Any


class Caller(NamedTuple):
    """What gives a lazy value when it is called: a task with options or with some of its arguments."""

    length: int | None


class Absent(NamedTuple):
    """A module or a name of one that is not imported here, under its full name."""

    path: str


#: None: nothing is known.
Value = Lazy | Listed | Mapped | Items | Known | Caller | Absent | None

#: Functions of ours that give a lazy value, or what gives one when it is called, by the module that defines them.
_LAZY: Final = {
    "redun.core.functional": frozenset(
        {"cond", "catch", "catch_all", "throw", "seq", "const", "identity", "map_", "starmap", "flatten", "flat_map"}
        | {"zip_", "fold", "force"}
    ),
    "redun.core.subworkflows": frozenset(
        {"apply_tags", "with_export_options", "no_prov", "subrun", "fork_thread", "join_thread"}
    ),
    "redun.core.context": frozenset({"get_context"}),
    "redun.core.handles": frozenset({"merge_handles"}),
    "redun.executor.scripting": frozenset({"script"}),
}
_CALLERS: Final = {"redun.core.functional": frozenset({"compose", "as_task", "delay"})}
#: Methods of a task that give what gives lazy values.
MAKERS: Final = frozenset({"options", "partial", "export_options", "update_context"})


def known(value: Any) -> Value:
    """Returns what an object is here."""
    if isinstance(value, Expression):
        return Lazy(repr(value), 0, value._redun_length())
    if isinstance(value, PartialTask):
        return Caller(value.task.nout)
    return Known(value)


def attribute(value: Value, name: str) -> Value:
    """Returns what is known of an attribute of what is not lazy."""
    if isinstance(value, Known):
        if isinstance(value.value, ModuleType):
            try:
                return known(getattr(value.value, name))
            except Exception:  # noqa: BLE001  a module may answer for names itself, and fail
                return Absent(f"{value.value.__name__}.{name}")
        if isinstance(value.value, type):
            found = next((vars(base)[name] for base in value.value.__mro__ if name in vars(base)), None)
            return Absent(f"{value.value.__module__}.{value.value.__qualname__}.{name}") if found is not None else None
    if isinstance(value, Absent):
        return Absent(f"{value.path}.{name}")
    return None


def length_of_call(value: Value) -> tuple[bool, int | None]:
    """Returns whether calling it gives a lazy value, and how many items that has."""
    if isinstance(value, Caller):
        return True, value.length
    if isinstance(value, Known):
        if isinstance(value.value, Task):
            return True, value.value.nout
        if _is_one_of(value.value, _LAZY):
            return True, None
    return False, None


def gives_caller(value: Value) -> bool:
    """Returns whether calling it gives what gives lazy values, such as `compose`."""
    return isinstance(value, Known) and _is_one_of(value.value, _CALLERS)


def is_task(value: Value) -> bool:
    """Returns whether it is a task, with or without options."""
    return isinstance(value, Caller) or (isinstance(value, Known) and isinstance(value.value, Task))


def _is_one_of(value: Any, table: dict[str, frozenset[str]]) -> bool:
    if not isinstance(value, FunctionType):
        return False
    module = value.__module__ or ""
    names = table.get(module) or next((table[known] for known in table if module.startswith(f"{known}.")), None)
    return names is not None and value.__name__ in names


def item_of(value: Value) -> Value:
    """Returns what each item of something that is looped over is."""
    if isinstance(value, Listed):
        return value.item
    if isinstance(value, Items):
        return joined(value.items)
    if isinstance(value, Lazy):
        return value._replace(length=None)
    return None


def joined(values: tuple[Value, ...]) -> Value:
    """Returns what is known of a value that is one of these: a lazy one if all are."""
    if not values:
        return None
    first, *rest = values
    for value in rest:
        first = either(first, value)
    return first


def either(one: Value, other: Value) -> Value:
    """Returns what is known of a value that is one of two."""
    if one == other:
        return one
    if isinstance(one, Lazy) and isinstance(other, Lazy):
        return one if one.length == other.length else one._replace(length=None)
    if isinstance(one, Listed) and isinstance(other, Listed):
        item = either(one.item, other.item) if one.item and other.item else one.item or other.item
        return Listed(item, one.some or other.some or holds_lazy(one.item) or holds_lazy(other.item))
    if isinstance(one, Mapped) and isinstance(other, Mapped):
        return Mapped(either(one.item, other.item) if one.item and other.item else one.item or other.item)
    return None


def holds_lazy(value: Value) -> Lazy | None:
    """Returns the lazy value that something is or holds, or None."""
    if isinstance(value, Lazy):
        return value
    if isinstance(value, Listed):
        return value.some or holds_lazy(value.item)
    if isinstance(value, Mapped):
        return holds_lazy(value.item)
    if isinstance(value, Items):
        return next(filter(None, map(holds_lazy, value.items)), None)
    return None
