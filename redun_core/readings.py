"""What the text of one definition tells, read once: many tasks share their helpers."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any, Final

from redun.core.names import Names, names_in, names_in_function, parameters
from redun.core.values import PLAIN

#: Texts remembered. A project of many thousand functions is read again in part; nothing else follows from it.
_REMEMBERED: Final = 16_384


class Reading:
    """What is read from a definition.

    Attributes:
        names: what it refers to: of a function only its body, of a class all, decorators included.
        parameters: names of the parameters of a function, in order.
        computes_defaults: whether a function has a default that is no literal.
        literals: of a class, the plain values that its body gives each name by literals; none for a name that it also
            gives something computed.
    """

    __slots__ = ("computes_defaults", "literals", "names", "parameters")

    def __init__(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef) -> None:
        self.parameters: tuple[str, ...] = ()
        self.computes_defaults = False
        self.literals: dict[str, list[Any]] = {}
        if isinstance(node, ast.ClassDef):
            self.names: Names = names_in([node])
            self.literals = _literals(node)
            return
        self.names = names_in_function(node)
        self.parameters = tuple(parameter.arg for parameter in parameters(node.args))
        given = [default for default in (*node.args.defaults, *node.args.kw_defaults) if default is not None]
        self.computes_defaults = not all(isinstance(default, ast.Constant) for default in given)


@lru_cache(maxsize=_REMEMBERED)
def read(text: str) -> Reading | None:
    """Returns what the text of a `def`, `lambda`, or `class` (with its decorators) tells; None where it is nested too
    deep for a syntax tree."""
    node = parsed(text)
    return None if node is None else Reading(node)


def parsed(text: str) -> Any:
    """Returns the syntax tree of the text of one `def`, `class` or `lambda`, or None where it does not parse."""
    if text.startswith("lambda"):
        text = f"({text}\n)"
    elif text[:1] in (" ", "\t"):
        text = f"if 1:\n{text}"
    try:
        body: list[Any] = compile(text, "<definition>", "exec", ast.PyCF_ONLY_AST, dont_inherit=True).body  # type: ignore[attr-defined]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    first = body[0]
    if isinstance(first, ast.If):
        first = first.body[0]
    return first.value if isinstance(first, ast.Expr) else first


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
