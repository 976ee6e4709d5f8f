"""Random workflows over everything that a cache can miss, and random edits of them.

Broader than `programs`, which keeps to values and helpers: here are classes with methods, two modules, imports inside
bodies, tasks, files and instances as arguments, defaults and results, defaults that call tasks, operations on what is
lazy, options at calls, and tasks that come and go. Every program runs without failing and ends: a task calls tasks
below it, or itself with a smaller number; whoever writes a file writes to a path of its own.

In the text of bodies a task stands as `«number»`, so that it can be renamed.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

#: Names of the inputs that are named in bodies and defaults.
INPUTS = ("in0", "in1")
KINDS = ("int", "list", "file", "box", "task")

_MAIN = """\
from dataclasses import dataclass
from zlib import crc32

import parts
from parts import far

{constants}

@dataclass
class Box:
    size: int

    def weigh(self):
        return {weigh}

{helpers}

def number(file):
    return int(file.read()) if file.exists() else -1

def slot(*where):
    return f"out/{{crc32(repr(where).encode())}}"

def put(path, number):
    file = File(path)
    file.write(str(number))
    return file

def made(name, *args):
    return globals()[name](*args)

def unrolled(pair):
    try:
        first, second = pair
    except Exception:
        return pair[0]
    return first + 10 * second

{tasks}
"""

_PARTS = """\
P0 = {constant}

def far(x):
    return {far}

def later(x):
    return {later}
"""


class Dice:
    """Draws what the simplest is the number 0 of."""

    def __init__(self, below: Callable[[int], int]) -> None:
        self.below = below

    def pick(self, items: Sequence[T]) -> T:
        """Draws one of some; the first is the simplest."""
        return items[self.below(len(items))]

    def happens(self, one_in: int) -> bool:
        """Draws something rare, which is not the simplest."""
        return self.below(one_in) == one_in - 1


@dataclass
class Param:
    """A parameter, and the text of its default, if any."""

    name: str
    kind: str
    default: str | None = None


@dataclass
class TaskText:
    """A task. Its number is its for ever; its name may change."""

    uid: int
    name: str
    params: list[Param]
    result: str
    lines: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Returns the definition, with tasks by number."""
        params = ", ".join(p.name if p.default is None else f"{p.name}={p.default}" for p in self.params)
        options = ", ".join(f"{name}={value}" for name, value in sorted(self.options.items()))
        said = ", ".join([repr(self.name), *(p.name for p in self.params)])
        body = "".join(f"    {line}\n" for line in [f"ran({said})", *self.lines])
        return f"@task({options})\ndef {self.name}({params}):\n{body}"

    def uses(self, uid: int) -> bool:
        """Returns whether its text mentions a task."""
        return f"«{uid}»" in self.text()


