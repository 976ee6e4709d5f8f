"""What a piece of code refers to, read from its syntax tree: names from outside, with the attributes taken of them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, Final, NamedTuple

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES: Final = (*_FUNCTIONS, ast.ClassDef)
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

#: What Python itself keeps among a module's names. `__file__` and its like differ from machine to machine.
MODULE_NAMES: Final = frozenset(vars(ModuleType("any"))) | {"__file__", "__builtins__", "__cached__", "__path__"}
#: Built-in functions through which code reaches what nobody can read from its text.
_DYNAMIC: Final = frozenset({"exec", "eval", "__import__", "globals", "import_module"})


class Imported(NamedTuple):
    """What an import inside a function binds a name to: a module, or (`attribute`) a name of a module."""

    module: str
    attribute: str
    level: int


class Reference(NamedTuple):
    """A name that code takes from outside.

    Attributes:
        name: as written.
        chain: attributes taken of it, one after the other.
        imported: where a name comes from that an import inside the code binds.
        quiet: whether it is no matter if the name does not exist: it is used while a class or a constant is made.
        assigned: whether the last attribute is assigned or deleted rather than read.
    """

    name: str
    chain: tuple[str, ...] = ()
    imported: Imported | None = None
    quiet: bool = False
    assigned: bool = False


class Names(NamedTuple):
    """References, each once and sorted, and remarks on what cannot be read from the text."""

    references: tuple[Reference, ...]
    remarks: tuple[str, ...]


def names_in_function(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Names:
    """Returns what the body of a function refers to; not its decorators, defaults and annotations."""
    reader = _Reader()
    reader.function_body(node, _Scope(None))
    return reader.names()


def names_in(nodes: Iterable[ast.AST], *, quiet: bool = False) -> Names:
    """Returns what statements or expressions refer to, decorators and defaults included."""
    reader = _Reader(quiet=quiet)
    scope = _Scope(None)
    for node in nodes:
        reader.visit(node, scope)
    return reader.names()


def top_level(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yields the statements of a module with those inside `if`, `try`, `with`, loops and `match`, but no bodies of
    functions and classes."""
    for statement in statements:
        yield statement
        if not isinstance(statement, _SCOPES):
            for field in ("body", "orelse", "finalbody"):
                yield from top_level(getattr(statement, field, ()))
            for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
                yield from top_level(part.body)


def bound_names(statement: ast.stmt) -> list[str]:
    """Returns the names that a statement itself binds: not those that statements inside it bind."""
    if isinstance(statement, _SCOPES):
        return [statement.name]
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    found: list[str] = []
    parts: list[ast.AST] = [child for child in ast.iter_child_nodes(statement) if not isinstance(child, ast.stmt)]
    while parts:
        part = parts.pop()
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            found.append(part.id)
        elif isinstance(part, (ast.ExceptHandler, ast.match_case)):
            found += _captures(part)
        elif isinstance(part, _COMPREHENSIONS):
            parts += [inner.target for inner in ast.walk(part) if isinstance(inner, ast.NamedExpr)]
        elif not isinstance(part, ast.Lambda):
            parts += [child for child in ast.iter_child_nodes(part) if not isinstance(child, ast.stmt)]
    return found


def _captures(part: ast.ExceptHandler | ast.match_case) -> list[str]:
    if isinstance(part, ast.ExceptHandler):
        return [part.name] if part.name else []
    names = (getattr(node, "name", None) or getattr(node, "rest", None) for node in ast.walk(part.pattern))
    return [name for name in names if isinstance(name, str)]


# -- scopes -----------------------------------------------------------------------------------------------------------


