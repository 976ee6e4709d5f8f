"""Random workflows of control flow, and random edits of them.

Beside `workflows`, which is about what a cache can miss in values, files and code: here are branches, failures and who
handles them, scheduler tasks, contexts, exported options, async bodies, partial tasks and quotes. Whatever a task is
given, `num` makes a number of it; a task calls tasks below it, so every run ends.

In the text of bodies a task stands as `«number»`, so that it can be renamed.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.executor.workflows import Dice

PRELUDE = '''
import asyncio
from redun.core.context import get_context
from redun.core.functional import (
    catch, catch_all, compose, cond, const, delay, flat_map, fold, force, identity, map_, seq, starmap, throw, zip_,
)
from redun.core.quoting import quote
from redun.core.scheduler_tasks import Attempt, AttemptAll, Reading, scheduler_task

class Odd(ValueError):
    pass

def num(x):
    """A number made of any value."""
    if isinstance(x, BaseException):
        return num([type(x).__name__, str(x)])
    if isinstance(x, str):
        return sum(map(ord, x)) % 101
    if isinstance(x, dict):
        return num([part for pair in x.items() for part in pair])
    if isinstance(x, (list, tuple)):
        return sum((place + 1) * num(part) for place, part in enumerate(x)) % 101
    return 7 if x is None else int(x) % 101

@task()
def total(*xs):
    ran("total", *xs)
    return num(xs)

@task()
def numbers(n):
    ran("numbers", n)
    return list(range(num(n) % 4))

@task()
def add(a, b):
    ran("add", a, b)
    return (num(a) + num(b)) % 101

@task()
def rec(error):
    ran("rec", repr(error))
    return num(error)

@task()
def rethrow(error):
    ran("rethrow", repr(error))
    return throw(KeyError(num(error)))

@task()
def instead(value, error):
    ran("instead", value, repr(error))
    return value

@task()
def apply(function, *xs):
    ran("apply", *xs)
    return function(*xs)

@task()
def ignore(value):
    ran("ignore", type(value).__name__)
    return 5

@task()
def evaluated(quoted):
    ran("evaluated")
    return [quoted.eval(), quoted.eval()]

@scheduler_task()
def first_even(*choices):
    for choice in choices:
        if num((yield choice)) % 2 == 0:
            return choice
    return {k}

@scheduler_task()
def either(one, other):
    error = yield Attempt(one, (ValueError,))
    if error is None:
        return one
    return [other, num(error)]

@scheduler_task()
def settled(*parts):
    found = yield AttemptAll(list(parts))
    return [num(found.value), len(found.errors)]

@scheduler_task()
def host():
    there, value = yield Reading("b.c")
    return num(value) if there else total({k})
'''

#: Classes of errors that are caught, as text; not all that is raised is of one.
CLASSES = ("ValueError", "Exception", "KeyError", "(KeyError, Odd)", "Odd", "ArithmeticError")
RAISED = ("ValueError", "KeyError", "Odd")
OPTIONS = (("cache", "False"), ("cache_errors", "False"), ("cache_scope", "'CSE'"), ("check_valid", "'full'"))


@dataclass
class ControlTask:
    """A task. Its number is its for ever; its name may change."""

    uid: int
    name: str
    is_async: bool
    default: str = "None"
    lines: list[str] = field(default_factory=list)
    fails: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Returns the definition, with tasks by number."""
        options = ", ".join(f"{name}={value}" for name, value in sorted(self.options.items()))
        lines = [f"ran({self.name!r}, p, q)", *([self.fails] if self.fails else []), *self.lines]
        head = f"@task({options})\n{'async ' if self.is_async else ''}def {self.name}(p, q={self.default}):\n"
        return head + "".join(f"    {line}\n" for line in lines)


