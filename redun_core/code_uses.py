"""What a function or class uses, followed through the objects that its names are bound to.

Names of uses are access paths: `module:name` for what a module's name is bound to, `<function>.<locals>.name` for a
closure's cell, and so on into containers. Code that its own name leads back to (`module:qualname`) is listed under that
name, and a path that is not that name gets a line of its own that says where it leads: two modules that swap what they
call `f` are thus told apart.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections import deque
from contextlib import suppress
from functools import partial
from itertools import takewhile
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from redun.core import codes
from redun.core.class_bodies import untold
from redun.core.constants import code_name, freeze_names, frozen, parts_with_code, structure, without_code
from redun.core.errors import CannotEncode, CodecError, RedunError
from redun.core.expressions import Expression
from redun.core.names import MODULE_NAMES, Names, Reference, names_in
from redun.core.normal_form import logical_lines
from redun.core.ownership import Ownership, layers, module_of, principal
from redun.core.readings import Reading, parsed, read
from redun.core.scopes import Origin, Scope, class_scope, function_scope, module_scope
from redun.core.sources import CHANGED, NO_SOURCE, Capture, capture_class, capture_function
from redun.core.static_uses import StaticUses, imported_as
from redun.core.tasks import PartialTask, Task
from redun.core.uses import LAZY_ATTRIBUTES, UseList, signature_text
from redun.core.values import PLAIN

#: Modules of types that decide nothing beyond the text that makes them: not worth a line.
_TEXT_TELLS_ALL: Final = frozenset({"logging", "typing"})


class CodeUses:
    """Follows what code uses and adds it to a `UseList`."""

    def __init__(self, found: UseList, own: Ownership) -> None:
        self._found = found
        self._own = own
        self._static = StaticUses(found, own)
        self._homes: dict[int, str] = {}
        self._opened: set[int] = set()  # functions of libraries whose closures were searched
        self._kept: list[object] = []  # so that no id in `_homes` is given to another object
        self._left: deque[tuple[str, Names, Scope]] = deque()

    # -- what to start from --------------------------------------------------------------------------------------------

    def follow_task(self, func: Any, home: str, text: Capture) -> None:
        """Adds what the code of a task uses; its own text, captured when it was registered, is not added."""
        main = principal(func)
        assert main is not None, "a verified capture is of a function"
        self._remember(func, home)
        self._remember(main, home)
        decorators = self._decorators(home, text, function_scope(main))
        if decorators:
            self._found.text("text", f"{home}.<decorators>", decorators)
        self._read_function(home, main, read(text.text))
        self._wrappers(home, func, main)
        self._follow()

    def follow_code(self, obj: Any, path: str) -> None:
        """Adds a function or class, and what it uses."""
        self._bind(path, obj, (), None)
        self._follow()

    def _follow(self) -> None:
        while self._left:
            home, names, scope = self._left.popleft()
            for remark in names.remarks:
                self._found.untrack(home, remark)
            for reference in names.references:
                self._resolve(home, reference, scope)

    # -- names ---------------------------------------------------------------------------------------------------------

    def _resolve(self, home: str, reference: Reference, scope: Scope) -> None:
        name = reference.name
        if reference.imported is not None:
            self._static.follow(scope.package, reference.imported, reference.chain, home)
        elif name in scope.cells:
            path = f"{home}.<locals>.{name}"
            try:
                value = scope.cells[name].cell_contents
            except ValueError:
                self._found.untrack(path, "is not bound yet")
                return
            self._bind(path, value, reference.chain, Origin(scope, ""), assigned=reference.assigned)
        elif name in scope.globals:
            self._global(scope, name, scope.globals[name], reference.chain, assigned=reference.assigned)
        else:
            self._found.watch(scope.globals, name)
            if not reference.quiet and not hasattr(builtins, name):
                self._found.untrack(home, f"the name {name} is not defined")

    def _global(self, scope: Scope, name: str, value: Any, chain: tuple[str, ...], *, assigned: bool) -> None:
        if name in MODULE_NAMES:
            return
        path = f"{scope.module}:{name}"
        source = scope.source
        if source is not None and name in source.rebound:
            self._found.untrack(path, "is assigned through `global`")
        else:
            self._found.watch(scope.globals, name)
            self._bind(path, value, chain, Origin(scope, name), assigned=assigned)

    def _bind(
        self, path: str, value: Any, chain: tuple[str, ...], origin: Origin | None, *, assigned: bool = False
    ) -> None:
        """Adds what a path leads to, `chain` being the attributes that are taken of it."""
        if isinstance(value, ModuleType):
            self._module(path, value, chain, origin, assigned=assigned)
            return
        if assigned and (not isinstance(value, (type, FunctionType)) or self._own.owns(value)):
            self._found.untrack(path, f"its attribute {chain[-1]} is assigned while tasks run")
        if type(value) in PLAIN:
            self._constant(path, value, origin)
        elif isinstance(value, (Task, PartialTask)):
            self._task(path, value if isinstance(value, Task) else value.task, chain)
        elif isinstance(value, Expression):
            self._expression(path, value, origin)
        elif isinstance(value, type):
            if self._own.owns(value):
                self._class(path, value, origin)
            else:
                self._library("class", path, value, origin)
        elif isinstance(value, BuiltinFunctionType):
            if self._own.owns_module(module_of(value)):
                self._found.untrack(path, "is compiled code")
            else:
                self._library("function", path, value, origin)
        elif isinstance(value, MethodType):
            self._bind(f"{path}.__func__", value.__func__, (), None)
            self._bind(f"{path}.__self__", value.__self__, (), origin)
        elif isinstance(value, partial):
            self._bind(f"{path}.func", value.func, (), None)
            self._constant(f"{path}.args", [value.args, value.keywords], origin)
        elif isinstance(value, FunctionType) or any(isinstance(layer, FunctionType) for layer in layers(value)):
            self._function(path, value, origin)
        else:
            self._constant(path, frozen(value), origin)

    def _module(
        self, path: str, module: ModuleType, chain: tuple[str, ...], origin: Origin | None, *, assigned: bool
    ) -> None:
        name = module.__name__
        inner = vars(module).get(chain[0]) if chain else None
        if not self._own.owns(module):
            if isinstance(inner, ModuleType):  # a namespace package that the user's and others' packages share
                self._module(path, inner, chain[1:], origin, assigned=assigned)
            else:
                self._library("module", path, module, origin)
        elif not chain:
            self._found.untrack(path, f"is module {name}, used as a value")
        elif assigned and len(chain) == 1:
            self._found.untrack(f"{codes.module_name(name)}:{chain[0]}", "is assigned while tasks run")
        else:
            try:
                value = getattr(module, chain[0])
            except Exception:  # noqa: BLE001  # a module may answer by code of its own
                self._found.untrack(path, f"{chain[0]} is not defined in {name}")
            else:
                self._global(module_scope(module), chain[0], value, chain[1:], assigned=assigned)

    def _library(self, how: str, path: str, value: Any, origin: Origin | None) -> None:
        """Adds which thing of a library a name stands for: `sin` may be numpy's today and math's tomorrow. It is told
        in the words of the import, since libraries move things about; `import x` needs no telling."""
        if origin is not None and origin.name:
            source = origin.scope.source
            target = source.imported(origin.name) if source is not None else ""
            if target:
                if target != origin.name:
                    self._found.add("import", path, None, target)
                return
            if source is not None and source.bindings(origin.name):
                self._made(path, origin, "")
                return
        name = value.__name__ if isinstance(value, ModuleType) else code_name(value)
        if name != path:
            self._found.add(how, path, None, name)

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def _task(self, path: str, task: Task[..., Any], chain: tuple[str, ...]) -> None:
        detail = signature_text(task.params, task.interface)
        code = bool(chain) and chain[0] not in LAZY_ATTRIBUTES
        engine = task.module.partition(".")[0] == "redun"
        if task.version is not None and (code or engine):
            detail += f" version={task.version!r}"
        self._found.add("task", task.fullname, None, f"{detail} at {path}")
        if code and task.version is None and not engine:
            self._bind(f"{path}.func", task.func, (), None)

    def _expression(self, path: str, expression: Expression, origin: Origin | None) -> None:
        tasks: list[Task[..., Any]] = []
        try:
            told = structure(expression, tasks)
        except RecursionError:
            self._made(path, origin, "is an expression nested too deep to be read")
        else:
            self._constant(path, told, origin)
        for task in tasks:
            self._task(path, task, ())

    # -- functions -----------------------------------------------------------------------------------------------------

    def _remember(self, obj: object, home: str) -> None:
        self._homes[id(obj)] = home
        self._kept.append(obj)

    def _home(self, path: str, how: str, obj: Any) -> str | None:
        """The name to list an object under, or None if it is listed already. Adds where `path` leads."""
        known = self._homes.get(id(obj))
        home = known or _own_name(obj) or path
        if home != path:
            self._found.add(how, path, None, home)
        if known is not None:
            return None
        self._remember(obj, home)
        return home

    def _function(self, path: str, value: Any, origin: Origin | None) -> None:
        functions = [layer for layer in layers(value) if isinstance(layer, FunctionType)]
        main = next((function for function in reversed(functions) if self._own.owns(function)), None)
        if main is None:
            self._library("function", path, value, origin)
            self._hidden(path, functions)
            return
        home = self._home(path, "function", value)
        if home is None:
            return
        known = self._homes.get(id(main))
        if known is None or known == home:
            self._remember(main, home)
            self._add_function(home, main)
        else:
            self._found.add("function", f"{home}.__wrapped__", None, known)
        self._wrappers(home, value, main)
        outer = takewhile(lambda layer: layer is not main, layers(value))
        if any(not isinstance(layer, (MethodType, partial)) and not self._own.owns(layer) for layer in outer):
            self._made_by_library(path, origin)

    def _made_by_library(self, path: str, origin: Origin | None) -> None:
        """Adds the text of `f = decorator(argument)(g)`: what a library's decorator keeps is nowhere else. Where the
        decorator was put on a `def`, its text is there."""
        source = origin.scope.source if origin is not None and origin.name else None
        if source is not None and origin is not None:
            definitions = (ast.FunctionDef, ast.AsyncFunctionDef)
            if not any(isinstance(statement, definitions) for statement in source.bindings(origin.name)):
                self._made(path, origin, "")

    def _wrappers(self, home: str, value: Any, main: FunctionType) -> None:
        """Adds what is around the function that a decorated one is about: functions, and arguments bound there."""
        for place, layer in enumerate(layers(value)):
            if layer is main:
                break
            if isinstance(layer, partial):
                self._constant(f"{home}@{place}.args", [layer.args, layer.keywords], None)
            elif isinstance(layer, FunctionType):
                name = f"{home}@{place}:{codes.module_name(module_of(layer))}:{layer.__code__.co_qualname}"
                if not self._own.owns(layer):
                    self._hidden(name, [layer])
                elif layer is value or id(layer) not in self._homes:
                    self._remember(layer, home if layer is value else name)
                    self._add_function(name, layer, wrapper=True)

    def _hidden(self, path: str, functions: list[FunctionType]) -> None:
        """Own code that a library's function holds in its closure, as a decorator without `wraps` does."""
        for function in functions:
            if id(function) in self._opened:
                continue
            self._opened.add(id(function))
            self._kept.append(function)
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
                try:
                    value = cell.cell_contents
                except ValueError:
                    continue
                self._code_in(f"{path}.<locals>.{name}", value)

    def _code_in(self, path: str, value: Any) -> None:
        """Adds the code in a value that counts by something else, or not at all."""
        functions = [layer for layer in layers(value) if isinstance(layer, FunctionType)]
        if isinstance(value, type):
            self._class(path, value, None)
        elif any(map(self._own.owns, functions)) or isinstance(value, (partial, Task)):
            self._bind(path, value, (), None)
        elif functions:
            self._hidden(path, functions)
        elif isinstance(value, (dict, list, tuple, set)):
            for step, part in parts_with_code(value, deep=False):
                self._code_in(_own_name(part) or path + step if step.endswith(".__class__") else path + step, part)

    def _add_function(self, home: str, function: FunctionType, *, wrapper: bool = False) -> None:
        found = capture_function(function)
        scope = function_scope(function)
        if found.verified:
            self._found.text("function", home, self._decorators(home, found, scope) + found.text)
            reading = read(found.text)
            self._read_function(home, function, reading)
            if reading is not None and reading.computes_defaults:
                self._defaults(home, function, reading)
        elif wrapper and found.reason == NO_SOURCE:
            self._found.untrack(home, found.reason)  # generated by a library around the code that counts
        else:
            self._found.doubt(home, found.reason)

    def _read_function(self, home: str, function: FunctionType, reading: Reading | None) -> None:
        scope = function_scope(function)
        freeze_names(function.__globals__)
        if reading is None:
            self._found.untrack(home, "is nested too deep to be read")
            return
        names = reading.names
        # `super()` uses a cell that the text does not name
        named = {reference.name for reference in names.references}
        rest = tuple(Reference(name) for name in scope.cells if name not in named)
        self._left.append((home, Names(names.references + rest, names.remarks), scope))

    def _defaults(self, home: str, function: FunctionType, reading: Reading) -> None:
        """Defaults that are not literals, by value: a task's are arguments of its calls, a helper's are nowhere."""
        positional = function.__defaults__ or ()
        names = reading.parameters[function.__code__.co_argcount - len(positional) :]
        values = dict(zip(names, positional, strict=False))
        values.update(function.__kwdefaults__ or {})
        origin = Origin(function_scope(function), "")
        for name, value in values.items():
            self._bind(f"{home}.<defaults>.{name}", value, (), origin)

    def _decorators(self, home: str, found: Capture, scope: Scope) -> str:
        """The decorators that count, by text and by what they use: `@task(...)` does not, its options that matter are
        read from the task."""
        if not found.decorators:
            return ""
        indent = found.text[: len(found.text) - len(found.text.lstrip())]
        node = parsed(f"{found.decorators}{indent}def f(): pass\n")
        if node is None:
            return found.decorators
        kept = [decorator for decorator in node.decorator_list if not self._is_engine(decorator, scope)]
        self._left.append((home, names_in(kept, quiet=True), scope))
        lines = zip(logical_lines(found.decorators), node.decorator_list, strict=False)
        return "".join(found.decorators[line.start : line.end] for line, decorator in lines if decorator in kept)

    def _is_engine(self, decorator: ast.expr, scope: Scope) -> bool:
        root: Any = decorator
        while isinstance(root, (ast.Call, ast.Attribute)):
            root = root.func if isinstance(root, ast.Call) else root.value
        if not isinstance(root, ast.Name):
            return False
        value = scope.globals.get(root.id)
        while isinstance(value, partial):
            value = value.func
        name = value.__name__ if isinstance(value, ModuleType) else module_of(value)
        return name.partition(".")[0] == "redun"

    # -- classes -------------------------------------------------------------------------------------------------------

    def _class(self, path: str, kind: type, origin: Origin | None) -> None:
        if not self._own.owns(kind):
            return
        home = self._home(path, "class", kind)
        if home is None:
            return
        for name in vars(kind):
            self._found.watch(vars(kind), name)
        found = capture_class(kind)
        if not found.verified:
            if found.reason == CHANGED:
                self._found.doubt(home, found.reason)
            else:  # made by a call, such as `namedtuple("Point", "x y")`
                module = sys.modules.get(kind.__module__)
                if _own_name(kind) is not None and module is not None:
                    origin = Origin(module_scope(module), kind.__qualname__)
                self._made(home, origin, "is a class made by a call")
            return
        text = found.decorators + found.text
        self._found.text("class", home, text)
        reading = read(text)
        if reading is None:
            self._found.untrack(home, "is nested too deep to be read")
            return
        self._left.append((home, reading.names, class_scope(kind)))
        for name, value in untold(kind, reading.literals, self._own):
            if type(value) in PLAIN:
                self._constant(f"{home}.{name}", value, None)
            else:
                self._code_in(f"{home}.{name}", value)
        for base in (*kind.__bases__, type(kind)):
            self._class(_own_name(base) or f"{home}.<bases>.{base.__qualname__}", base, None)

    # -- values --------------------------------------------------------------------------------------------------------

    def _constant(self, path: str, value: Any, origin: Origin | None) -> None:
        why = self._encode(path, value)
        by_name = not why
        if why and isinstance(value, (dict, list, tuple)):
            with suppress(RecursionError):
                why = self._encode(path, without_code(value)) and why
        if why:
            told = type(value).__module__ in _TEXT_TELLS_ALL
            self._made(path, origin, "" if told else f"has no encoding and counts by the text that makes it: {why}")
        self._parts(path, value, deep=not why, by_name=by_name)

    def _parts(self, path: str, value: Any, *, deep: bool, by_name: bool) -> None:
        """Adds the code inside a value; `by_name`: the value counts already, and says what is at which place."""
        for step, part in parts_with_code(value, deep=deep):
            if step.endswith(".__class__"):
                self._class(_own_name(part) or path + step, part, None)
            else:
                name = _own_name(part) if by_name else None
                self._bind(name or path + step, part, (), None)

    def _encode(self, path: str, value: Any) -> str:
        """Adds a constant by value; returns why that cannot be done, or nothing."""
        try:
            self._found.add("constant", path, self._found.objects.value(value))
        except CodecError as error:
            return error.message
        except RedunError:
            raise
        except Exception as error:  # noqa: BLE001  # the user's own code runs while a value gives its state
            return f"{type(error).__name__}: {error}"
        return ""

    def _made(self, path: str, origin: Origin | None, why: str) -> None:
        """Adds a value by the text that makes it, and what that text uses."""
        scope = None if origin is None else origin.scope
        source = None if scope is None else scope.source
        if origin is None or scope is None or source is None:
            self._unmade(path, why)
            return
        if origin.name:
            statements = source.bindings(origin.name)
            text = "\n".join(map(source.segment, statements))
            for statement in statements:
                if isinstance(statement, (ast.Import, ast.ImportFrom)):
                    self._found.add("import", path, None, source.imported(origin.name))
                    for imported in imported_as(statement, origin.name):
                        self._static.follow(scope.package, imported, (), path)
                    return
            nodes: list[ast.AST] = list(statements)
        else:
            text = source.definition(scope.qualname.partition(".<locals>")[0]) or ""
            nodes = [parsed(text)] if text else []
        if not nodes:
            self._unmade(path, why)
            return
        self._found.text("text", path, text)
        if why:
            self._found.note(path, why)
        self._left.append((path, names_in(nodes, quiet=True), scope._replace(cells={})))

    def _unmade(self, path: str, why: str) -> None:
        # the reason may differ from run to run (an address in a repr), so it is not put into the record
        self._found.add("untracked", path, None, "has no encoding, and its making no text")
        self._found.note(path, why or "has no encoding, and its making no text")


def _own_name(obj: Any) -> str | None:
    """`module:qualname` where that leads back to the object, else None."""
    try:
        return codes.qualified_name(obj)
    except (CannotEncode, AttributeError, TypeError):
        return None
