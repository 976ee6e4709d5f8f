"""What expressions in a body come to, as far as it matters whether they are lazy, and the mistakes on the way."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Final

from redun.executor.checking.values import (
    MAKERS,
    Absent,
    Caller,
    Items,
    Known,
    Lazy,
    Listed,
    Mapped,
    Value,
    attribute,
    either,
    gives_caller,
    holds_lazy,
    is_task,
    item_of,
    joined,
    known,
    length_of_call,
)

#: Called with (node, rule, message, hint) for each mistake.
Report = Callable[[ast.AST, str, str, str], None]
#: Tells what a function of the user's own returns.
Returned = Callable[[FunctionType], Value]

HINTS: Final = {
    "truth": "decide with cond(...), or inside a task that takes it as an argument",
    "loop": "loop inside a task that takes it, or call a task for each item: map_(task, values)",
    "unpacking": "declare how many items it has: @task(nout=2) or -> tuple[int, str]; or take them: x[0], x[1]",
    "text": "make the text inside a task that takes it as an argument",
    "number": "convert it inside a task that takes it as an argument",
    "dropped": "return it, or something that holds it; seq([...]) runs calls one after the other",
}
_BY_BUILTIN: Final = {
    **dict.fromkeys(("bool",), "truth"),
    **dict.fromkeys(("list", "tuple", "set", "frozenset", "sorted", "sum", "min", "max", "any", "all"), "loop"),
    **dict.fromkeys(("enumerate", "zip", "map", "filter", "reversed", "iter", "next", "dict"), "loop"),
    **dict.fromkeys(("str", "format", "ascii", "print"), "text"),
    **dict.fromkeys(("int", "float", "complex", "len", "range", "bin", "hex", "oct", "chr"), "number"),
}
_KEPT: Final = frozenset({"list", "tuple", "set", "frozenset", "reversed", "iter"})
_COMPARES: Final = frozenset({"sorted", "min", "max"})
_ADDS: Final = frozenset({"append", "add", "insert", "extend", "update", "appendleft", "setdefault"})


class Expressions:
    """Evaluates expressions of one body over what is known of its names.

    Args:
        scope: the names of the module, with what they are bound to.
        names: the names of the body, and what is known of each.
        local: names that the body binds: of those that are not in `names` nothing is known.
    """

    def __init__(
        self,
        scope: Mapping[str, Any],
        names: dict[str, Value],
        local: frozenset[str],
        report: Report,
        returned: Returned,
    ) -> None:
        self.scope = scope
        self.names = names
        self.local = local
        self._report = report
        self._returned = returned

    def value(self, node: ast.AST | None) -> Value:
        """Returns what is known of an expression, and reports the mistakes in it."""
        if node is None:
            return None
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            return handler(self, node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child)
        return None

    def complain(self, node: ast.AST, rule: str, lazy: Lazy, said: str) -> None:
        """Reports a lazy value that is used as if it were there."""
        where = f", line {lazy.line}" if lazy.line and lazy.line != getattr(node, "lineno", 0) else ""
        text = ast.unparse(node) if isinstance(node, ast.expr) else ""
        shown = _short(text or lazy.made)
        by = "" if lazy.made == text else f" ({_short(lazy.made)}{where})"
        self._report(node, rule, f"{shown}{by} is lazy: {said}", HINTS[rule])

    def test(self, node: ast.expr) -> None:
        """Evaluates what is asked whether it is true."""
        if isinstance(node, ast.BoolOp):
            for part in node.values:
                self.test(part)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.test(node.operand)
        else:
            found = self.value(node)
            if isinstance(found, Lazy):
                self.complain(node, "truth", found, "whether it is true is not known here")

    def looped(self, node: ast.expr) -> Value:
        """Evaluates what is looped over, and returns what is known of its items."""
        found = self.value(node)
        if isinstance(found, Lazy) and found.length is None:
            self.complain(node, "loop", found, "it cannot be looped over here")
            return None
        return item_of(found)

    # -- names --------------------------------------------------------------------------------------------------------

    def name(self, node: ast.Name) -> Value:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in self.local:
            return None
        if node.id in self.scope:
            return known(self.scope[node.id])
        return Known(getattr(builtins, node.id)) if hasattr(builtins, node.id) else None

    def imported(self, node: ast.Import | ast.ImportFrom) -> None:
        """Binds what an import inside the body binds; nothing is imported for it."""
        for alias in node.names:
            if isinstance(node, ast.Import):
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                found = sys.modules.get(name)
                value: Value = Known(found) if found is not None else Absent(name)
                self.names[alias.asname or name] = value
            else:
                module = sys.modules.get(node.module or "") if not node.level else None
                path = Absent(f"{node.module}.{alias.name}") if node.module and not node.level else None
                value = attribute(Known(module), alias.name) if module is not None else path
                self.names[alias.asname or alias.name] = value

    def attribute(self, node: ast.Attribute) -> Value:
        value = self.value(node.value)
        if isinstance(value, Lazy):
            return Lazy(_short(ast.unparse(node)), node.lineno)
        return attribute(value, node.attr)

    def subscript(self, node: ast.Subscript) -> Value:
        value = self.value(node.value)
        self.value(node.slice)
        if isinstance(value, Lazy):
            return Lazy(_short(ast.unparse(node)), node.lineno)
        if isinstance(value, Items) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            place = node.slice.value
            return value.items[place] if -len(value.items) <= place < len(value.items) else None
        if isinstance(value, Mapped):
            return value.item
        return value if isinstance(node.slice, ast.Slice) else item_of(value)

    # -- operators ----------------------------------------------------------------------------------------------------

    def bool_op(self, node: ast.BoolOp) -> Value:
        for part in node.values[:-1]:
            self.test(part)
        self.value(node.values[-1])
        return None

    def unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            self.test(node.operand)
            return None
        return self._lazy(node, self.value(node.operand))

    def binary(self, node: ast.BinOp) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.Mod) and _is_text(node.left):
            parts = right.items if isinstance(right, Items) else (right,)
            found = next((part for part in parts if isinstance(part, Lazy)), None)
            if found is not None:
                self.complain(node.right, "text", found, "it has no text yet")
            return None
        if isinstance(node.op, ast.Add) and isinstance(left, Listed) and isinstance(right, Listed):
            return either(left, right)
        if isinstance(node.op, ast.Mult) and isinstance(left, Listed):
            return left
        return self._lazy(node, left, right)

    def _lazy(self, node: ast.expr, *values: Value) -> Value:
        return Lazy(_short(ast.unparse(node)), node.lineno) if any(isinstance(v, Lazy) for v in values) else None

    def compare(self, node: ast.Compare) -> Value:
        values = [self.value(node.left), *map(self.value, node.comparators)]
        nodes = [node.left, *node.comparators]
        for place, operation in enumerate(node.ops):
            left, right = values[place], values[place + 1]
            if isinstance(operation, ast.In | ast.NotIn):
                if isinstance(right, Lazy):
                    self.complain(nodes[place + 1], "loop", right, "what it contains is not known here")
                elif isinstance(left, Lazy):
                    self.complain(nodes[place], "truth", left, "whether it equals something is not known here")
                return None
            if isinstance(operation, ast.Is | ast.IsNot):
                return None
        if len(node.ops) > 1:
            found = next((value for value in values if isinstance(value, Lazy)), None)
            if found is not None:
                self.complain(node, "truth", found, "a chain of comparisons asks whether the first one is true")
            return None
        return self._lazy(node, *values)

    def choice(self, node: ast.IfExp) -> Value:
        self.test(node.test)
        return either(self.value(node.body), self.value(node.orelse))

    def awaited(self, node: ast.Await) -> Value:
        self.value(node.value)
        return None

    def walrus(self, node: ast.NamedExpr) -> Value:
        value = self.value(node.value)
        self.names[node.target.id] = value
        return value

    # -- texts --------------------------------------------------------------------------------------------------------

    def f_string(self, node: ast.JoinedStr) -> Value:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                found = self.value(part.value)
                if part.conversion != ord("r") and (lazy := holds_lazy(found)) is not None:
                    said = "it has no text yet" if found is lazy else "what it holds has no text yet"
                    self.complain(part.value, "text", lazy, said)
                if part.format_spec is not None:
                    self.value(part.format_spec)
        return None

    # -- containers ---------------------------------------------------------------------------------------------------

    def listed(self, node: ast.List | ast.Set) -> Value:
        values = tuple(map(self._element, node.elts))
        return Listed(joined(values), holds_lazy(Items(values)))

    def items(self, node: ast.Tuple) -> Value:
        values = tuple(map(self._element, node.elts))
        return Listed(joined(values)) if any(isinstance(e, ast.Starred) for e in node.elts) else Items(values)

    def _element(self, node: ast.expr) -> Value:
        return self.looped(node.value) if isinstance(node, ast.Starred) else self.value(node)

    def mapped(self, node: ast.Dict) -> Value:
        values = []
        for key, item in zip(node.keys, node.values, strict=True):
            self.value(key)
            value = self.value(item)
            if key is None:
                if isinstance(value, Lazy):
                    self.complain(item, "loop", value, "it cannot be looped over here")
                value = value.item if isinstance(value, Mapped) else None
            values.append(value)
        return Mapped(joined(tuple(values)))

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value:
        inner = self._generators(node.generators)
        return Listed(inner.value(node.elt))

    def dict_comprehension(self, node: ast.DictComp) -> Value:
        inner = self._generators(node.generators)
        inner.value(node.key)
        return Mapped(inner.value(node.value))

    def _generators(self, generators: list[ast.comprehension]) -> Expressions:
        inner = self.inside(frozenset())
        for generator in generators:
            inner.bind(generator.target, inner.looped(generator.iter))
            for condition in generator.ifs:
                inner.test(condition)
        return inner

    def inside(self, local: frozenset[str]) -> Expressions:
        """Returns the same for what stands inside and binds names of its own."""
        names = {name: value for name, value in self.names.items() if name not in local}
        return Expressions(self.scope, names, self.local | local, self._report, self._returned)

    def function(self, node: ast.Lambda) -> Value:
        arguments = node.args
        for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
            self.value(default)
        named = {arg.arg for arg in ast.walk(arguments) if isinstance(arg, ast.arg)}
        self.inside(frozenset(named)).value(node.body)
        return None

    def starred(self, node: ast.Starred) -> Value:
        self.looped(node.value)
        return None

    # -- binding ------------------------------------------------------------------------------------------------------

    def bind(self, target: ast.expr, value: Value, node: ast.expr | None = None) -> None:
        """Binds a target; `node` is what is assigned, where it is that rather than an item of it."""
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            self._unpack(target, value, node)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, Listed(value))
        else:
            base = self.value(target.value) if isinstance(target, ast.Attribute | ast.Subscript) else None
            if isinstance(target, ast.Subscript):
                self.value(target.slice)
                if isinstance(target.value, ast.Name) and isinstance(base, Mapped):
                    self.names[target.value.id] = Mapped(either(base.item, value) if base.item else value)

    def _unpack(self, target: ast.Tuple | ast.List, value: Value, node: ast.expr | None) -> None:
        count = len(target.elts)
        starred = any(isinstance(element, ast.Starred) for element in target.elts)
        if isinstance(value, Lazy):
            if value.length is None:
                self.complain(node or target, "unpacking", value, "how many items it has is not known")
            elif not starred and value.length != count:
                said = f"it has {value.length} items, and {count} are taken"
                self.complain(node or target, "unpacking", value, said)
        exact = isinstance(value, Items) and len(value.items) == count and not starred
        for place, element in enumerate(target.elts):
            part = value.items[place] if exact and isinstance(value, Items) else item_of(value)
            if isinstance(value, Lazy):
                part = Lazy(f"{value.made}[{place}]", value.line) if value.length is not None else None
            self.bind(element, part)

    # -- calls --------------------------------------------------------------------------------------------------------

    def call(self, node: ast.Call) -> Value:
        function = self.value(node.func)
        if isinstance(function, Lazy):
            self._arguments(node)
            return Lazy(_short(ast.unparse(node)), node.lineno)
        called, length = length_of_call(function)
        if called:
            self._arguments(node)
            return Lazy(_short(ast.unparse(node)), node.lineno, length, is_task(function))
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func)
        if gives_caller(function):
            self._arguments(node)
            return Caller(None)
        if isinstance(function, Known):
            name = getattr(function.value, "__name__", "")
            if name in _BY_BUILTIN and getattr(builtins, name, None) is function.value:
                return self._builtin(name, node)
            if isinstance(function.value, FunctionType):
                self._arguments(node)
                return self._returned(function.value)
        self._arguments(node)
        return None

    def _arguments(self, node: ast.Call) -> list[Value]:
        values = [self._element(argument) for argument in node.args]
        for keyword in node.keywords:
            value = self.value(keyword.value)
            if keyword.arg is None and isinstance(value, Lazy):
                self.complain(keyword.value, "loop", value, "it cannot be looped over here")
            values.append(value)
        return values

    def _method(self, node: ast.Call, method: ast.Attribute) -> Value:
        owner = self.value(method.value)
        arguments = self._arguments(node)
        if method.attr in MAKERS and is_task(owner):
            return Caller(length_of_call(owner)[1])
        if method.attr == "format" and _is_text(method.value):
            self._texts([*node.args, *(k.value for k in node.keywords)], arguments)
            return None
        if method.attr == "join" and _is_text(method.value) and node.args:
            lazy = holds_lazy(arguments[0])
            if lazy is not None:
                rule = "loop" if lazy is arguments[0] else "text"
                said = "it cannot be looped over here" if rule == "loop" else "what it holds has no text yet"
                self.complain(node.args[0], rule, lazy, said)
            return None
        if isinstance(owner, Mapped):
            if method.attr == "values":
                return Listed(owner.item)
            return Listed(Items((None, owner.item))) if method.attr == "items" else None
        if method.attr in _ADDS and isinstance(method.value, ast.Name) and isinstance(owner, Listed):
            added = arguments[-1] if arguments else None
            if method.attr in ("extend", "update"):
                if isinstance(added, Lazy):
                    self.complain(node.args[-1], "loop", added, "it cannot be looped over here")
                added = item_of(added)
            item = either(owner.item, added) if owner.item else added
            self.names[method.value.id] = Listed(item, owner.some or holds_lazy(added))
            return None
        if method.attr == "copy":
            return owner
        if isinstance(owner, Known):
            function = attribute(owner, method.attr)
            if isinstance(function, Known) and isinstance(function.value, FunctionType):
                return Caller(None) if gives_caller(function) else self._returned(function.value)
        return None

    def _texts(self, nodes: list[ast.expr], values: list[Value]) -> None:
        for node, value in zip(nodes, values, strict=True):
            lazy = holds_lazy(value)
            if lazy is not None:
                self.complain(node, "text", lazy, "it has no text yet")

    def _builtin(self, name: str, node: ast.Call) -> Value:
        rule = _BY_BUILTIN[name]
        values = self._arguments(node)
        places = node.args[1:] if name in ("map", "filter") else node.args
        asks = name in ("any", "all", *_COMPARES) and all(keyword.arg != "key" for keyword in node.keywords)
        for argument, value in zip(node.args, values, strict=False):
            if argument not in places or isinstance(argument, ast.Starred):
                continue
            if isinstance(value, Lazy):
                self._misused(name, rule, argument, value, alone=len(node.args) == 1)
            elif rule == "text" and (lazy := holds_lazy(value)) is not None:
                self.complain(argument, "text", lazy, "what it holds has no text yet")
            elif asks and isinstance(item := item_of(value), Lazy):
                self.complain(argument, "truth", item, f"{name}() asks whether what it holds is true")
        if name in _KEPT:
            return Listed(item_of(values[0])) if values else Listed(None)
        if name == "dict":
            return values[0] if values and isinstance(values[0], Mapped) else Mapped(None)
        if name in ("enumerate", "zip"):
            parts = tuple(map(item_of, values))
            return Listed(Items((None, *parts) if name == "enumerate" else parts))
        if name == "map" and len(values) == 2:
            called, length = length_of_call(values[0])
            return Listed(Lazy(_short(ast.unparse(node)), node.lineno, length)) if called else Listed(None)
        if name == "sum" and values:
            return self._lazy(node, item_of(values[0]))
        return None

    def _misused(self, name: str, rule: str, node: ast.expr, value: Lazy, *, alone: bool) -> None:
        if name in ("min", "max") and not alone:
            rule = "truth"
        if (rule == "loop" or name == "len") and value.length is not None:
            return
        said = {
            "truth": "whether it is true is not known here",
            "loop": "it cannot be looped over here",
            "text": "it has no text yet" if name != "print" else "print() shows the call, not its value",
            "number": f"{name}() needs the value itself",
        }[rule]
        self.complain(node, rule, value, said)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 50 else line[:47] + "..."


_HANDLERS: Final[dict[type[ast.AST], Callable[[Expressions, Any], Value]]] = {
    ast.Name: Expressions.name,
    ast.Attribute: Expressions.attribute,
    ast.Subscript: Expressions.subscript,
    ast.BoolOp: Expressions.bool_op,
    ast.UnaryOp: Expressions.unary,
    ast.BinOp: Expressions.binary,
    ast.Compare: Expressions.compare,
    ast.IfExp: Expressions.choice,
    ast.Await: Expressions.awaited,
    ast.NamedExpr: Expressions.walrus,
    ast.JoinedStr: Expressions.f_string,
    ast.List: Expressions.listed,
    ast.Set: Expressions.listed,
    ast.Tuple: Expressions.items,
    ast.Dict: Expressions.mapped,
    ast.ListComp: Expressions.comprehension,
    ast.SetComp: Expressions.comprehension,
    ast.GeneratorExp: Expressions.comprehension,
    ast.DictComp: Expressions.dict_comprehension,
    ast.Lambda: Expressions.function,
    ast.Starred: Expressions.starred,
    ast.Call: Expressions.call,
}
