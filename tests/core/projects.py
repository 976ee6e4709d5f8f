"""Small projects of real modules for the tests of fingerprints: written, imported, edited, imported afresh."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import redun.core.classes  # noqa: F401  # values of the user's own classes have an encoding
from redun.core.digest import XXH3_128, Digest
from redun.core.fingerprint import Fingerprint, code_fingerprint, fingerprint
from redun.core.objects import SourceRecord, Use
from redun.core.ownership import Ownership
from redun.core.tasks import registry
from redun.core.values import Encoder

TASK = "from redun.core.tasks import task\n"


class Project:
    """A folder on the module search path, and what fingerprints of its tasks have put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.encoder = Encoder(XXH3_128)

    def write(self, files: dict[str, str]) -> None:
        """Writes modules, `pkg.mod` into a folder `pkg`."""
        for name, text in files.items():
            path = self.folder / (name if name.endswith(".py") else name.replace(".", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def load(self, name: str) -> ModuleType:
        """Imports a module as a new process would: what was imported from the folder before is forgotten."""
        self.forget()
        for known, task in list(registry._tasks.items()):
            if task.namespace != "redun":  # a new process knows nothing but the engine's
                del registry._tasks[known]
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def forget(self) -> None:
        """Forgets the modules that were imported from the folder."""
        for known, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
            if str(file).startswith(str(self.folder)):
                del sys.modules[known]

    def of(self, task: Any) -> Fingerprint:
        """Returns the fingerprint of a task."""
        return fingerprint(task, self.encoder)

    def code(self, obj: Any, own: Ownership | None = None) -> Digest:
        """Returns the fingerprint of a class or function."""
        return code_fingerprint(obj, self.encoder, own or Ownership.of(obj))[0]

    def __call__(self, text: str, *, name: str = "t", module: str = "w", **files: str) -> Fingerprint:
        """Writes the module `w` (the import of `task` is put before its text) and others, imports it as a new process
        would, and returns the fingerprint of its task `t`."""
        self.write({module: TASK + text, **{key.replace("__", "."): value for key, value in files.items()}})
        return self.of(getattr(self.load(module), name))

    def text(self, digest: Digest | None) -> str:
        """Returns the text of a source object that was put."""
        assert digest is not None
        kind, payload = self.encoder.objects[digest]
        assert kind == "source"
        return SourceRecord.parse(payload).text


def uses(found: Fingerprint) -> list[tuple[str, str]]:
    """Returns (how, name) of everything that a fingerprint lists."""
    return [(use.how, use.name) for use in found.record.uses]


def use(found: Fingerprint, name: str) -> Use:
    """Returns the one use of that name."""
    (one,) = [each for each in found.record.uses if each.name == name]
    return one


@contextmanager
def made_in(folder: Path) -> Iterator[Project]:
    """Gives a project in the folder and afterwards leaves the process as it was."""
    path, tasks = list(sys.path), dict(registry._tasks)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # two edits in one second must both be seen
    sys.path.insert(0, str(folder))
    project = Project(folder)
    try:
        yield project
    finally:
        sys.dont_write_bytecode = writes
        sys.path[:] = path
        project.forget()
        registry._tasks.clear()
        registry._tasks.update(tasks)
