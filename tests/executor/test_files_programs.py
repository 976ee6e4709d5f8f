"""Random workflows that write, edit in place, read, copy and remove a few paths, which change between runs, too: a run
with a store gives what one without gives on the same files, and leaves the same files behind.

All that is done to a path is in an order that results give; of what is not, nobody can say how it ends.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from hypothesis import given, note
from hypothesis import strategies as st

from redun.core.digest import DEFAULT_FORMAT, Digest
from redun.core.values import Encoder
from redun.store import Store
from tests.executor.flows import Flow, flow_in

PATHS = ("w/a.txt", "w/b.txt")

TASKS = """
from redun.core.files.sets import Dir

K = {constant}

def num(file): return int(file.read()) if file.exists() else 7

@task()
def write(path, number, after):
    ran("write", path, number)
    file = File(path)
    file.write(str(number))
    return file

@task()
def edit(file, number, after):
    ran("edit", file.path, number)
    file.write(str((num(file) + number + K) % 4))
    return file

@task()
def copy(source, path, after):
    ran("copy", source.path, path)
    File(path).write(str(num(source)))
    return File(path)

@task()
def remove(file, after):
    ran("remove", file.path)
    file.remove()
    return file

@task()
def name(path, after):
    ran("name", path)
    return File(path)

@task()
def fill(number, after):
    ran("fill", number)
    File("w/a.txt").write(str(number))
    File("w/b.txt").write(str((number + K) % 4))
    return Dir("w")

@task()
def look(folder):
    ran("look")
    return [file.read() for file in folder]

@task()
def read(file, after):
    ran("read", file.path)
    return file.read() if file.exists() else "none"

