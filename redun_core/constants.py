"""Values that code uses: kept as they were when first read, and searched for the code that is in them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final

from redun.core.expressions import Expression, Operation, TaskCall
from redun.core.tasks import Task, TaskWithOptions
from redun.core.values import PLAIN

_CODE: Final = (FunctionType, MethodType, type, partial, Task, TaskWithOptions, Expression)
_CONTAINERS: Final = (list, tuple, set, frozenset)
#: Containers that were read as constants, with what they held then.
_FROZEN: Final[dict[int, tuple[object, Any]]] = {}
_MUTABLE: Final = frozenset({list, dict, set, bytearray})
#: Modules whose containers have been frozen, by the ids of their names. They stay imported.
_FROZEN_MODULES: Final[dict[int, dict[str, Any]]] = {}
#: Containers with more items are frozen when they are used: what code fills while it runs begins small.
_EARLY_ITEMS: Final = 1000
_LABEL_CHARS: Final = 60


def frozen(value: Any) -> Any:
    """Returns the value as it was when first asked for in this process: code may fill a list or dict while it runs,
    and its fingerprint must not change under way. A name that is bound to another object is another constant."""
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
    """Keeps the containers that a module's names are bound to as they are, the first time. To be called before code of
    the module runs as part of a task: one task may use what another one's body fills."""
    if _FROZEN_MODULES.get(id(names)) is not names:
        _FROZEN_MODULES[id(names)] = names
        for value in list(names.values()):
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


def literals(node: ast.ClassDef) -> dict[str, list[Any]]:
    """Returns the plain values that the body of a class gives each name by literals; none for a name that it also
    gives something computed."""
    found: dict[str, list[Any]] = {}
    computed: set[str] = set()
    left: list[ast.stmt] = list(node.body)
    while left:
        statement = left.pop()
        for field in ("body", "orelse", "finalbody", "handlers"):
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                left += getattr(statement, field, ())
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name) and statement.value is not None:
                    value = _literal(statement.value)
                    found.setdefault(target.id, []).append(value)
                    if type(value) not in PLAIN:
                        computed.add(target.id)
    return {name: [] if name in computed else values for name, values in found.items()}


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ...