class ControlFlow:
    """A workflow that is being edited.

    Attributes:
        tasks: each calls only those before it; the last is the main one.
        context: what is given to the run, as text.
        root: the expression that is run.
    """

    def __init__(self, dice: Dice, tasks: int = 3) -> None:
        self.dice = dice
        self.constant = 2
        self.tasks: list[ControlTask] = []
        self.numbers = 0
        self.context: dict[str, object] = {}
        for _ in range(1 + dice.below(tasks + 1)):
            self.add()
        self.root = self._root()

    def copy(self) -> ControlFlow:
        """Returns what a later `revert` goes back to."""
        other = copy.copy(self)
        other.tasks = copy.deepcopy(self.tasks)
        return other

    def text(self) -> str:
        """Returns the workflow."""
        prelude = f"K = {self.constant}\n" + PRELUDE.replace("{k}", "K")
        return self.named("\n\n".join([prelude, *(task.text() for task in self.tasks)]))

    def named(self, text: str) -> str:
        """Returns a text with the names of tasks in the place of their numbers."""
        names = {task.uid: task.name for task in self.tasks}
        return re.sub("«(\\d+)»", lambda found: names[int(found[1])], text)

    def size(self) -> int:
        """Returns about how many jobs a run has when nothing is shared."""
        sizes: dict[int, int] = {}
        for task in self.tasks:
            text = task.text()
            sizes[task.uid] = 3 + sum(3 * size * text.count(f"«{uid}»") for uid, size in sizes.items())
        return sum(size * self.root.count(f"«{uid}»") for uid, size in sizes.items())

    def add(self) -> None:
        """Adds a task above the others."""
        task = ControlTask(self.numbers, f"t{self.numbers}", is_async=self.dice.happens(3))
        self.tasks.append(task)
        self.numbers += 1
        self.rewrite(task)
        if self.dice.happens(3):
            self._default(task)
        if self.dice.happens(3):
            self._fail(task)

    def rewrite(self, task: ControlTask) -> None:
        """Gives a task another body."""
        text = ControlText(self.dice, self.tasks[: self.tasks.index(task)])
        task.lines = text.async_body() if task.is_async else text.body()

    def _root(self) -> str:
        text = ControlText(self.dice, self.tasks)
        main = self.tasks[-1].uid
        first = f"«{main}»({self.dice.below(4)})"
        form = self.dice.pick(["{}", "[{}, {second}]", "catch([{}, {second}], Exception, rec)", "[{second}, {}]"])
        return form.replace("{}", first).replace("{second}", text.value(1))

    # -- edits --------------------------------------------------------------------------------------------------------

    def edit(self) -> str:
        """Makes a random edit and returns what it was."""
        edits: list[Callable[[], str]] = [
            self._mend,
            self._body,
            self._context,
            self._constant,
            self._option,
            self._defaults,
            self._rename,
            self._reroot,
            self._colour,
        ]
        return self.dice.pick(edits)()

    def _any(self) -> ControlTask:
        return self.dice.pick(self.tasks)

    def _mend(self) -> str:
        task = self._any()
        if task.fails:
            task.fails = ""
            return f"{task.name} succeeds"
        self._fail(task)
        return f"{task.name} fails"

    def _fail(self, task: ControlTask) -> None:
        kind, rest = self.dice.pick(RAISED), self.dice.below(3)
        task.fails = f"if num(p) % 3 == {rest}: raise {kind}(num(p))"
        if self.dice.happens(3):
            task.fails = f"raise {kind}(num(p) + {rest})"

    def _body(self) -> str:
        task = self._any()
        self.rewrite(task)
        return f"body of {task.name}"

    def _context(self) -> str:
        number = self.dice.below(3)
        self.context = self.dice.pick([{}, {"a": number}, {"b": {"c": number, "d": 1}}, {"a": 1, "b": {"c": number}}])
        return f"context {self.context}"

    def _constant(self) -> str:
        self.constant = self.dice.below(5)
        return f"K = {self.constant}"

    def _option(self) -> str:
        task = self._any()
        name, value = self.dice.pick(OPTIONS[:2] if task.is_async else OPTIONS)
        if task.options.pop(name, None) is None:
            task.options[name] = value
        return f"option {name} of {task.name}"

    def _defaults(self) -> str:
        task = self._any()
        self._default(task)
        return f"default of {task.name}"

    def _default(self, task: ControlTask) -> None:
        text = ControlText(self.dice, self.tasks[: self.tasks.index(task)])
        task.default = self.dice.pick([lambda: "K", lambda: "get_context('a', 1)", lambda: text.value(1)])()

    def _rename(self) -> str:
        task = self._any()
        old, task.name = task.name, f"t{task.uid}_{self.dice.below(3)}"
        return f"{old} is now {task.name}"

    def _reroot(self) -> str:
        self.root = self._root()
        return f"root {self.root}"

    def _colour(self) -> str:
        task = self._any()
        task.is_async = not task.is_async
        self.rewrite(task)
        return f"{task.name} is {'' if task.is_async else 'not '}async"


