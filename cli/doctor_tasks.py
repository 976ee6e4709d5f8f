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
#: What a body asks the world for by these names, which are found in its text; no change of it makes a task run again.
_WORLD: Final = {
    "os.environ": "the environment",
    "os.getenv": "the environment",
    "os.listdir": "a directory",
    "os.scandir": "a directory",
    "glob.glob": "a directory",
    "time.time": "the clock",
    "datetime.now": "the clock",
    "datetime.datetime.now": "the clock",
    "date.today": "the clock",
    "datetime.date.today": "the clock",
    "random.random": "random numbers",
    "random.choice": "random numbers",
    "random.randint": "random numbers",
    "random.shuffle": "random numbers",
    "np.random": "random numbers",
    "numpy.random": "random numbers",
    "uuid.uuid4": "random numbers",
    "subprocess.run": "other programs",
    "subprocess.check_output": "other programs",
    "subprocess.Popen": "other programs",
    "os.system": "other programs",
    "requests.get": "the network",
    "urllib.request.urlopen": "the network",
    "open": "a file that is no redun.File",
    "Path.read_text": "a file that is no redun.File",
    "Path.read_bytes": "a file that is no redun.File",
}
#: The methods by which a path is read, whatever it is called.
_READS: Final = {"read_text", "read_bytes", "iterdir", "glob", "rglob"}
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
    for place, asked in _asked(record, encoder):
        hint = "pass what matters as an argument; a redun.File for a file"
        yield Finding("warn", task.fullname, f"not tracked: {place} reads {asked}", hint)


def _trees(record: TaskRecord, encoder: Encoder) -> Iterator[tuple[str, ast.AST]]:
    """Yields (name for people, syntax) of the code that is tracked."""
    code = [use for use in record.uses if use.how in ("function", "class")]
    for place, digest in [("its body", record.text), *((use_name(use), use.target) for use in code)]:
        kind, payload = ("", b"") if digest is None else encoder.objects.get(digest, ("", b""))
        if kind == "source":
            with suppress(SyntaxError, ValueError, RecursionError):  # a lambda in the middle of a line, say
                yield place, ast.parse(dedent(SourceRecord.parse(payload).text))


def _asked(record: TaskRecord, encoder: Encoder) -> Iterator[tuple[str, str]]:
    """Yields (the code that asks, what it asks the world for), each once."""
    seen: set[tuple[str, str]] = set()
    for place, tree in _trees(record, encoder):
        for name in _names(tree):
            asked = _WORLD.get(name)
            if asked is not None and (place, asked) not in seen:
                seen.add((place, asked))
                yield place, f"{asked} ({name})"


def _names(tree: ast.AST) -> Iterator[str]:
    """Yields the dotted names that a function or class uses, where they may stand for something outside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = _dotted(node)
            yield name
            if node.attr in _READS and name not in _WORLD:
                yield f"Path.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


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
