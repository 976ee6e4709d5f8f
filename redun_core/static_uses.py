"""What code uses through imports inside function bodies, read from the text of the imported modules.

Such an import is often there because the module is heavy, or exists only where the body runs. So the module is never
imported here, and its text is read even where it happens to be imported already: the fingerprint must not depend on
what else this process has done. Functions and classes count by their text, constants by the text of their assignment.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
from collections import deque
from collections.abc import Iterator
from types import FunctionType
from typing import Any, Final

from redun.core.names import MODULE_NAMES, Imported, Names, parameters
from redun.core.normal_form import definition_span, normalise
from redun.core.ownership import Ownership, principal
from redun.core.sources import CHANGED, ModuleSource, capture_class, capture_function, module_source
from redun.core.uses import LAZY_ATTRIBUTES, UseList, signature_text

_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_TASK_OPTIONS: Final = ("name", "namespace", "nout", "script")


class StaticUses:
    """Follows names through the text of modules and adds what they lead to."""

    def __init__(self, found: UseList, own: Ownership) -> None:
        self._found = found
        self._own = own
        self._seen: set[tuple[str, str, tuple[str, ...]]] = set()
        self._left: deque[tuple[str, str, tuple[str, ...], str]] = deque()

    def follow(self, package: str, imported: Imported, chain: tuple[str, ...], user: str) -> None:
        """Adds what an import in the body of `user` (a name for people), in a module of `package`, leads to."""
        self._import(package, imported, chain, user)
        while self._left:
            self._name(*self._left.popleft())

    def _import(self, package: str, imported: Imported, chain: tuple[str, ...], user: str) -> None:
        module = _absolute(package, imported)
        if imported.attribute:
            self._left.append((module, imported.attribute, chain, user))
        else:
            self._module(module, chain, user)

    def _module(self, module: str, chain: tuple[str, ...], user: str) -> None:
        if self._source(module, user) is None:
            return
        if chain:
            self._left.append((module, chain[0], chain[1:], user))
        else:
            self._found.untrack(user, f"uses module {module} as a value")

    def _is_own(self, module: str) -> bool:
        return self._own.owns_module(module, _located(module))

    def _source(self, module: str, user: str) -> ModuleSource | None:
        """The text of a module of the user's own, else None."""
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names and top != self._own.root.partition(".")[0]:
            return None
        file = _located(module)
        if file is None:
            self._found.note(user, f"module {module} is not found here")
            return None
        if not self._own.owns_module(module, file):
            return None
        source = module_source(file) if file.endswith(".py") else None
        if source is None and not os.path.isdir(file):
            self._found.untrack(user, f"module {module} has no source")
        return source or (ModuleSource(file, "", None) if os.path.isdir(file) else None)

    def _name(self, module: str, name: str, chain: tuple[str, ...], user: str) -> None:
        source = self._source(module, user)
        if source is None:
            return
        path = f"{module}:{name}"
        if (module, name, chain) in self._seen:
            return
        self._seen.add((module, name, chain))
        statements = source.bindings(name)
        if name in source.rebound:
            self._found.untrack(path, "is assigned through `global`")
        elif not statements:
            self._elsewhere(module, name, chain, user, source)
        for statement in statements:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                self._imported(module, name, chain, statement)
            elif isinstance(statement, _DEFINITIONS):
                code = bool(chain) and chain[0] not in LAZY_ATTRIBUTES
                self._definition(module, statement, source, code=code)
            else:
                self._text(module, path, statements, source)
                break
        if any(not isinstance(statement, (ast.Import, ast.ImportFrom)) for statement in statements):
            self._additions(module, name, source)

    def _text(self, module: str, path: str, statements: list[ast.stmt], source: ModuleSource) -> None:
        self._found.text("text", path, "\n".join(map(source.segment, statements)))
        for statement in statements:
            self._refer(module, source.names(statement, quiet=True), path)

    def _additions(self, module: str, name: str, source: ModuleSource) -> None:
        """What the module does to an object after binding it; where modules are imported, their objects show it."""
        changes: list[ast.stmt] = []
        for statement in source.additions(name):
            if isinstance(statement, _DEFINITIONS):
                self._left.append((module, statement.name, (), f"{module}:{name}"))
            else:
                changes.append(statement)
        if changes:
            self._text(module, f"{module}:{name}.<additions>", changes, source)

    def _elsewhere(self, module: str, name: str, chain: tuple[str, ...], user: str, source: ModuleSource) -> None:
        """A name that the module's text does not bind: a submodule, or one that `import *` brings."""
        if _located(f"{module}.{name}") is not None:
            self._module(f"{module}.{name}", chain, user)
            return
        for statement in source.bindings("*"):
            if isinstance(statement, ast.ImportFrom):
                origin = _absolute(_package(module), Imported(statement.module or "", "*", statement.level))
                text = self._source(origin, user)
                if text is not None and (text.bindings(name) or text.bindings("*")):
                    self._left.append((origin, name, chain, user))
                    return
        self._found.untrack(user, f"{name} is not defined at the top level of {module}")

    def _imported(self, module: str, name: str, chain: tuple[str, ...], statement: ast.Import | ast.ImportFrom) -> None:
        for imported in imported_as(statement, name):
            origin = _absolute(_package(module), imported)
            if (origin, imported.attribute) == (module, name):  # `from . import name` in a package: the submodule
                if _located(f"{module}.{name}") is not None:
                    self._module(f"{module}.{name}", chain, f"{module}:{name}")
            else:
                target = f"{imported.module}:{imported.attribute}" if imported.attribute else imported.module
                if target != name and not self._is_own(origin):
                    self._found.add("import", f"{module}:{name}", None, target)  # which thing of a library it is
                self._import(_package(module), imported, chain, f"{module}:{name}")

    def _definition(self, module: str, node: Any, source: ModuleSource, *, code: bool) -> None:
        path = f"{module}:{node.name}"
        task = _task_decorator(node, source)
        if task is not None:
            options = {k.arg: normalise(source.segment(k.value)) for k in getattr(task, "keywords", ())}
            given = [(name, options[name]) for name in _TASK_OPTIONS if name in options]
            self._found.add("task", path, None, signature_text(_parameters(node.args), given))
            if not code:
                return
        self._verify(module, node.name, source, path)
        how = "class" if isinstance(node, ast.ClassDef) else "function"
        text = source.segment(node)
        span = None if task is None else definition_span(text, 0)
        self._found.text(how, path, text if span is None else text[span[0] :])
        self._refer(module, source.names(node), path)

    def _verify(self, module: str, name: str, source: ModuleSource, path: str) -> None:
        """Where the module is imported already, its text must still be what runs."""
        loaded = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if isinstance(loaded, type):
            changed = loaded.__module__ == module and capture_class(loaded).reason == CHANGED
        else:
            function = principal(loaded) if isinstance(loaded, FunctionType) else None
            ours = function is not None and function.__code__.co_filename == source.file
            changed = function is not None and ours and not capture_function(function).verified
        if changed:
            self._found.doubt(path, CHANGED)

    def _refer(self, module: str, names: Names, user: str) -> None:
        for remark in names.remarks:
            self._found.untrack(user, remark)
        for reference in names.references:
            if reference.imported is not None:
                self._import(_package(module), reference.imported, reference.chain, user)
            elif self._is_known(module, reference.name):
                self._left.append((module, reference.name, reference.chain, user))
            elif not reference.quiet and reference.name not in MODULE_NAMES and not hasattr(builtins, reference.name):
                self._found.untrack(user, f"the name {reference.name} is not defined")

    def _is_known(self, module: str, name: str) -> bool:
        source = self._source(module, module)
        if source is None:
            return False
        return bool(source.bindings(name)) or (bool(source.bindings("*")) and not hasattr(builtins, name))