class ControlText:
    """Makes the text of one body; `below` are the tasks that it may call."""

    def __init__(self, dice: Dice, below: list[ControlTask]) -> None:
        self._dice = dice
        self._below = below
        self._names: list[str] = []
        self._calls = 6

    def body(self) -> list[str]:
        """Returns the lines of a body."""
        lines = []
        for _ in range(self._dice.below(3)):
            name = f"v{len(self._names)}"
            lines.append(f"{name} = {self.value(2)}")
            self._names.append(name)
        if self._names and self._dice.below(2):
            return [*lines, f"return [{self.value(2)}, {self._dice.pick(self._names)}, {self.value(2)}]"]
        if self._dice.happens(4):
            return [*lines, f"if num(p) % 2: return {self.value(2)}", f"return {self.value(2)}"]
        return [*lines, f"return {self.value(3)}"]

    def async_body(self) -> list[str]:
        """Returns the lines of an async body."""
        lines: list[str] = []
        for _ in range(1 + self._dice.below(2)):
            name = f"v{len(self._names)}"
            one, other = self.lazy(2), self.lazy(1)
            lines += self._dice.pick(
                [
                    [f"{name} = num(await {one})"],
                    [f"{name} = num(await asyncio.gather({one}, {other}, return_exceptions=True))"],
                    ["try:", f"    {name} = num(await {one})", "except ValueError as e:", f"    {name} = num(e)"],
                    [f"{name} = {one}", f"{name}_ = num(await {name})"],
                    [f"{name} = await {one}", f"{name} = num({name}) if num({name}) % 2 else num(await {other})"],
                ]
            )
            self._names.append(name)
        return [*lines, f"return [{self._dice.pick(self._names)}, {self.value(1)}]"]

    # -- expressions --------------------------------------------------------------------------------------------------

    def value(self, depth: int) -> str:
        """Returns the text of a number, lazy or not."""
        plain = ["p", "1", "K", "num(q)", *self._names] if self._names else ["1", "K", "2"]
        if depth == 0 or self._dice.happens(4):
            return self._dice.pick(plain)
        return self.lazy(depth)

    def lazy(self, depth: int) -> str:
        """Returns the text of an expression."""
        dice = self._dice
        if depth == 0 or self._calls <= 0:
            return f"total({self.value(0)})"
        kinds = [
            self._call,
            self._call,
            self._choice,
            self._caught,
            self._caught,
            self._listed,
            self._own,
            self._passed,
            self._operation,
        ]
        return dice.pick(kinds)(depth - 1)

    def _call(self, depth: int) -> str:
        dice = self._dice
        self._calls -= 1
        if not self._below:
            return f"total({self.value(depth)}, {self.value(depth)})"
        task = f"«{dice.pick(self._below).uid}»"
        arguments = dice.pick([self.value(depth), f"{self.value(depth)}, {self.value(0)}"])
        if not dice.happens(3):
            return f"{task}({arguments})"
        changes = dice.pick(
            [
                f".update_context(a={dice.below(3)})",
                f".update_context({{'b': {{'c': {dice.below(3)}}}}})",
                ".options(cache_errors=False)",
                f".update_context(a={self.value(depth)})",
                ".export_options(cache_errors=False)",
                ".options(cache=False)",
                f".options(cache={self._truth(depth)})",
                ".export_options(cache=False)",
            ]
        )
        return f"{task}{changes}({arguments})"

    def _truth(self, depth: int) -> str:
        return f"({self.lazy(depth)} {self._dice.pick(['> 20', '% 2 == 0', '< 50'])})"

    def _choice(self, depth: int) -> str:
        parts = [self._truth(depth), self.value(depth)]
        if self._dice.happens(3):
            parts += [self._truth(depth), self.value(depth)]
        return f"num_(cond({', '.join([*parts, self.value(depth)])}))".replace("num_", "identity")

    def _caught(self, depth: int) -> str:
        dice = self._dice
        recoveries = ["rec", "rec", "rethrow", f"instead.partial({self.value(depth)})"]
        inner = self.lazy(depth)
        return dice.pick(
            [
                lambda: f"catch({inner}, {dice.pick(CLASSES)}, {dice.pick(recoveries)})",
                lambda: f"catch({inner}, {dice.pick(CLASSES)}, rec, {dice.pick(CLASSES)}, {dice.pick(recoveries)})",
                lambda: f"catch([{inner}, {self.value(depth)}], {dice.pick(CLASSES)}, rec)",
                lambda: f"catch_all([{inner}, {self.value(depth)}], {dice.pick(CLASSES)}, total)",
                lambda: f"catch_all([{inner}, {{'k': {self.value(depth)}}}])",
                lambda: f"catch(throw({dice.pick(RAISED)}({dice.below(4)})), {dice.pick(CLASSES)}, rec)",
                lambda: f"throw({dice.pick(RAISED)}({dice.below(4)}))",
                lambda: f"catch({inner}, Exception, rec)",
            ]
        )()

    def _listed(self, depth: int) -> str:
        dice = self._dice
        task = f"«{dice.pick(self._below).uid}»" if self._below else "total"
        one, other = self.value(depth), self.value(depth)
        return dice.pick(
            [
                f"seq([{one}, {other}])",
                f"map_({task}, [{one}, {other}])",
                f"map_(total, map_({task}, [{one}, {other}]))",
                f"map_({task}, numbers({one}))",
                f"fold(add, [{one}, {other}], 1)",
                f"fold(add, numbers({other}), {one})",
                f"zip_([{one}], [{other}, 1])",
                f"flat_map(numbers, [{one}, {other}])",
                f"starmap(add, [{{'a': {one}, 'b': {other}}}])",
                f"total([{one}, {other}])",
            ]
        )

    def _own(self, depth: int) -> str:
        one, other = self.value(depth), self.value(depth)
        return self._dice.pick(
            [
                f"first_even({one}, {other})",
                f"either({one}, {other})",
                f"settled({one}, {other})",
                "host()",
                "get_context('a', 4)",
                f"get_context('b.c', {one})",
                f"identity({one})",
                f"const({one}, {other})",
            ]
        )

    def _passed(self, depth: int) -> str:
        task = f"«{self._dice.pick(self._below).uid}»" if self._below else "total"
        one, other = self.value(depth), self.lazy(depth)
        return self._dice.pick(
            [
                f"apply({task}, {one})",
                f"apply({task}.partial({other}))",
                f"ignore({task}.partial({other}))",
                f"evaluated(quote({other}))",
                f"ignore(quote({other}))",
                f"force(delay({other}))",
                f"compose(total, {task})({one})",
            ]
        )

    def _operation(self, depth: int) -> str:
        form = self._dice.pick(["total({}) + 1", "total({}) * 3", "12 // (total({}) % 3)", "-total({})"])
        return f"({form.replace('{}', self.value(depth))})"
