"""What `redun doctor FILE` tells of the tasks of a workflow: what of their code is tracked, and what is not."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from importlib import metadata
from textwrap import dedent
from types import ModuleType
from typing import Any, Final

from redun.cli.findings import Finding, bad
from redun.cli.results import error_lines
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import RedunError, TaskError
from redun.core.fingerprint import fingerprint
from redun.core.objects import SourceRecord, TaskRecord
from redun.core.ownership import Ownership, principal
from redun.core.tasks import Task
from redun.core.values import Encoder
from redun.executor.checking.bodies import Body
from redun.executor.checking.world import asked
from redun.executor.code_changes import use_name
from redun.executor.loader import load_workflow

#: How a use is called, one of it.
_WORDS: Final = {
    "function": "function",
    "class": "class",
    "constant": "constant",
    "text": "definition",
    "task": "task",
    "import": "library name",
    "module": "module",
    "distribution": "package version",
}
_MODES: Final = {
    "closure": "its own text",
    "function": "its own text alone",
    "version": "its version alone",
}
#: What else a body asks the world for, which a check of the workflow lets pass: no change of it makes a task run again.
_OTHERS: Final = {
    "subprocess.run": "other programs",
    "subprocess.check_output": "other programs",
    "subprocess.Popen": "other programs",
    "os.system": "other programs",
    "requests.get": "the network",
    "urllib.request.urlopen": "the network",
}
_NEVER: Final = (
    "versions of installed packages (task(track_versions=[...]) tracks them), C code, the environment, the clock, "
    "random numbers, files other than redun.File"
)


def task_findings(target: str) -> Iterator[Finding]:
    """Yields what is tracked of each task of a workflow. Loading it runs its modules, as `redun run` does."""
    try:
        with redirect_stdout(sys.stderr):  # what the user's modules print is none of our lines
            workflow = load_workflow(target)
    except RedunError as error:
        yield bad("workflow", error)
        return
    except (Exception, SystemExit) as error:  # noqa: BLE001  the user's module may raise anything
        yield bad("workflow", TaskError(f"{target} cannot be loaded: {error_lines(error)[-1]}"))
        return
    count = f"{len(workflow.tasks)} task{'' if len(workflow.tasks) == 1 else 's'}"
    yield Finding("ok", "workflow", f"{target}: {count} in {workflow.module_name}")
    for task in workflow.tasks:
        try:
            yield from _task(task)
        except RedunError as error:
            yield bad(task.fullname, error)
    yield Finding("ok", "never tracked", _NEVER)


def _task(task: Task[..., Any]) -> Iterator[Finding]:
    encoder = Encoder(DEFAULT_FORMAT)
    found = fingerprint(task, encoder)
    record = found.record
    if record.code == "unknown":
        text = f"its source cannot be verified, so it always runs: {'; '.join(found.untracked)}"
        yield Finding("warn", task.fullname, text, "say task(version=...), and change that with its code")
        return
    counts = Counter(use.how for use in record.uses)
    parts = [_MODES.get(record.code, record.code)]
    parts += [_counted(counts[how], word) for how, word in _WORDS.items() if counts[how]]
    parts += [_counted(len(task.defaults), "default")] if task.defaults else []
    yield Finding("ok", task.fullname, f"tracked: {', '.join(parts)}")
    packages = _packages(task, record, encoder)
    if packages:
        yield Finding("ok", task.fullname, f"packages it uses: {', '.join(packages)}")
    for line in found.untracked:
        yield Finding("warn", task.fullname, f"not tracked: {line}")
    for place, asks, hint in _asked(task, record, encoder):
        yield Finding("warn", task.fullname, f"not tracked: {place} {asks}", hint)


def _trees(record: TaskRecord, encoder: Encoder) -> Iterator[tuple[str, ast.AST]]:
    """Yields (name for people, syntax) of the code that is tracked."""
    code = [use for use in record.uses if use.how in ("function", "class")]
    for place, digest in [("its body", record.text), *((use_name(use), use.target) for use in code)]:
        kind, payload = ("", b"") if digest is None else encoder.objects.get(digest, ("", b""))
        if kind == "source":
            with suppress(SyntaxError, ValueError, RecursionError):  # a lambda in the middle of a line, say
                yield place, ast.parse(dedent(SourceRecord.parse(payload).text))


def _asked(task: Task[..., Any], record: TaskRecord, encoder: Encoder) -> Iterator[tuple[str, str, str]]:
    """Yields (the code that asks, what it asks the world for, what to do instead), each once."""
    seen: set[tuple[str, str]] = set()
    for place, tree in _trees(record, encoder):
        scope = getattr(principal(task.func), "__globals__", {}) if place == "its body" else _scope(place)
        for asks, hint in _questions(tree, scope):
            if (place, asks) not in seen:
                seen.add((place, asks))
                yield place, asks, hint


def _questions(tree: ast.AST, scope: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = Body.of_function(node, scope, lambda *_: None, lambda _: None, None).expressions
            for found in asked(node, names):
                if found.rule != "code":  # the fingerprint says that
                    yield found.message, found.hint
        elif isinstance(node, ast.Attribute) and _dotted(node) in _OTHERS:
            name = _dotted(node)
            yield f"reads {_OTHERS[name]} ({name})", "pass what matters as an argument; a redun.File for a file"


def _packages(task: Task[..., Any], record: TaskRecord, encoder: Encoder) -> list[str]:
    """The installed packages that the tracked code names, each with its version and whether that is tracked."""
    own = Ownership.of(task)
    modules: set[str] = set()
    for place, tree in _trees(record, encoder):
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        scope = getattr(principal(task.func), "__globals__", {}) if place == "its body" else _scope(place)
        values = [scope[name] for name in names if name in scope]
        modules |= {
            str(getattr(value, "__name__" if isinstance(value, ModuleType) else "__module__", "")) for value in values
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module or "")
    tops = {module.partition(".")[0] for module in modules if module and not own.owns_module(module)}
    tops -= {*sys.stdlib_module_names, "redun", "None"}
    if not tops:
        return []
    known = metadata.packages_distributions()
    found = {name for top in tops for name in known.get(top, ())}
    return [f"{name} {metadata.version(name)} ({_tracked(name, task)})" for name in sorted(found)]


def _tracked(name: str, task: Task[..., Any]) -> str:
    return "its version is tracked" if name in task.track_versions else "its version is not tracked"


def _scope(place: str) -> dict[str, Any]:
    """The names that a helper sees: those of the module that is the beginning of its name."""
    while place and place not in sys.modules:
        place = place.rpartition(".")[0]
    return vars(sys.modules[place]) if place else {}


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "")
    return ".".join(reversed(parts))


def _counted(number: int, what: str) -> str:
    plural = {"class": "classes"}.get(what, f"{what}s")
    return f"{number} {what if number == 1 else plural}"
