"""Where the names in a piece of code are looked up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import CellType, FunctionType, ModuleType
from typing import Any, NamedTuple

from redun.core import codes
from redun.core.ownership import layers
from redun.core.sources import ModuleSource, module_source


class Scope(NamedTuple):
    """What a function, class or module sees: the names of its module, and the cells of its closure."""

    globals: dict[str, Any]
    cells: dict[str, CellType]
    file: str
    qualname: str

    @property
    def module(self) -> str:
        """The module's name as it is recorded."""
        return codes.module_name(str(self.globals.get("__name__", "")))

    @property
    def package(self) -> str:
        """What relative imports start from."""
        name = str(self.globals.get("__name__", ""))
        default = name if "__path__" in self.globals else name.rpartition(".")[0]
        return str(self.globals.get("__package__") or default)

    @property
    def source(self) -> ModuleSource | None:
        """The text of the file or cell."""
        return module_source(self.file, self.globals) if self.file else None


class Origin(NamedTuple):
    """Where a value was found, so that the text that made it can be: a name of a module, or (no name) a closure."""

    scope: Scope
    name: str


def function_scope(function: FunctionType) -> Scope:
    """Returns what a function sees."""
    code = function.__code__
    cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
    return Scope(function.__globals__, cells, code.co_filename, code.co_qualname)


def module_scope(module: ModuleType) -> Scope:
    """Returns what the top level of a module sees."""
    return Scope(vars(module), {}, getattr(module, "__file__", None) or "", "")


def class_scope(kind: type) -> Scope:
    """Returns what the methods of a class see."""
    scope: dict[str, Any] | None = None
    cells: dict[str, CellType] = {}
    file = ""
    for _, part in members(kind):
        for layer in layers(part):
            if isinstance(layer, FunctionType) and is_defined_in(kind, layer):
                scope, file = layer.__globals__, layer.__code__.co_filename
                cells.update(zip(layer.__code__.co_freevars, layer.__closure__ or (), strict=True))
    if scope is not None:
        return Scope(scope, cells, file, kind.__qualname__)
    module = sys.modules.get(kind.__module__)
    return Scope({}, {}, "", kind.__qualname__) if module is None else module_scope(module)


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Yields (name, value) of what a class itself holds, sorted, a property by its functions."""
    for name, value in sorted(vars(kind).items()):
        for part in (value.fget, value.fset, value.fdel) if isinstance(value, property) else (value,):
            yield name, part


def is_defined_in(kind: type, function: FunctionType) -> bool:
    """Returns whether the body of a class defines a function that it holds: others can be put there."""
    return function.__code__.co_qualname.startswith(f"{kind.__qualname__}.")