def imported_as(statement: ast.Import | ast.ImportFrom, name: str) -> Iterator[Imported]:
    """Yields what an import statement binds a name to."""
    for alias in statement.names:
        if (alias.asname or alias.name.partition(".")[0]) != name:
            continue
        if isinstance(statement, ast.ImportFrom):
            yield Imported(statement.module or "", alias.name, statement.level)
        else:
            yield Imported(alias.name if alias.asname else name, "", 0)


def _task_decorator(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, source: ModuleSource
) -> ast.expr | None:
    """The decorator that makes a function a task, or None."""
    if isinstance(node, ast.ClassDef):
        return None
    for decorator in node.decorator_list:
        root: Any = decorator
        while isinstance(root, (ast.Call, ast.Attribute)):
            root = root.func if isinstance(root, ast.Call) else root.value
        if isinstance(root, ast.Name):
            imports = (s for s in source.bindings(root.id) if isinstance(s, (ast.Import, ast.ImportFrom)))
            origins = (imported for statement in imports for imported in imported_as(statement, root.id))
            if any(origin.level == 0 and origin.module.partition(".")[0] == "redun" for origin in origins):
                return decorator
    return None


def _parameters(arguments: ast.arguments) -> list[tuple[str, int]]:
    kinds = [0] * len(arguments.posonlyargs) + [1] * len(arguments.args) + [2] * bool(arguments.vararg)
    kinds += [3] * len(arguments.kwonlyargs) + [4] * bool(arguments.kwarg)
    return [(parameter.arg, kind) for parameter, kind in zip(parameters(arguments), kinds, strict=True)]


# -- finding modules --------------------------------------------------------------------------------------------------


def _absolute(package: str, imported: Imported) -> str:
    if not imported.level:
        return imported.module
    base = package
    for _ in range(imported.level - 1):
        base = base.rpartition(".")[0]
    return f"{base}.{imported.module}" if imported.module else base


def _package(module: str) -> str:
    file = _located(module) or ""
    is_package = os.path.isdir(file) or os.path.basename(file) == "__init__.py"
    return module if is_package else module.rpartition(".")[0]


_FOUND: Final[dict[tuple[str, tuple[str, ...]], str]] = {}


def _located(module: str) -> str | None:
    """The file of a module (of a namespace package: its folder) found without importing it, or None."""
    key = (module, tuple(sys.path))
    found = _FOUND.get(key)
    if found is None and (found := _search(module)) is not None:
        _FOUND[key] = found
    return found


def _search(module: str) -> str | None:
    path: Any = None
    spec: Any = None
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        loaded = sys.modules.get(name)
        spec = getattr(loaded, "__spec__", None) if loaded is not None else _spec(name, path)
        if spec is None:
            file = getattr(loaded, "__file__", None)
            return file if count == len(parts) and isinstance(file, str) else None
        path = spec.submodule_search_locations
        if path is None and count < len(parts):
            return None
    if spec.origin in ("built-in", "frozen"):
        return f"<frozen {module}>"
    if spec.origin in (None, "namespace"):
        return next(iter(path or ()), None)
    return str(spec.origin)


def _spec(name: str, path: Any) -> Any:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        try:
            spec = None if find is None else find(name, path)
        except Exception:  # noqa: BLE001
            continue  # a finder of somebody's that fails is as good as none
        if spec is not None:
            return spec
    return None
