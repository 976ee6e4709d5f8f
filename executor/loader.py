"""Loading workflows: a file or a module by name, and the tasks that it defines."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from redun.core.errors import NotFound, TaskError
from redun.core.sources import register_source
from redun.core.tasks import Task, registry


@dataclass(frozen=True, slots=True)
class Workflow:
    """A loaded workflow: the module's name and the tasks that became known by loading it, in order of their names."""

    module_name: str
    tasks: list[Task[..., Any]]


def load_workflow(name: str) -> Workflow:
    """Loads `path/to/workflow.py` or `package.module` and returns its tasks.

    The directory of a file, or the working directory for a module, comes first on the path, as with `python`.

    Raises:
        NotFound: if there is no such file or module.
        TaskError: if the name of the file cannot be that of a module.
        Exception: whatever the user's own code raises while it is imported.
    """
    before = {id(task) for task in registry}
    is_file = name.endswith(".py") or "/" in name or Path(name).is_dir()
    module = _load_file(Path(name)) if is_file and not _is_package(name) else _load_module(name)
    found = [task for task in registry if id(task) not in before and task.namespace != "redun"]
    if not found:
        found = [task for task in registry if task.module == module.__name__]
    return Workflow(module.__name__, sorted(found, key=lambda task: task.fullname))


def load_program(file: str, package: str) -> None:
    """Loads, in another process, the file that is the program of the run: under the name of the file, and not as
    `__main__`. `package`: the one that it is of, where `python -m` started it; else empty.

    Raises:
        NotFound, TaskError: as `load_workflow`.
        Exception: whatever its code raises.
    """
    if package:
        importlib.import_module(package)
    _load_file(Path(file), package)


def _is_package(name: str) -> bool:
    return name.isidentifier() and Path(name, "__init__.py").is_file()


def _load_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise NotFound(f"{name!r} is neither a file nor a module", hint="name a file ending in .py, or a module")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise
        raise NotFound(
            f"no module is named {name}", hint="name a file ending in .py, or a module on the path"
        ) from None


def _load_file(path: Path, package: str = "") -> ModuleType:
    full = path.resolve()
    if full.is_dir():
        raise NotFound(f"{path} is a directory", hint="name the file that defines the tasks")
    try:
        data = full.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", hint="name a Python file or a module that defines tasks") from None
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    stem = full.stem
    loaded = sys.modules.get(stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(full):
        return loaded
    if not stem.isidentifier():
        raise TaskError(
            f"{path}: a workflow is imported under its file name", hint="rename it to letters, digits and _"
        )
    return _execute(full, stem, data, package)


def _execute(full: Path, name: str, data: bytes, package: str) -> ModuleType:
    """Compiles and runs the text itself, so that what is fingerprinted is exactly what runs. Nothing is taken from or
    put into `__pycache__`."""
    directory = str(full.parent)
    if directory not in sys.path and not package:
        sys.path.insert(0, directory)
    from importlib.util import decode_source  # the codec of Python source; it reads the coding line

    text = None
    with suppress(SyntaxError, UnicodeError):
        text = decode_source(data)
    if text is None:  # Python says why, with the file and the line
        compile(data, str(full), "exec", dont_inherit=True)
        raise TaskError(f"{full} is not UTF-8", hint="save it as UTF-8, or say its encoding in a coding line")
    code = compile(text, str(full), "exec", dont_inherit=True)
    register_source(str(full), text, code)
    module = ModuleType(name)
    module.__file__ = str(full)
    module.__spec__ = ModuleSpec(f"{package}.{name}" if package else name, None, origin=str(full))
    if package:
        module.__package__ = package
    module.__spec__._initializing = True  # type: ignore[attr-defined]  # tells a first import from a reload
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        module.__spec__._initializing = False  # type: ignore[attr-defined]
    return module
