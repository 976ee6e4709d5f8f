"""What a class holds that its text does not tell.

A class keeps no code of its body, so that nothing but the values of its attributes can show that the text was edited
after the import; and others may put functions and values into a class.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum
from types import FunctionType
from typing import Any

from redun.core.ownership import Ownership, layers
from redun.core.scopes import is_defined_in, members
from redun.core.values import PLAIN


def untold(kind: type, node: ast.ClassDef, own: Ownership) -> Iterator[tuple[str, Any]]:
    """Yields (name, value) of plain attributes that have another value than the text gives them, of containers in
    which there may be code (such as subclasses that have registered themselves), and of functions that were added."""
    written = _literals(node)
    local = "<locals>" in kind.__qualname__
    for name, value in members(kind):
        plain = value._value_ if isinstance(value, Enum) else value
        if name in written and type(plain) in PLAIN:
            told = [(type(one), one) for one in written[name]]
            if ((type(plain), plain) not in told) if told else local:
                yield name, plain
        elif (name in written and isinstance(value, (dict, list, set))) or _is_added(value, kind, own):
            yield name, value


def _is_added(value: Any, kind: type, own: Ownership) -> bool:
    for layer in layers(value):
        if isinstance(layer, FunctionType) and own.owns(layer) and not is_defined_in(kind, layer):
            # what a library generates (`__init__` of a dataclass) follows from the text
            return not layer.__code__.co_filename.startswith(("<string>", "<attrs"))
    return False


def _literals(node: ast.ClassDef) -> dict[str, list[Any]]:
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
