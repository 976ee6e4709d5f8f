"""Checks a workflow that is loaded: the modules that its tasks and their helpers are in, function by function."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FunctionType, ModuleType
from typing import Any, Final

from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import RedunError
from redun.core.fingerprint import fingerprint
from redun.core.objects import TaskRecord
from redun.core.ownership import Ownership, principal
from redun.core.scheduler_tasks import SchedulerTask
from redun.core.sources import ModuleSource, module_source
from redun.core.tasks import Task
from redun.core.values import Encoder
from redun.executor.checking.bodies import Body, FunctionNode
from redun.executor.checking.expressions import Expressions, Report
from redun.executor.checking.remarks import Remark, is_silenced
from redun.executor.checking.values import Value, joined
from redun.executor.checking.world import asked
from redun.executor.code_changes import use_name

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
#: What a fingerprint says of code that the check finds itself, with its line.
_FOUND_HERE: Final = ("calls ",)


def check_workflow(
    tasks: Sequence[Task[..., Any]], shown: Callable[[str, int, int], None] = lambda *_: None
) -> list[Remark]:
    """Returns the mistakes in the code of these tasks, and in that of the user's own modules that they use, in the
    order in which they stand. Nothing of it is run. `shown` is told how far it has come."""
    check = _Check(tasks)
    check.read(shown)
    return sorted(set(check.remarks))


class _Check:
    """One check: the functions of all modules concerned, and what is known of each."""

    def __init__(self, tasks: Sequence[Task[..., Any]]) -> None:
        self.remarks: list[Remark] = []
        self._tasks = [task for task in tasks if not isinstance(task, SchedulerTask)]
        self._skipped = {_home(task) for task in tasks if isinstance(task, SchedulerTask)}
        #: Where the code of a function is -> the tasks that use it, by name.
        self._users: dict[tuple[str, str], dict[str, None]] = {}
        self._modules: dict[str, _Module] = {}
        self._returned: dict[tuple[str, int], Value] = {}
        self._texts: dict[str, list[str]] = {}
        self._said: list[tuple[_Module, ast.AST, str, str]] = []

    def read(self, shown: Callable[[str, int, int], None]) -> None:
        """Makes the remarks."""
        for number, task in enumerate(self._tasks):
            shown("Tasks", number, len(self._tasks))
            self._follow(task)
        for module, line, said, hint in self._said:
            module.report(self)(line, "code", said, hint)
        for module in list(self._modules.values()):
            for function in module.functions.values():
                self._value_of(module, function)
            body = Body(module.source.tree.body, module.expressions(self), module.report(self), is_module=True)
            body.read()
            self._world(module)

    def _follow(self, task: Task[..., Any]) -> None:
        """Finds the modules that the code of a task is in, and who uses which function."""
        home = _home(task)
        own = Ownership.of(task)
        self._add(home[0])
        quiet = task.task_options.get("cache") is False  # it runs every time, and may ask what it likes
        users = [] if quiet else [home]
        try:
            found = fingerprint(task, Encoder(DEFAULT_FORMAT))
        except RedunError:  # what it includes cannot be encoded, of which running it tells
            found = None
        if found is not None:
            used = list(_code_of(found.record))
            users += [] if quiet else used
            for module, _ in used:
                if own.owns_module(module):
                    self._add(module)
            self._doubts(task, home, found.record)
        for user in users:
            self._users.setdefault(user, {})[task.fullname] = None

    def _doubts(self, task: Task[..., Any], home: tuple[str, str], record: TaskRecord) -> None:
        module = self._modules.get(home[0])
        function = None if module is None else module.everything.get(home[1])
        if module is None or function is None:
            return
        for use in record.uses:
            if use.how == "untracked" and not use.detail.startswith(_FOUND_HERE):
                said = f"not tracked: {use_name(use)}: {use.detail}"
                self._said.append((module, _line(function), said, "redun doctor says what is tracked of each task"))

    def _add(self, name: str) -> None:
        loaded = sys.modules.get(name)
        file = getattr(loaded, "__file__", None)
        if name in self._modules or not isinstance(loaded, ModuleType) or not isinstance(file, str):
            return
        source = module_source(file, vars(loaded))
        if source is not None:
            self._modules[name] = _Module(name, loaded, source)
            self._texts[self._modules[name].shown] = source.text.split("\n")

    # -- lazy values --------------------------------------------------------------------------------------------------

    def returned(self, function: FunctionType) -> Value:
        """Returns what a function of one of the modules returns, None where nobody knows."""
        module = self._modules.get(function.__module__ or "")
        node = None if module is None else module.functions.get(function.__code__.co_qualname)
        if module is None or node is None or not _is_at(node, function.__code__.co_firstlineno):
            return None
        return self._value_of(module, node)

    def _value_of(self, module: _Module, node: FunctionNode) -> Value:
        key = (module.name, node.lineno)
        if key not in self._returned:
            self._returned[key] = None  # while it is looked for: a function may call itself
            if (module.name, module.names[node]) not in self._skipped:
                body = Body.of_function(node, vars(module.loaded), module.report(self), self.returned, None)
                body.read()
                if isinstance(node, ast.FunctionDef) and not _is_generator(node):
                    self._returned[key] = joined(tuple(body.returns))
        return self._returned[key]

    def user(self, module: str, name: str) -> str:
        """Returns a task that uses a function, by name, or nothing."""
        return next(iter(self._users.get((module, name), ())), "")

    # -- the world ----------------------------------------------------------------------------------------------------

    def _world(self, module: _Module) -> None:
        for name, node in module.everything.items():
            if self.user(module.name, name) or self.user(module.name, name.rpartition(".")[0]):
                expressions = module.expressions(self, node)
                for found in asked(node, expressions):
                    module.report(self)(found.node, found.rule, found.message, found.hint)

    def add(self, remark: Remark) -> None:
        """Takes a remark that no comment has silenced."""
        if not is_silenced(remark, self._texts[remark.file]):
            self.remarks.append(remark)


class _Module:
    """One module.

    Attributes:
        functions: its functions and methods by their qualified names, functions inside functions left out.
        everything: with those.
    """

    def __init__(self, name: str, loaded: ModuleType, source: ModuleSource) -> None:
        self.name = name
        self.loaded = loaded
        self.source = source
        self.shown = source.file.removeprefix(os.getcwd().rstrip("/") + "/")
        self.functions = dict(_functions(source.tree.body, ""))
        self.names = {node: name for name, node in self.functions.items()}
        self.everything = dict(self.functions)
        waiting = list(self.functions.items())
        while waiting:
            name, node = waiting.pop()
            inner = dict(_functions(node.body, f"{name}.<locals>."))
            self.everything.update(inner)
            waiting += inner.items()

    def report(self, check: _Check) -> Report:
        """Returns what takes a mistake in this module."""

        def report(node: Any, rule: str, message: str, hint: str) -> None:
            end = getattr(node, "end_lineno", None) or node.lineno
            task = self._task_at(check, node.lineno)
            check.add(Remark(self.shown, node.lineno, node.col_offset + 1, end, rule, task, message, hint))

        return report

    def _task_at(self, check: _Check, line: int) -> str:
        """The task whose code a line is, or one that uses the function around it."""
        around = [(node.lineno, name) for name, node in self.everything.items() if _holds(node, line)]
        for _, name in sorted(around, reverse=True):
            task = check.user(self.name, name) or check.user(self.name, name.rpartition(".")[0])
            if task:
                return task
        return ""

    def expressions(self, check: _Check, node: FunctionNode | None = None) -> Expressions:
        """Returns what knows the names of the module, or of a function in it, before any statement is read."""
        scope = vars(self.loaded)
        if node is None:
            return Expressions(scope, {}, frozenset(), self.report(check), check.returned)
        return Body.of_function(node, scope, lambda *_: None, check.returned, None).expressions


def _functions(statements: Iterable[ast.stmt], inside: str) -> Iterator[tuple[str, FunctionNode]]:
    for statement in statements:
        if isinstance(statement, _FUNCTIONS):
            yield f"{inside}{statement.name}", statement
        elif isinstance(statement, ast.ClassDef):
            yield from _functions(statement.body, f"{inside}{statement.name}.")
        else:
            for field in ("body", "orelse", "finalbody"):
                yield from _functions(getattr(statement, field, ()), inside)
            for handler in getattr(statement, "handlers", ()):
                yield from _functions(handler.body, inside)


def _home(task: Task[..., Any]) -> tuple[str, str]:
    main = principal(task.func)
    return (task.module, "") if main is None else (main.__module__ or task.module, main.__code__.co_qualname)


def _code_of(record: TaskRecord) -> Iterator[tuple[str, str]]:
    """Yields (module, qualified name) of the functions and classes that a task uses."""
    for use in record.uses:
        if use.how in ("function", "class") and use.target is not None:
            module, _, name = use.name.partition("#")[0].partition(":")
            yield module, name


def _line(node: FunctionNode) -> ast.AST:
    """The line of a definition as a place of its own."""
    return ast.Pass(lineno=node.lineno, end_lineno=node.lineno, col_offset=node.col_offset)


def _holds(node: FunctionNode, line: int) -> bool:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return first <= line <= (node.end_lineno or node.lineno)


def _is_at(node: FunctionNode, line: int) -> bool:
    return line in (node.lineno, *(decorator.lineno for decorator in node.decorator_list))


def _is_generator(node: ast.FunctionDef) -> bool:
    return any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node))