class Workflow:
    """A workflow that is being edited.

    Attributes:
        shallow: whether tasks and calls may be `check_valid="shallow"`: then results may be old on purpose.
        fails: whether bodies may raise.
        tasks: each calls only those before it; the last is the main one.
        root: the expression that is run.
    """

    def __init__(self, dice: Dice, *, shallow: bool = False, fails: bool = False, tasks: int = 4) -> None:
        self.dice = dice
        self.fails = fails
        self.shallow = shallow
        self.constants = {"K0": 1, "K1": 2}
        self.helpers = {"h0": "(x * 2 + K0) % 97", "h1": "(h0(x) + 1) % 97"}
        self.parts = {"constant": "5", "far": "(x + P0) % 97", "later": "(far(x) * 2) % 97"}
        self.weigh = "(self.size * 3 + K1) % 97"
        self.tasks: list[TaskText] = []
        self.numbers = 0
        self.sites = 0
        #: Arguments without names of the caller in them that tasks have been called with: (task, text of each).
        self.spoken: list[tuple[int, dict[str, str]]] = []
        for _ in range(tasks):
            self.add(len(self.tasks))
        self.add(len(self.tasks), main=True)
        self.root = ""
        self.reroot()

    def copy(self) -> Workflow:
        """Returns what a later `revert` goes back to."""
        other = copy.copy(self)
        other.constants, other.helpers, other.parts = dict(self.constants), dict(self.helpers), dict(self.parts)
        other.tasks = copy.deepcopy(self.tasks)
        other.spoken = list(self.spoken)
        return other

    # -- text ---------------------------------------------------------------------------------------------------------

    def modules(self) -> dict[str, str]:
        """Returns the text of the workflow and that of the module `parts` that it imports."""
        main = _MAIN.format(
            constants="\n".join(f"{name} = {value}" for name, value in self.constants.items()),
            weigh=self.weigh,
            helpers="\n\n".join(f"def {name}(x):\n    return {text}" for name, text in self.helpers.items()),
            tasks="\n\n".join(task.text() for task in self.tasks),
        )
        return {"main": self.named(main), "parts": _PARTS.format(**self.parts)}

    def named(self, text: str) -> str:
        """Returns a text with the names of tasks in the place of their numbers."""
        names = {task.uid: task.name for task in self.tasks}
        return re.sub("«(\\d+)»", lambda found: names[int(found[1])], text)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def add(self, place: int, *, main: bool = False) -> TaskText:
        """Adds a task there and returns it."""
        dice, uid = self.dice, self.numbers
        self.numbers += 1
        params = [Param("a0", "int")]
        if not main:
            params += [Param(f"a{i}", dice.pick(KINDS)) for i in range(1, 1 + dice.below(3))]
        task = TaskText(uid, "main" if main else f"t{uid}", params, "any" if main else dice.pick(("int", *KINDS)))
        below = self.tasks[:place]
        for at in range(len(params) - 1, 0, -1):
            if dice.below(3) == 0:
                break
            params[at].default = Maker(self, task, below).default(params[at].kind)
        self.tasks.insert(place, task)
        self.rewrite(task)
        return task

    def rewrite(self, task: TaskText) -> None:
        """Gives a task another body."""
        below = self.tasks[: self.tasks.index(task)]
        task.lines = Maker(self, task, below).body()

    def live(self) -> list[TaskText]:
        """Returns the tasks that the main one leads to, itself first."""
        found = [self.tasks[-1]]
        for task in found:
            found += [other for other in self.tasks if other not in found and task.uses(other.uid)]
        return found

    def size(self) -> int:
        """Returns about how many jobs a run has when nothing is shared: options at calls may forbid sharing."""
        sizes: dict[int, int] = {}
        for task in self.tasks:
            text = task.text()
            inner = sum(size * text.count(f"«{uid}»") for uid, size in sizes.items())
            sizes[task.uid] = (1 + inner) * (4 if task.uses(task.uid) else 1)
        return sizes[self.tasks[-1].uid] * self.root.count("«")

    def reroot(self) -> None:
        """Gives the workflow another expression to run."""
        dice, main = self.dice, self.tasks[-1]
        call = f"«{main.uid}»({dice.below(4)})"
        form = dice.pick(["{}", "[{}, {}]", "{{'x': ({},)}}"])
        self.root = form.replace("{}", call, 1).replace("{}", f"«{main.uid}»({dice.below(4)})").replace("{{", "{")
        self.root = self.root.replace("}}", "}")

    # -- edits --------------------------------------------------------------------------------------------------------

    def edit(self) -> str:
        """Makes a random edit and returns what it was."""
        dice = self.dice
        edits: list[Callable[[], str]] = [
            self._body,
            self._helper,
            self._constant,
            self._method,
            self._part,
            self._default,
            self._option,
            self._rename,
            self._insert,
            self._remove,
            self._arguments,
        ]
        return dice.pick(edits)()

    def _body(self) -> str:
        task = self.dice.pick(self.live())
        self.rewrite(task)
        return f"body of {task.name}"

    def _helper(self) -> str:
        name = self.dice.pick(list(self.helpers))
        number = self.dice.below(9)
        self.helpers[name] = f"(x * {number} + K0) % 97" if name == "h0" else f"(h0(x) + {number}) % 97"
        return f"helper {name}"

    def _constant(self) -> str:
        name = self.dice.pick(list(self.constants))
        self.constants[name] = self.dice.below(9)
        return f"constant {name}"

    def _method(self) -> str:
        self.weigh = f"(self.size * {self.dice.below(9)} + {self.dice.pick(['K1', 'h0(1)', 'far(2)'])}) % 97"
        return "a method"

    def _part(self) -> str:
        name, number = self.dice.pick(list(self.parts)), self.dice.below(9)
        forms = {"constant": f"{number}", "far": f"(x + P0 * {number}) % 97", "later": f"(far(x) + {number}) % 97"}
        self.parts[name] = forms[name]
        return f"{name} of the other module"

    def _default(self) -> str:
        found = [(task, p) for task in self.live() for p in task.params if p.default is not None]
        if not found:
            return self._body()
        task, param = self.dice.pick(found)
        param.default = Maker(self, task, self.tasks[: self.tasks.index(task)]).default(param.kind)
        return f"default {param.name} of {task.name}"

    def _option(self) -> str:
        task = self.dice.pick(self.live())
        choices = [("cache", "False")]
        if self.shallow:
            choices.append(("check_valid", "'shallow'"))
        if task.result == "list":
            choices.append(("nout", "2"))
        name, value = self.dice.pick(choices[::-1])
        if task.options.pop(name, None) is None:
            task.options[name] = value
        return f"option {name} of {task.name}"

    def _rename(self) -> str:
        task = self.dice.pick(self.live())
        old, task.name = task.name, f"{task.name.partition('_')[0]}_{self.dice.below(3)}"
        return f"{old} is now {task.name}"

    def _insert(self) -> str:
        if len(self.tasks) > 7:
            return self._body()
        place = self.dice.below(len(self.tasks))
        task = self.add(place)
        users = [user for user in self.live() if self.tasks.index(user) > place]
        user = self.dice.pick(users)
        user.lines = Maker(self, user, [task, *self.tasks[: self.tasks.index(user)]], favourite=task).body()
        return f"new task {task.name}, called by {user.name}"

    def _remove(self) -> str:
        if len(self.tasks) < 3:
            return self._body()
        task = self.dice.pick(self.tasks[:-1])
        self.tasks.remove(task)
        for user in self.tasks:
            for param in user.params:
                if param.default is not None and f"«{task.uid}»" in param.default:
                    param.default = Maker(self, user, self.tasks[: self.tasks.index(user)]).default(param.kind)
            if user.uses(task.uid):
                self.rewrite(user)
        return f"{task.name} is gone"

    def _arguments(self) -> str:
        self.reroot()
        return f"arguments: {self.root}"