"""


@dataclass(frozen=True)
class Op:
    """Something done to a path. `inner`: in a task of its own."""

    kind: str
    path: int
    number: int = 0
    inner: bool = False


@dataclass
class Scope:
    """What a body knows of each path: the expression of its file and the results that tell what was done to it."""

    lines: list[str] = field(default_factory=list)
    files: dict[int, str] = field(default_factory=dict)
    after: dict[int, list[str]] = field(default_factory=dict)
    count: int = 0

    def new(self, expression: str) -> str:
        self.count += 1
        self.lines.append(f"v{self.count} = {expression}")
        return f"v{self.count}"

    def tokens(self, *paths: int) -> str:
        return f"[{', '.join(token for path in paths for token in self.after.get(path, []))}]"

    def settle(self, path: int, file: str) -> None:
        """The path has a new state: whoever looks at it now is what the next one waits for."""
        self.files[path] = file
        self.after[path] = [self.new(f"read({file}, 0)")]


@dataclass(frozen=True)
class Program:
    """What main does, in this order."""

    ops: tuple[Op, ...]
    constant: int = 1

    @property
    def meets(self) -> bool:
        """Whether it goes on from what was there before."""
        return any(op.kind == "name" for op in self.ops)

    def text(self) -> str:
        texts = [TASKS.format(constant=self.constant)]
        scope = Scope()
        inner: list[Op] = []
        for op in (*self.ops, None):
            if inner and (op is None or not op.inner):
                self._group(scope, inner, texts)
                inner = []
            if op is not None and op.inner:
                inner.append(op)
            elif op is not None:
                _do(scope, op)
        texts.append(_task("main", "", scope, _all(scope)))
        texts.append("@task()\ndef top(): return [main()]\n")
        return "\n".join(texts)

    def _group(self, scope: Scope, ops: list[Op], texts: list[str]) -> None:
        below = Scope(
            files={path: f"f{path}" for path in scope.files}, after={path: [f"t{path}"] for path in scope.after}
        )
        for op in ops:
            _do(below, op)
        number = len(texts)
        names = [f"f{path}" for path in scope.files] + [f"t{path}" for path in scope.after]
        given = [scope.files[path] for path in scope.files] + [scope.tokens(path) for path in scope.after]
        paths = sorted(below.files)
        result = ", ".join(f"{below.files[path]}, {below.tokens(path)}" for path in paths)
        texts.append(_task(f"group{number}", ", ".join(names), below, f"[{result}]"))
        group = scope.new(f"group{number}({', '.join(given)})")
        for place, path in enumerate(paths):
            scope.files[path] = f"{group}[{2 * place}]"
            scope.after[path] = [f"{group}[{2 * place + 1}]"]


def _all(scope: Scope) -> str:
    return f"[{', '.join([*scope.files.values(), *(scope.tokens(path) for path in scope.after)])}]"


def _task(name: str, parameters: str, scope: Scope, result: str) -> str:
    body = "".join(f"    {line}\n" for line in scope.lines)
    return f"@task()\ndef {name}({parameters}):\n    ran({name!r})\n{body}    return {result}\n"


def _do(scope: Scope, op: Op) -> None:
    path, other = op.path, 1 - op.path
    file = scope.files.get(path)
    kind = op.kind
    if file is None and kind not in ("write", "name", "fill"):
        kind = "write"
    if kind == "fill":
        token = scope.new(f"look(fill({op.number}, {scope.tokens(0, 1)}))")
        scope.after = {place: [token] for place in range(len(PATHS))}
        for place, name in enumerate(PATHS):
            scope.settle(place, scope.new(f"name({name!r}, [{token}])"))
        return
    if kind == "name" and file is not None:
        kind = "edit"
    if kind == "copy" and file is not None:
        made = scope.new(f"copy({file}, {PATHS[other]!r}, {scope.tokens(path, other)})")
        scope.settle(other, made)
        scope.after[path] = [*scope.after[path], *scope.after[other]]
        return
    if kind == "read":
        scope.after[path].append(scope.new(f"read({file}, {op.number})"))
        return
    calls = {
        "write": f"write({PATHS[path]!r}, {op.number}, {scope.tokens(path)})",
        "name": f"name({PATHS[path]!r}, {scope.tokens(path)})",
        "edit": f"edit({file}, {op.number}, {scope.tokens(path)})",
        "remove": f"remove({file}, {scope.tokens(path)})",
    }
    scope.settle(path, scope.new(calls[kind]))


# -- strategies -------------------------------------------------------------------------------------------------------

KINDS = ["write", "write", "edit", "edit", "edit", "copy", "read", "remove", "name", "fill"]
ops = st.builds(Op, st.sampled_from(KINDS), st.integers(0, 1), st.integers(0, 3), st.booleans())
programs = st.builds(Program, st.lists(ops, min_size=2, max_size=7).map(tuple), st.integers(0, 1))
#: Between runs: what is done to which path, and the content; and what becomes of the program.
changes = st.tuples(
    st.sampled_from(["", "", "delete", "tamper"]),
    st.integers(0, 1),
    st.integers(0, 3),
    st.sampled_from(["", "constant", "op", "swap", "back"]),
    ops,
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Program, tuple[str, int, int]]]:
    """Draws a program with its later versions, and what is done to the files before each run."""
    versions = [(draw(programs), ("", 0, 0))]
    for what, path, content, edit, op in draw(st.lists(changes, min_size=1, max_size=4)):
        program = versions[-1][0]
        place = content % len(program.ops)
        if edit == "constant":
            program = replace(program, constant=1 - program.constant)
        elif edit == "op":
            program = replace(program, ops=(*program.ops[:place], op, *program.ops[place + 1 :]))
        elif edit == "swap":
            program = replace(program, ops=(*program.ops[place:], *program.ops[:place]))
        elif edit == "back":
            program = versions[0][0]
        versions.append((program, (what, path, content)))
    return versions


class Evaluator:
    """One way to answer, with files and a store of its own."""

    def __init__(self, flow: Flow, folder: Path, store: Store, replay: Literal["whole", "step"]) -> None:
        self._flow, self.folder, self._store = flow, folder, store
        self._replay: Literal["whole", "step"] = replay
        (folder / "w").mkdir(parents=True)
        for path in PATHS:
            (folder / path).write_text("1")

    def run(self, threads: int) -> Digest:
        """Returns the id of what the program's root comes to."""
        os.chdir(self.folder)
        flow = self._flow
        flow.store, flow.replay, flow.threads = self._store, self._replay, threads
        return Encoder(DEFAULT_FORMAT).value(flow("top()"))

    def files(self) -> dict[str, str]:
        """Returns what is in the folder."""
        return {path.name: path.read_text() for path in (self.folder / "w").iterdir()}

    def change(self, what: str, path: str, content: int) -> None:
        """Does something to a file."""
        if what == "delete":
            (self.folder / path).unlink(missing_ok=True)
        elif what == "tamper":
            (self.folder / path).write_text(str(content))


def check(versions: list[tuple[Program, tuple[str, int, int]]], threads: int) -> None:
    """Runs each version in each way, beside a run without a store on the same files."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        stores = [stack.enter_context(Store.memory()) for _ in range(2)]
        flow = stack.enter_context(flow_in(folder, stores[0]))
        kept = [
            Evaluator(flow, folder / "step", stores[0], "step"),
            Evaluator(flow, folder / "whole", stores[1], "whole"),
        ]
        for number, (program, (what, path, content)) in enumerate(versions):
            note(f"--- version {number}, before it: {what} {PATHS[path]} {content}\n{program.text()}")
            flow.load(program.text())
            for evaluator in kept:
                evaluator.change(what, PATHS[path], content)
                cold = Evaluator(flow, folder / f"cold{number}", stack.enter_context(Store.memory()), "whole")
                for name in PATHS:
                    (cold.folder / name).unlink()
                shutil.copytree(evaluator.folder, cold.folder, dirs_exist_ok=True)
                expected = cold.run(1)
                assert evaluator.run(threads) == expected
                assert evaluator.files() == cold.files()
                shutil.rmtree(cold.folder)
            if not program.meets:
                before = kept[1].files()
                kept[1].run(threads)
                assert flow.ran == []
                assert kept[1].files() == before


@given(histories(), st.sampled_from([1, 4]))
def test_a_store_changes_neither_results_nor_files(versions: list[tuple[Program, tuple[str, int, int]]], threads: int):
    check(versions, threads)