class _Scope:
    """The names that a function, class or comprehension binds."""

    def __init__(self, parent: _Scope | None, *, is_class: bool = False) -> None:
        self.parent = parent
        self.is_class = is_class
        self.bound: set[str] = set()
        self.imports: dict[str, list[Imported]] = {}
        self.outside: set[str] = set()  # declared `global`

    def find(self, name: str) -> _Scope | None:
        """Returns the scope in the text that binds a name, or None: it comes from outside."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.outside:
                return None
            if name in scope.bound and (scope is self or not scope.is_class):
                return scope
            scope = scope.parent
        return None

    def add(self, node: ast.AST) -> None:
        """Adds what a node of this scope binds, without looking into other scopes."""
        elsewhere: set[str] = set()
        nodes = [node]
        while nodes:
            part = nodes.pop()
            if isinstance(part, ast.Name):
                if not isinstance(part.ctx, ast.Load):
                    self.bound.add(part.id)
            elif isinstance(part, _SCOPES):
                self.bound.add(part.name)
                nodes += part.decorator_list
                nodes += _defaults(part.args) if isinstance(part, _FUNCTIONS) else [*part.bases, *part.keywords]
            elif isinstance(part, ast.Lambda):
                nodes += _defaults(part.args)
            elif isinstance(part, _COMPREHENSIONS):
                # its targets are its own, but `:=` inside binds here
                nodes += [inner for inner in ast.walk(part) if isinstance(inner, ast.NamedExpr)]
            elif isinstance(part, (ast.Import, ast.ImportFrom)):
                self._add_import(part)
            elif isinstance(part, ast.Global):
                self.outside.update(part.names)
            elif isinstance(part, ast.Nonlocal):
                elsewhere.update(part.names)
            else:
                if isinstance(part, (ast.ExceptHandler, ast.match_case)):
                    self.bound.update(_captures(part))
                nodes += ast.iter_child_nodes(part)
        self.bound -= elsewhere | self.outside

    def _add_import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                name = alias.asname or alias.name
                source = Imported(node.module or "", alias.name, node.level)
            else:
                name = alias.asname or alias.name.partition(".")[0]
                source = Imported(alias.name if alias.asname else name, "", 0)
            self.bound.add(name)
            self.imports.setdefault(name, []).append(source)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [*arguments.defaults, *(default for default in arguments.kw_defaults if default is not None)]


def parameters(arguments: ast.arguments) -> list[ast.arg]:
    """Returns the parameters of a function in order."""
    found = [*arguments.posonlyargs, *arguments.args]
    found += [arguments.vararg] if arguments.vararg else []
    found += arguments.kwonlyargs
    return found + ([arguments.kwarg] if arguments.kwarg else [])


# -- reading ----------------------------------------------------------------------------------------------------------


class _Reader:
    """Walks syntax trees with a stack of its own: a sum of a thousand terms is a tree a thousand deep."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._references: dict[Reference, None] = {}
        self._remarks: dict[str, None] = {}
        #: (node, its scope, whether to visit it or to add what it binds to the scope)
        self._left: list[tuple[ast.AST, _Scope, bool]] = []

    def names(self) -> Names:
        while self._left:
            node, scope, visits = self._left.pop()
            if visits:
                _HANDLERS.get(type(node), _Reader.children)(self, node, scope)
            else:
                scope.add(node)
        return Names(tuple(sorted(self._references, key=repr)), tuple(sorted(self._remarks)))

    def visit(self, node: ast.AST, scope: _Scope) -> None:
        self._left.append((node, scope, True))

    def children(self, node: ast.AST, scope: _Scope) -> None:
        for child in ast.iter_child_nodes(node):
            self.visit(child, scope)

    def refer(self, name: str, chain: tuple[str, ...], scope: _Scope, *, assigned: bool = False) -> None:
        home = scope.find(name)
        if home is None:
            self._references[Reference(name, chain, None, self.quiet or scope.is_class, assigned)] = None
            return
        for source in home.imports.get(name, ()):
            self._references[Reference(name, chain, source, self.quiet, assigned)] = None

    # -- names ---------------------------------------------------------------------------------------------------------

    def name(self, node: ast.Name, scope: _Scope) -> None:
        if isinstance(node.ctx, ast.Load):
            self.refer(node.id, (), scope)

    def attribute(self, node: ast.Attribute, scope: _Scope) -> None:
        chain = [node.attr]
        value = node.value
        while isinstance(value, ast.Attribute):
            chain.append(value.attr)
            value = value.value
        if isinstance(value, ast.Name):
            self.refer(value.id, tuple(reversed(chain)), scope, assigned=not isinstance(node.ctx, ast.Load))
        else:
            self.visit(value, scope)

    def call(self, node: ast.Call, scope: _Scope) -> None:
        function = node.func
        called = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        known = not isinstance(function, ast.Name) or scope.find(called) is None
        if known and called in _DYNAMIC and (called == "import_module" or isinstance(function, ast.Name)):
            self._remarks[f"calls {called}()"] = None
        if isinstance(function, ast.Name) and called == "getattr" and known and len(node.args) > 1:
            wanted = node.args[1]
            if not (isinstance(wanted, ast.Constant) and isinstance(wanted.value, str)):
                self._remarks["calls getattr() with a computed name"] = None
            else:
                taken = ast.Attribute(node.args[0], wanted.value, ast.Load())
                self.visit(taken, scope)
                for rest in node.args[2:]:
                    self.visit(rest, scope)
                return
        self.children(node, scope)

    def assignment(self, node: ast.AnnAssign, scope: _Scope) -> None:
        # a function does not evaluate the annotations of its variables; a class does, and its makers read them
        if scope.is_class:
            self.visit(node.annotation, scope)
        self.visit(node.target, scope)
        if node.value is not None:
            self.visit(node.value, scope)

    # -- scopes --------------------------------------------------------------------------------------------------------

    def function(self, node: Any, scope: _Scope) -> None:
        for part in (*getattr(node, "decorator_list", ()), *_defaults(node.args)):
            self.visit(part, scope)
        self.function_body(node, scope)

    def function_body(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, outer: _Scope) -> None:
        scope = _Scope(outer)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        scope.bound.update(parameter.arg for parameter in parameters(node.args))
        scope.bound.update(parameter.name for parameter in getattr(node, "type_params", ()))
        for statement in body:
            scope.add(statement)
        for statement in body:
            self.visit(statement, scope)

    def class_(self, node: ast.ClassDef, outer: _Scope) -> None:
        scope = _Scope(outer)
        scope.bound.update(parameter.name for parameter in getattr(node, "type_params", ()))
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part, scope)
        scope.bound.add("__class__")
        inner = _Scope(scope, is_class=True)
        # in order: before a class binds a name, it means the one outside
        for statement in reversed(node.body):
            self._left.append((statement, inner, False))
            self._left.append((statement, inner, True))

    def comprehension(self, node: Any, outer: _Scope) -> None:
        scope = _Scope(outer)
        for generator in node.generators:
            scope.add(generator.target)
        for place, generator in enumerate(node.generators):
            self.visit(generator.iter, scope if place else outer)
            for condition in generator.ifs:
                self.visit(condition, scope)
        for field in ("key", "value", "elt"):
            if hasattr(node, field):
                self.visit(getattr(node, field), scope)


def _skip(_reader: _Reader, _node: Any, _scope: _Scope) -> None:
    pass


_HANDLERS: Final[dict[type[ast.AST], Callable[[_Reader, Any, _Scope], None]]] = {
    ast.Name: _Reader.name,
    ast.Attribute: _Reader.attribute,
    ast.Call: _Reader.call,
    ast.AnnAssign: _Reader.assignment,
    ast.FunctionDef: _Reader.function,
    ast.AsyncFunctionDef: _Reader.function,
    ast.Lambda: _Reader.function,
    ast.ClassDef: _Reader.class_,
    ast.Import: _skip,
    ast.ImportFrom: _skip,
    **dict.fromkeys(_COMPREHENSIONS, _Reader.comprehension),
}