class Maker:
    """Makes the text of one body. What is *lazy* may hold calls of tasks; what is not can be computed on the spot."""

    def __init__(
        self, flow: Workflow, task: TaskText, below: Sequence[TaskText], favourite: TaskText | None = None
    ) -> None:
        self._flow = flow
        self._dice = flow.dice
        self._task = task
        self._below = below
        self._favourite = favourite
        self._calls = 3

    def body(self) -> list[str]:
        """Returns the lines of a body."""
        dice, kind = self._dice, self._task.result
        if kind == "any":
            return self._main()
        forms: list[Callable[[], list[str]]] = [self._plain, self._branch, self._import]
        if kind == "int":
            forms.append(self._recursion)
        if kind == "list":
            forms.append(self._shared)
        lines = dice.pick(forms)()
        lists = [p.name for p in self._task.params if p.kind == "list"]
        if lists and dice.happens(3):
            lines = [f"{lists[0]}.sort(reverse=True)", *lines]
        if self._flow.fails and dice.happens(4):
            lines = [f"if {self.number(1)} % 5 == {dice.below(5)}: raise ValueError('x')", *lines]
        return lines

    def _main(self) -> list[str]:
        """Calls of what nobody calls yet, and of others."""
        used = "".join(task.text() for task in self._below)
        free = [task for task in self._below if f"«{task.uid}»" not in used]
        if self._favourite is not None:
            free.append(self._favourite)
        picked = [*free, *(self._dice.pick(self._below) for _ in range(self._dice.below(3)) if self._below)]
        return [f"return [{', '.join(self._call(task, 2) for task in picked)}]"]

    def _plain(self) -> list[str]:
        return [f"return {self.value(self._task.result, 2)}"]

    def _branch(self) -> list[str]:
        kind, condition = self._task.result, self.number(1)
        return [f"if {condition} % 2:", f"    return {self.value(kind, 1)}", f"return {self.value(kind, 1)}"]

    def _import(self) -> list[str]:
        if self._task.result == "int":
            return ["from parts import later", f"return {self.value('int', 1)} + later({self.number(1)})"]
        return ["from parts import later", f"if later({self.number(1)}) % 3 == 0:", *self._inner(), *self._plain()]

    def _inner(self) -> list[str]:
        return [f"    {line}" for line in self._plain()]

    def _recursion(self) -> list[str]:
        own, rest = f"«{self._task.uid}»", "".join(f", {p.name}" for p in self._task.params[1:])
        return [
            "if a0 % 4 == 0:",
            f"    return {self.value('int', 1)}",
            f"return {own}(a0 % 4 - 1{rest}) + {self.value('int', 1)}",
        ]

    def _shared(self) -> list[str]:
        return [f"one = {self.value('int', 2)}", "return [one, one]"]

    # -- values -------------------------------------------------------------------------------------------------------

    def default(self, kind: str) -> str:
        """Returns the text of a default."""
        plain = {
            "int": ["1", "K0", "h0(2)"],
            "list": ["[1, 2]", "[K0, 3]"],
            "file": [f"File({name!r})" for name in INPUTS],
            "box": ["Box(1)", "Box(K1)"],
            "task": [f"«{task.uid}»" for task in self._functions()] or ["None"],
        }[kind]
        calls = [task for task in self._below if task.result == kind and kind != "task"]
        if calls and self._dice.happens(3):
            task = self._dice.pick(calls)
            return f"«{task.uid}»({', '.join(self._constant_arg(p) for p in task.params if p.default is None)})"
        return self._dice.pick(plain)

    def _constant_arg(self, param: Param) -> str:
        simplest = {"int": "2", "list": "[3, 1]", "file": "File('in0')", "box": "Box(2)", "task": "None"}
        return simplest[param.kind]

    def value(self, kind: str, depth: int, *, lazy: bool = True) -> str:
        """Returns the text of an expression of that kind."""
        makers: dict[str, Callable[[int, bool], list[Callable[[], str]]]] = {
            "int": self._ints,
            "list": self._lists,
            "file": self._files,
            "box": self._boxes,
            "task": self._tasks,
        }
        choices = makers[kind](depth, lazy)
        choices = [lambda p=p: p.name for p in self._task.params if p.kind == kind] + choices
        if lazy and depth > 0 and self._calls > 0:
            calls = [task for task in self._below if task.result == kind]
            if self._favourite is not None and self._favourite.result == kind:
                calls = [self._favourite]
            if calls and self._dice.below(3):
                return self._call(self._dice.pick(calls), depth)
        return self._dice.pick(choices)()

    def number(self, depth: int) -> str:
        """Returns the text of a number that is no expression."""
        return self.value("int", depth, lazy=False)

    def _ints(self, depth: int, lazy: bool) -> list[Callable[[], str]]:
        dice = self._dice
        found: list[Callable[[], str]] = [lambda: str(dice.below(5)), lambda: dice.pick(["K0", "K1", "parts.P0"])]
        if depth > 0:
            found += [
                lambda: f"{dice.pick(['h0', 'h1', 'far'])}({self.number(depth - 1)})",
                lambda: f"({self.value('int', depth - 1, lazy=lazy)} {dice.pick('+-*')} {self.number(depth - 1)})",
            ]
        for param in self._task.params:
            found += [lambda text=text: text for text in _readings(param)]
        if lazy and depth > 0 and self._calls > 0 and self._dice.below(2):
            return self._operations(depth) or found
        return found

    def _operations(self, depth: int) -> list[Callable[[], str]]:
        found: list[Callable[[], str]] = []
        found += [lambda p=p: self._apply(p.name, depth) for p in self._task.params if p.kind == "task"]
        for task in self._below:
            forms = {
                "list": ["unrolled({})", "{}[0]"],
                "box": ["{}.size", "{}.weigh()"],
                "file": ["{}.exists()"],
                "int": ["-{}", "({} & 7)", "abs({})", "({} > 3)", "({} | 1)"],
            }.get(task.result, [])
            found += [lambda task=task, form=form: form.replace("{}", self._call(task, depth)) for form in forms[:3]]
        return found

    def _apply(self, name: str, depth: int) -> str:
        self._calls -= 1
        return f"({name}({self.value('int', depth - 1)}) if {name} else 0)"

    def _lists(self, depth: int, lazy: bool) -> list[Callable[[], str]]:
        inner = max(depth - 1, 0)
        return [lambda: f"[{self.value('int', inner, lazy=lazy)}, {self.value('int', inner, lazy=lazy)}]"]

    def _files(self, depth: int, lazy: bool) -> list[Callable[[], str]]:
        return [lambda: f"File({self._dice.pick(INPUTS)!r})", lambda: self._put(max(depth - 1, 0))]

    def _put(self, depth: int) -> str:
        self._flow.sites += 1
        where = ", ".join([str(self._task.uid), str(self._flow.sites), *(p.name for p in self._task.params)])
        return f"put(slot({where}), {self.number(depth)})"

    def _boxes(self, depth: int, lazy: bool) -> list[Callable[[], str]]:
        inner = max(depth - 1, 0)
        return [
            lambda: f"Box({self.value('int', inner, lazy=lazy)})",
            lambda: f"made('Box', {self.number(inner)})",
        ]

    def _tasks(self, depth: int, lazy: bool) -> list[Callable[[], str]]:
        return [lambda uid=task.uid: f"«{uid}»" for task in self._functions()] or [lambda: "None"]

    def _functions(self) -> list[TaskText]:
        """Tasks that one number is enough for and that give a number."""
        return [t for t in self._below if t.result == "int" and all(p.default is not None for p in t.params[1:])]

    def _call(self, task: TaskText, depth: int) -> str:
        """Calls of one task with the same arguments come up often, some with a default in so many words."""
        self._calls -= 1
        dice, spoken = self._dice, self._flow.spoken
        known = {str(other.uid) for other in self._below}
        said = [a for uid, a in spoken if uid == task.uid and known.issuperset(re.findall("«(\\d+)»", str(a)))]
        if said and dice.below(2):
            given = dict(dice.pick(said))
            for param in task.params:
                if param.default is not None and param.name not in given and dice.below(2):
                    given[param.name] = param.default
                elif given.get(param.name) == param.default and dice.below(2):
                    given.pop(param.name, None)
        else:
            given = {}
            for param in task.params:
                if param.default is None or not dice.below(2):
                    given[param.name] = self.value(param.kind, depth - 1)
        if not any(re.search(r"\b(a\d|one)\b(?!=)", text) or "put(" in text for text in given.values()):
            spoken.append((task.uid, given))
        return f"«{task.uid}»{self._options()}({self._arguments(task, given)})"

    def _arguments(self, task: TaskText, given: dict[str, str]) -> str:
        args: list[str] = []
        named = False
        for param in task.params:
            named = named or param.name not in given or self._dice.happens(6)
            if param.name in given:
                args.append(f"{param.name}={given[param.name]}" if named else given[param.name])
        return ", ".join(args)

    def _options(self) -> str:
        if not self._dice.happens(12):
            return ""
        off = "cache=False"
        shallow = "check_valid='shallow'"
        return f".options({self._dice.pick([shallow, off]) if self._flow.shallow else off})"


def _readings(param: Param) -> list[str]:
    """What makes a number of an argument on the spot."""
    name = param.name
    return {
        "int": [],
        "list": [f"sum({name})", f"({name}[0] * 2 + {name}[1])"],
        "file": [f"number({name})"],
        "box": [f"{name}.weigh()", f"{name}.size"],
        "task": [],
    }[param.kind]
