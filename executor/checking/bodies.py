"""The mistakes with lazy values in one body, statement by statement."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from redun.core.names import bound_names, parameters, top_level
from redun.core.scheduler_tasks import scheduler_task
from redun.core.tasks import task
from redun.executor.checking.expressions import HINTS, Expressions, Report, Returned
from redun.executor.checking.values import Caller, Known, Lazy, Value, either, holds_lazy

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
#: Results of which everybody knows that they have no declared length.
_PLAIN: Final = frozenset({"int", "str", "bytes", "bool", "float", "list", "dict", "set", "List", "Dict", "File"})


class Body:
    """Walks the statements of a function, a class or a module.

    Attributes:
        returns: what is known of each value that it returns.
    """

    def __init__(
        self, statements: Sequence[ast.stmt], expressions: Expressions, report: Report, *, is_module: bool
    ) -> None:
        self._statements = statements
        self.expressions = expressions
        self._report = report
        self._is_module = is_module
        self._unused = frozenset() if is_module else _never_read(statements)
        self.returns: list[Value] = []

    @classmethod
    def of_function(
        cls, node: FunctionNode, scope: Mapping[str, Any], report: Report, returned: Returned, outer: Expressions | None
    ) -> Body:
        """Returns the body of a function; `outer`: that of the function around it."""
        local = frozenset(_bound(node))
        made = Expressions(scope, {}, local, report, returned) if outer is None else outer.inside(local)
        return cls(node.body, made, report, is_module=False)

    def read(self) -> None:
        """Reports the mistakes in it, those in functions inside it included."""
        self._block(self._statements)

    def _block(self, statements: Iterable[ast.stmt]) -> bool:
        """Returns whether what stands after these statements is reached."""
        for statement in statements:
            handler = _HANDLERS.get(type(statement))
            if handler is not None:
                if not handler(self, statement):
                    return False
            else:
                for child in ast.iter_child_nodes(statement):
                    if isinstance(child, ast.expr):
                        self.expressions.value(child)
        return True

    # -- one statement ------------------------------------------------------------------------------------------------

    def _expression(self, node: ast.Expr) -> bool:
        value = self.expressions.value(node.value)
        lazy = holds_lazy(value)
        if lazy is not None:
            self._dropped(node.value, lazy)
        return True

    def _dropped(self, node: ast.AST, lazy: Lazy) -> None:
        self._report(node, "dropped", f"{lazy.made} is neither returned nor stored, so it never runs", HINTS["dropped"])

    def _assign(self, node: ast.Assign) -> bool:
        value = self.expressions.value(node.value)
        for target in node.targets:
            self.expressions.bind(target, value, node.value)
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if len(names) == len(node.targets) and self._unused.issuperset(names):
            lazy = holds_lazy(value)
            if lazy is not None:
                self._dropped(node.value, lazy)
        return True

    def _annotated(self, node: ast.AnnAssign) -> bool:
        if node.value is not None:
            assigned = ast.copy_location(ast.Assign([node.target], node.value), node)
            return self._assign(assigned)
        return True

    def _augmented(self, node: ast.AugAssign) -> bool:
        made = ast.copy_location(ast.BinOp(_read(node.target), node.op, node.value), node)
        self.expressions.bind(node.target, self.expressions.value(made), node.value)
        return True

    def _return(self, node: ast.Return) -> bool:
        self.returns.append(self.expressions.value(node.value))
        return False

    def _ends(self, node: ast.stmt) -> bool:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expressions.value(child)
        return False

    def _assert(self, node: ast.Assert) -> bool:
        self.expressions.test(node.test)
        self.expressions.value(node.msg)
        return True

    def _import(self, node: ast.Import | ast.ImportFrom) -> bool:
        if not self._is_module:  # what a module has imported is there to be seen
            self.expressions.imported(node)
        return True

    # -- branches -----------------------------------------------------------------------------------------------------

    def _if(self, node: ast.If) -> bool:
        self.expressions.test(node.test)
        return self._branches([lambda: self._block(node.body), lambda: self._block(node.orelse)])

    def _branches(self, branches: Sequence[Callable[[], bool]]) -> bool:
        """Walks each from what is known now; afterwards what all that come to their end agree on is known."""
        before, ends = self.expressions.names, []
        for branch in branches:
            self.expressions.names = dict(before)
            if branch():
                ends.append(self.expressions.names)
        self.expressions.names = _agreed(ends) if ends else before
        return bool(ends)

    def _for(self, node: ast.For | ast.AsyncFor) -> bool:
        item = self.expressions.looped(node.iter)

        def once() -> bool:
            self.expressions.bind(node.target, item)
            self._block(node.body)
            return True

        self._branches([once, lambda: True])
        return self._block(node.orelse)

    def _while(self, node: ast.While) -> bool:
        self.expressions.test(node.test)
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        leaves = not endless or any(isinstance(inner, ast.Break) for inner in ast.walk(node))

        def once() -> bool:
            self._block(node.body)
            return True

        self._branches([once, lambda: True])
        return leaves and self._block(node.orelse)

    def _try(self, node: ast.Try | ast.TryStar) -> bool:
        handlers = [self._handler(handler) for handler in node.handlers]
        reached = self._branches([lambda: self._block([*node.body, *node.orelse]), *handlers])
        return self._block(node.finalbody) and reached

    def _handler(self, handler: ast.ExceptHandler) -> Callable[[], bool]:
        def branch() -> bool:
            if handler.name:
                self.expressions.names[handler.name] = None
            return self._block(handler.body)

        return branch

    def _with(self, node: ast.With | ast.AsyncWith) -> bool:
        for item in node.items:
            self.expressions.value(item.context_expr)
            if item.optional_vars is not None:
                self.expressions.bind(item.optional_vars, None)
        return self._block(node.body)

    def _match(self, node: ast.Match) -> bool:
        subject = self.expressions.value(node.subject)
        if isinstance(subject, Lazy):
            self.expressions.complain(node.subject, "truth", subject, "what it equals is not known here")
        return self._branches([*(self._case(case) for case in node.cases), lambda: True])

    def _case(self, case: ast.match_case) -> Callable[[], bool]:
        def branch() -> bool:
            for found in ast.walk(case.pattern):
                name = getattr(found, "name", None) or getattr(found, "rest", None)
                if isinstance(name, str):
                    self.expressions.names[name] = None
            if case.guard is not None:
                self.expressions.test(case.guard)
            return self._block(case.body)

        return branch

    # -- bodies inside ------------------------------------------------------------------------------------------------

    def _function(self, node: FunctionNode) -> bool:
        made = [made_by(self.expressions, decorator) for decorator in node.decorator_list]
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.expressions.value(default)
        if not self._is_module:  # functions of modules and classes are read one by one
            if "scheduler_task" not in made:
                inner = self.expressions.inside(frozenset(_bound(node)))
                Body(node.body, inner, self._report, is_module=False).read()
            length = _declared_length(node) if "task" in made and len(made) == 1 else -1
            self.expressions.names[node.name] = None if length == -1 else Caller(length)
        return True

    def _class(self, node: ast.ClassDef) -> bool:
        inner = self.expressions.inside(frozenset())
        Body(node.body, inner, self._report, is_module=self._is_module).read()
        if not self._is_module:
            self.expressions.names[node.name] = None
        return True


def made_by(expressions: Expressions, decorator: ast.expr) -> str:
    """Returns `task` or `scheduler_task` where a decorator makes such, else nothing."""
    value = expressions.value(decorator.func if isinstance(decorator, ast.Call) else decorator)
    for name, maker in (("task", task), ("scheduler_task", scheduler_task)):
        if isinstance(value, Known) and value.value is maker:
            return name
    return ""


def _declared_length(node: FunctionNode) -> int | None:
    """How many items the result of a task has that is made here: None where that is not declared, -1 where nobody can
    tell."""
    (decorator,) = node.decorator_list
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
        if keyword.arg in ("nout", None):
            given = getattr(keyword.value, "value", -1)
            return given if isinstance(given, int) else -1
    if node.returns is None:
        return None
    said = ast.unparse(node.returns)
    if isinstance(node.returns, ast.Constant) and isinstance(node.returns.value, str):
        said = node.returns.value
    if said.partition("[")[0].rpartition(".")[2] in _PLAIN:
        return None
    return -1


def _agreed(ends: Sequence[dict[str, Value]]) -> dict[str, Value]:
    first, *rest = ends
    for other in rest:
        first = {name: either(first.get(name), other.get(name)) for name in first.keys() | other.keys()}
    return first


def _read(target: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Name(target.id, ast.Load()), target) if isinstance(target, ast.Name) else target


def _bound(node: FunctionNode) -> set[str]:
    """The names that a function binds, its parameters among them."""
    names = {parameter.arg for parameter in parameters(node.args)}
    elsewhere: set[str] = set()
    for statement in top_level(node.body):
        names.update(bound_names(statement))
        if isinstance(statement, ast.Global | ast.Nonlocal):
            elsewhere.update(statement.names)
    return names - elsewhere


def _never_read(statements: Sequence[ast.stmt]) -> frozenset[str]:
    """The names that statements bind and that nothing in them reads."""
    bound: set[str] = set()
    read: set[str] = set()
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                (bound if isinstance(node.ctx, ast.Store) else read).add(node.id)
            elif isinstance(node, ast.Global | ast.Nonlocal):
                read.update(node.names)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("locals", "vars"):
                return frozenset()
    return frozenset(bound - read)


_HANDLERS: Final[dict[type[ast.AST], Callable[[Body, Any], bool]]] = {
    ast.Expr: Body._expression,
    ast.Assign: Body._assign,
    ast.AnnAssign: Body._annotated,
    ast.AugAssign: Body._augmented,
    ast.Return: Body._return,
    ast.Raise: Body._ends,
    ast.Break: Body._ends,
    ast.Continue: Body._ends,
    ast.Assert: Body._assert,
    ast.Import: Body._import,
    ast.ImportFrom: Body._import,
    ast.If: Body._if,
    ast.For: Body._for,
    ast.AsyncFor: Body._for,
    ast.While: Body._while,
    ast.Try: Body._try,
    ast.TryStar: Body._try,
    ast.With: Body._with,
    ast.AsyncWith: Body._with,
    ast.Match: Body._match,
    ast.FunctionDef: Body._function,
    ast.AsyncFunctionDef: Body._function,
    ast.ClassDef: Body._class,
}
