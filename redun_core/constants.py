"""Values that code uses: kept as they were when first read, and searched for the code that is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final

from redun.core import codes
from redun.core.expressions import Expression, Operation, TaskCall
from redun.core.tasks import PartialTask, Task
from redun.core.uses import cells_run
from redun.core.values import PLAIN

_CODE: Final = (FunctionType, MethodType, type, partial, Task, PartialTask, Expression)
_NAMES: Final = ("__module__", "__qualname__")
_CONTAINERS: Final = (list, tuple, set, frozenset)
#: Containers that were read as constants, with what they held then.
_FROZEN: Final[dict[int, tuple[object, Any]]] = {}
_MUTABLE: Final = frozenset({list, dict, set, bytearray})
#: Modules whose containers have been frozen, by the ids of their names, and in which cell of a notebook. They stay
#: imported.
_FROZEN_MODULES: Final[dict[int, tuple[dict[str, Any], int]]] = {}
#: Containers with more items are frozen when they are used: what code fills while it runs begins small.
_EARLY_ITEMS: Final = 1000
_LABEL_CHARS: Final = 60


def frozen(value: Any) -> Any:
    """Returns the value as it was when first asked for in this process, or in this cell of a notebook: code may fill a
    list or dict while it runs, and its fingerprint must not change under way. A name that is bound to another object is
    another constant."""
    if type(value) not in _MUTABLE and type(value) is not tuple:
        return value
    known = _FROZEN.get(id(value))
    if known is None or known[0] is not value:
        try:
            known = (value, _copied(value))
        except RecursionError:
            return value
        _FROZEN[id(value)] = known
    return known[1]


def freeze_names(names: dict[str, Any]) -> None:
    """Keeps the containers that a module's names are bound to as they are, the first time; those of a notebook once for
    each cell, since cells change them in place. To be called before code of the module runs as part of a task: one task
    may use what another one's body fills."""
    cells = cells_run(names)
    known = _FROZEN_MODULES.get(id(names))
    if known is None or known[0] is not names or known[1] != cells:
        _FROZEN_MODULES[id(names)] = (names, cells)
        for value in list(names.values()):
            if cells:
                _FROZEN.pop(id(value), None)
            if type(value) in _MUTABLE and len(value) <= _EARLY_ITEMS:
                frozen(value)


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {key: _copied(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return value[:] if PLAIN.issuperset(map(type, value)) else kind(map(_copied, value))
    if kind is set or kind is bytearray:
        return value.copy()
    return value


def structure(item: Any, tasks: list[Task[..., Any]]) -> Any:
    """Returns plain data that tells an expression from others, and adds the tasks that it calls to `tasks`.

    Raises:
        RecursionError: if it is nested deeper than Python's stack.
    """
    if isinstance(item, TaskCall):
        tasks.append(item._redun_task)
        parts = [list(item._redun_args), item._redun_kwargs, item._redun_options or {}]
        return ["call", item._redun_task.fullname, *(structure(part, tasks) for part in parts)]
    if isinstance(item, Operation):
        return ["operation", item._redun_name, structure(list(item._redun_operands), tasks)]
    if type(item) is dict:
        return {key: structure(part, tasks) for key, part in item.items()}
    if type(item) in (list, tuple):
        return type(item)([structure(part, tasks) for part in item])
    return item


def code_name(value: Any) -> str:
    """Returns the name that code has by itself: good to tell things of libraries apart, no identity."""
    module, qualname = (getattr(type(value) if isinstance(value, Expression) else value, name, None) for name in _NAMES)
    if isinstance(module, str) and isinstance(qualname, str):
        return f"{codes.module_name(module)}:{qualname}"
    return f"a {type(value).__module__}:{type(value).__qualname__}"


def without_code(value: Any) -> Any:
    """Returns a container with names in the place of the functions, classes and tasks in it, which then have to count
    by themselves; the value itself where there are none.

    Raises:
        RecursionError: if it is nested deeper than Python's stack.
    """
    kind = type(value)
    if isinstance(value, _CODE):
        return code_name(value)
    if kind is dict:
        pairs = {without_code(key): without_code(item) for key, item in value.items()}
        return value if len(pairs) < len(value) else pairs
    if kind is list or kind is tuple:
        return kind(map(without_code, value))
    return value


def parts_with_code(value: Any, *, deep: bool) -> Iterator[tuple[str, Any]]:
    """Yields (path, part) of the functions, tasks and classes inside a value, and of the classes of its instances once
    each, with the path `.__class__`. With `deep`, the attributes of instances are searched too."""
    seen: set[int] = set()
    kinds: set[type] = set()
    left: list[tuple[str, Any]] = [("", value)]
    while left:
        path, item = left.pop()
        kind = type(item)
        if kind in PLAIN or id(item) in seen:
            continue
        if isinstance(item, _CODE):
            yield path, item
            continue
        seen.add(id(item))
        if kind not in kinds and kind.__module__ != "builtins":
            kinds.add(kind)
            yield f"{path}.__class__", kind
        left += reversed(list(_parts(path, item, deep=deep)))


def _parts(path: str, item: Any, *, deep: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(item, dict):
        if PLAIN.issuperset(map(type, item.values())) and PLAIN.issuperset(map(type, item)):
            return
        for place, (key, part) in enumerate(item.items()):
            label = repr(key) if type(key) in PLAIN else ""
            label = label if 0 < len(label) < _LABEL_CHARS else f"#{place}"
            yield f"{path}.keys[{label}]", key
            yield f"{path}[{label}]", part
    elif isinstance(item, _CONTAINERS):
        if PLAIN.issuperset(map(type, item)):
            return
        items: Iterable[Any] = item
        if isinstance(item, (set, frozenset)):
            items = sorted(item, key=_sort_key)
        yield from ((f"{path}[{place}]", part) for place, part in enumerate(items))
    if deep and not isinstance(item, Enum):
        yield from ((f"{path}.{name}", part) for name, part in _attributes(item))


def _sort_key(item: Any) -> tuple[str, str]:
    return type(item).__qualname__, str(getattr(item, "__qualname__", ""))


def _attributes(item: Any) -> Iterator[tuple[str, Any]]:
    names = getattr(item, "__dict__", None)
    if isinstance(names, dict):
        yield from names.items()
    for kind in type(item).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            try:
                yield name, object.__getattribute__(item, name)
            except AttributeError:  # a slot that is not set, or one with a mangled name
                continue
