"""Random workflows as Python text, and random edits of them.

A program has constants, helpers and tasks; helpers use lower-numbered helpers, tasks call lower-numbered tasks (or
themselves with a smaller number), so every run ends. Whatever a task is given, `num` makes a number of it, so no run
fails by the types of its values. Each body says that it runs, and on what.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

PRELUDE = '''
def num(x):
    """A number made of any value."""
    if isinstance(x, File):
        return num(x.read())
    if isinstance(x, str):
        return sum(map(ord, x)) % 1009
    if isinstance(x, dict):
        return num([part for pair in x.items() for part in pair])
    if isinstance(x, (list, tuple)):
        return sum((place + 1) * num(part) for place, part in enumerate(x)) % 1009
    return 7 if x is None else int(x) % 1009

@task()
def total(*xs):
    ran("total", *xs)
    return num(xs)

@task(nout=3)
def three(x):
    ran("three", x)
    return [x, num(x) % 3, total(x)]

@task()
def apply(function, *xs):
    ran("apply", function.__name__, *xs)
    return function(xs)

@task()
def read(file):
    ran("read", file)
    return file.read()
'''

#: Bodies of tasks: {h} is a helper, {k} a constant, {a} and {b} lower tasks, {t} the task itself, {n} a literal.
LEAVES = {
    "number": "return (num(p) * {n} + num(q) + {h}(p) + {k}) % 97",
    "list": "return [num(p) % 5, {{'k': num(q)}}, ({h}(p), {n})]",
    "write": "file = File(f'out/{t}_{{num(p)}}.txt')\n    file.write(str(({h}(p) + {n}) % 97))\n    return file",
    "recursion without others": "count = num(p) % 6\n    return {n} if count == 0 else total({t}(count - 1), {k})",
    "input": "return total(read(File('in.txt')), num(p), {n})",
}
CALLERS = {
    "pair": "return [{a}(num(p) % 7), {b}(p)]",
    "nest": "return {{'a': ({a}(p), [{b}(num(p) + {n})]), 'b': num(q)}}",
    "share": "value = {a}(p)\n    return [value, {b}(value), value]",
    "chain": "return {a}({b}({a}(p)))",
    "operators": "return total({a}(p)) * {n} + total({b}(num(p) % 5)) - {k}",
    "branch": "if num(p) % 2:\n        return {a}(num(p) // 2)\n    return {b}({h}(p) % 5)",
    "loop": "return [{a}(i) for i in range(num(p) % 4)]",
    "recursion": "count = num(p) % 6\n    return {n} if count == 0 else total({t}(count - 1), {a}(count))",
    "alias": "return {a}(p)",
    "unpack": "x, y, z = three({a}(p))\n    return [x, total(y, z), {b}(q)]",
    "function": "return apply({h}, p, {a}(p))",
    "method": "return total({a}(p)).bit_length() + {n}",
    "file": "file = {a}(p)\n    return (file, {b}(file), total(file, {n}))",
    "sets": "return [sorted([{n}, num(p)]), {a}(p), {{'x': {{'y': [{b}({k})]}}}}]",
}
FORMS = {**LEAVES, **CALLERS}
#: Programs without these forms read and write no files.
FILES = ("write", "input")
OPTIONS = ["", "cache=False", "cache_scope='CSE'", "cache_scope='NONE'"]
#: Such a task asks not to look at files inside it: what it gives may be old, and is meant to be.
SHALLOW = "check_valid='shallow'"
DEFAULTS = ["None", "{n}", "{k}", "total({n})", "total(1) + {n}", "[{n}, {k}]"]


@dataclass(frozen=True)
class TaskModel:
    """One task of a program; `a`, `b` and `helper` are numbers, taken modulo what there is."""

    form: str
    literal: int = 1
    helper: int = 0
    constant: int = 0
    a: int = 0
    b: int = 0
    option: str = ""
    default: str = "None"
    renamed: bool = False
    comment: bool = False


@dataclass(frozen=True)
class Program:
    """A workflow: constants, helpers as (literal, number of the constant, number of a lower helper), tasks."""

    constants: tuple[int, ...]
    helpers: tuple[tuple[int, int, int], ...]
    tasks: tuple[TaskModel, ...]
    arguments: tuple[int, int] = (3, 4)

    def name(self, number: int) -> str:
        """Returns the name of a task."""
        return f"t{number}" + ("_renamed" if self.tasks[number].renamed else "")

    def pieces(self) -> Iterator[tuple[str, str]]:
        """Yields the name and text of each constant, helper and task."""
        for number, value in enumerate(self.constants):
            yield f"K{number}", f"K{number} = {value}"
        for number, (literal, constant, lower) in enumerate(self.helpers):
            below = f" + h{lower % number}(x)" if number else ""
            body = f"return (num(x) * {literal} + K{constant % len(self.constants)}{below}) % 89"
            yield f"h{number}", f"def h{number}(x):\n    {body}"
        for number in range(len(self.tasks)):
            yield self.name(number), self._task(number)

    def _task(self, number: int) -> str:
        model, name = self.tasks[number], self.name(number)
        form = model.form if number or model.form in LEAVES else "number"
        words = {
            "n": model.literal,
            "h": f"h{model.helper % len(self.helpers)}",
            "k": f"K{model.constant % len(self.constants)}",
            "a": self.name(model.a % number) if number else "",
            "b": self.name(model.b % number) if number else "",
            "t": name,
        }
        comment = "    # what it does\n\n" if model.comment else ""
        head = f"@task({model.option})\ndef {name}(p, q={model.default.format(**words)}):\n{comment}"
        return f"{head}    ran({name!r}, p, q)\n    {FORMS[form].format(**words)}"

    def text(self) -> str:
        """Returns the workflow."""
        return "\n\n".join([PRELUDE, *(text for _, text in self.pieces())]) + "\n"

    def root(self) -> str:
        """Returns the expression that is run."""
        last = len(self.tasks) - 1
        first, second = self.arguments
        return f"[{self.name(last)}({first}), {self.name(last // 2)}({second})]"

    def code(self) -> dict[str, str]:
        """Returns all text that the code of each task and helper is made of, by its name: its own, that of the helpers
        and constants it names, and theirs. Not that of tasks it calls."""
        texts = dict(self.pieces())
        found = {}
        for name in texts:
            seen: dict[str, None] = {}
            waiting = [name]
            while waiting:
                part = waiting.pop()
                if part not in seen:
                    seen[part] = None
                    waiting += [word for word in re.findall(r"\b[Kh]\d+\b", texts[part]) if word in texts]
            found[name] = "\n".join(texts[part] for part in sorted(seen)).replace("    # what it does\n\n", "")
        return found


#: Most versions of a history.
VERSIONS = 5
#: What an edit may touch.
EDITS = ["literal", "form", "callee", "option", "default", "name", "comment", "helper", "constant", "arguments"]


# -- strategies -------------------------------------------------------------------------------------------------------

_small = st.integers(0, 9)


def _forms(files: bool) -> st.SearchStrategy[str]:
    return st.sampled_from([form for form in FORMS if files or form not in FILES])


def _options(files: bool) -> st.SearchStrategy[str]:
    return st.sampled_from(["", "", "", *OPTIONS] if files else ["", "", "", *OPTIONS, SHALLOW])


def models(*, files: bool) -> st.SearchStrategy[TaskModel]:
    """Draws tasks."""
    return st.builds(
        TaskModel,
        form=_forms(files),
        literal=_small,
        helper=_small,
        constant=_small,
        a=_small,
        b=_small,
        option=_options(files),
        default=st.sampled_from(DEFAULTS),
    )


def programs(*, files: bool) -> st.SearchStrategy[Program]:
    """Draws programs, with tasks that read and write files or without."""
    return st.builds(
        Program,
        constants=st.lists(_small, min_size=1, max_size=3).map(tuple),
        helpers=st.lists(st.tuples(_small, _small, _small), min_size=1, max_size=3).map(tuple),
        tasks=st.lists(models(files=files), min_size=2, max_size=7).map(tuple),
        arguments=st.tuples(_small, _small),
    )


@st.composite
def edits(draw: st.DrawFn, program: Program, *, files: bool) -> Program:
    """Draws an edit of a program: of a task, a helper, a constant, or of what is run."""
    kind = draw(
        st.sampled_from(["literal", "form", "callee", "option", "default", "name", "comment", "helper", "other"])
    )
    if kind == "other":
        kind = draw(st.sampled_from(EDITS))
    if kind == "arguments":
        return replace(program, arguments=draw(st.tuples(_small, _small)))
    if kind == "constant":
        place = draw(st.integers(0, len(program.constants) - 1))
        return replace(program, constants=_with(program.constants, place, draw(_small)))
    if kind == "helper":
        place = draw(st.integers(0, len(program.helpers) - 1))
        return replace(program, helpers=_with(program.helpers, place, draw(st.tuples(_small, _small, _small))))
    place = draw(st.integers(0, len(program.tasks) - 1))
    model = program.tasks[place]
    changed = {
        "literal": lambda: replace(model, literal=draw(_small)),
        "form": lambda: replace(model, form=draw(_forms(files))),
        "callee": lambda: replace(model, a=draw(_small), b=draw(_small)),
        "option": lambda: replace(model, option=draw(_options(files))),
        "default": lambda: replace(model, default=draw(st.sampled_from(DEFAULTS))),
        "name": lambda: replace(model, renamed=not model.renamed),
        "comment": lambda: replace(model, comment=not model.comment),
    }[kind]()
    return replace(program, tasks=_with(program.tasks, place, changed))


def _with(items: tuple[Any, ...], place: int, item: Any) -> tuple[Any, ...]:
    return (*items[:place], item, *items[place + 1 :])


@st.composite
def histories(draw: st.DrawFn, *, files: bool) -> list[Program]:
    """Draws a program and its later versions; some are earlier ones again."""
    versions = [draw(programs(files=files))]
    for _ in range(draw(st.integers(1, VERSIONS - 1))):
        if len(versions) > 1 and draw(st.integers(0, 3)) == 0:
            versions.append(draw(st.sampled_from(versions[:-1])))
        else:
            versions.append(draw(edits(versions[-1], files=files)))
    return versions
