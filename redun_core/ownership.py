"""What is the user's own code: the part of what a task uses whose changes make the task run again.

A module is the user's own, seen from a task, if it is

- of the task's own top-level package, or of the distribution that the task was installed with, wherever that lies: a
  checkout on one machine is in site-packages on the next;
- or of a package that was configured to be (`set_own_packages`);
- or neither of the standard library, nor in any environment's site-packages, nor of redun itself. That takes
  in the modules beside a script and editable installs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

_ENGINE: Final = "redun"
_SITES: Final = ("site-packages", "dist-packages")
_OWN_PACKAGES: set[str] = set()
_INTERNED: dict[str, Ownership] = {}


def set_own_packages(packages: Iterable[str]) -> None:
    """Sets the packages (dotted names, each with all that is below it) that count as the user's own everywhere."""
    _OWN_PACKAGES.clear()
    _OWN_PACKAGES.update(packages)
    _INTERNED.clear()


def own_packages() -> list[str]:
    """Returns the packages that `set_own_packages` was given, in order of their names."""
    return sorted(_OWN_PACKAGES)


class Ownership:
    """Says of modules, functions and classes whether they are the user's own, seen from one task.

    Make it with `Ownership.of`; equal ones are one object.
    """

    __slots__ = ("_known", "_recorded", "root")

    def __init__(self, root: str) -> None:
        #: The task's package, or its module; empty for "wherever a library is not".
        self.root = root
        self._known: dict[str, bool] = {}
        self._recorded: tuple[str, frozenset[str]] | None = None

    @classmethod
    def of(cls, obj: Any) -> Ownership:
        """Returns ownership as a task sees it, or as code sees it that no task vouches for (a class, a function): then
        a library's code is not the user's own even to itself."""
        inner = principal(getattr(obj, "func", None)) if not isinstance(obj, (type, FunctionType)) else None
        root = _regular_package(module_of(inner)) if inner is not None else ""
        found = _INTERNED.get(root)
        if found is None:
            found = _INTERNED[root] = cls(root)
        return found

    def owns(self, obj: Any) -> bool:
        """Returns whether a function, class or module is the user's own."""
        if isinstance(obj, ModuleType):
            return self.owns_module(obj.__name__, getattr(obj, "__file__", None))
        scope = getattr(obj, "__globals__", None)
        return self.owns_module(module_of(obj), scope.get("__file__") if type(scope) is dict else None)

    def owns_module(self, name: str, file: str | None = None) -> bool:
        """Returns whether the module of that name is the user's own; `file` helps where it is not imported."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._decide(name, file)
        return known

    def _decide(self, name: str, file: str | None) -> bool:
        top = name.partition(".")[0]
        if top == _ENGINE or not name:
            return False
        if self.root and _is_below(name, self.root):
            return True
        if any(_is_below(name, package) for package in _OWN_PACKAGES):
            return True
        file = file or module_file(name)
        if not file:
            # cells and modules made by hand are; what a library has generated in a namespace of its own is not
            return name in sys.modules and top not in sys.stdlib_module_names and top not in sys.builtin_module_names
        return not _is_library(file) or self._is_of_distribution(file)

    def _is_of_distribution(self, file: str) -> bool:
        site = _site(file)
        if not site or not self.root:
            return False
        if self._recorded is None:
            root_file = module_file(self.root) or ""
            self._recorded = (_site(root_file), _recorded_with(root_file))
        return site == self._recorded[0] and _relative(file, site) in self._recorded[1]


def _is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


# -- where code comes from --------------------------------------------------------------------------------------------


def module_of(obj: Any) -> str:
    """Returns the name of the module whose names the code of a function or class sees; not what `wraps` has copied."""
    scope = getattr(obj, "__globals__", None)
    name = scope.get("__name__") if type(scope) is dict else getattr(obj, "__module__", None)
    return name if isinstance(name, str) else ""


def module_file(name: str) -> str | None:
    """Returns the file of an imported module, or a directory of a package that has no file."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return file
    for directory in getattr(module, "__path__", None) or ():
        return str(directory)
    return None


def layers(func: Any) -> Iterator[Any]:
    """Yields a callable and what it wraps, outermost first, as `functools.wraps`, methods and partials tell."""
    seen: set[int] = set()
    while func is not None and id(func) not in seen:
        seen.add(id(func))
        yield func
        if isinstance(func, (MethodType, staticmethod, classmethod)):
            func = func.__func__
        elif isinstance(func, partial):
            func = func.func
        else:
            # through the instance's own names: an object that answers any name must not lead us on
            func = (getattr(func, "__dict__", None) or {}).get("__wrapped__")


def principal(func: Any) -> FunctionType | None:
    """Returns the function that a decorated one is about: the innermost that is the user's own. None if there is no
    Python function in it."""
    functions = [layer for layer in layers(func) if isinstance(layer, FunctionType)]
    if len(functions) < 2:
        return functions[0] if functions else None
    for function in reversed(functions):
        if not _is_library(function.__code__.co_filename):
            return function
    package = str(functions[0].__module__).partition(".")[0]
    for function in reversed(functions):
        if module_of(function).partition(".")[0] == package:
            return function
    return functions[0]


def _regular_package(name: str) -> str:
    """The outermost package of a module that is one distribution's alone: not a namespace that many share."""
    parts = name.split(".")
    for count in range(1, len(parts)):
        package = ".".join(parts[:count])
        if isinstance(getattr(sys.modules.get(package), "__file__", None), str):
            return package
    return name


# -- libraries --------------------------------------------------------------------------------------------------------

_LIBRARY_FOLDERS: Final[list[str]] = []


def _library_folders() -> list[str]:
    if not _LIBRARY_FOLDERS:
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        folders = {os.path.dirname(os.__file__)}
        for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
            # not the whole prefix: that is `/usr` in many containers, or the project's own folder (`python -m venv .`)
            folders |= {os.path.join(prefix, part, version) for part in ("lib", "lib64")}
            if os.name == "nt":
                folders |= {os.path.join(prefix, part) for part in ("Lib", "DLLs")}
        folders |= {os.path.realpath(folder) for folder in folders}
        _LIBRARY_FOLDERS.extend(folder + os.sep for folder in folders)
    return _LIBRARY_FOLDERS


def _is_library(file: str) -> bool:
    if file.startswith("<frozen "):
        return True
    if file.startswith("<"):
        return False
    return bool(_site(file)) or os.path.abspath(file).startswith(tuple(_library_folders()))


def _site(file: str) -> str:
    """The site-packages folder that a file is in, or nothing."""
    parts = file.replace("\\", "/").split("/")
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] in _SITES:
            return "/".join(parts[: place + 1])
    return ""


def _relative(file: str, site: str) -> str:
    return file.replace("\\", "/")[len(site) + 1 :]


def _recorded_with(file: str) -> frozenset[str]:
    """What was installed together with a file, as paths relative to its site-packages folder.

    Read by hand: `importlib.metadata` costs tens of milliseconds, and all that is asked is one list.
    """
    site = _site(file)
    if not site:
        return frozenset()
    name = _relative(file, site)
    stem = name.partition("/")[0].partition(".")[0].lower()
    infos = [entry for entry in os.listdir(site) if entry.endswith(".dist-info")]
    # most distributions are named like their package, so those are opened first
    for info in sorted(infos, key=lambda entry: (not entry.lower().startswith(stem), entry)):
        try:
            with open(os.path.join(site, info, "RECORD"), encoding="utf-8") as stream:
                record = stream.read()
        except (OSError, UnicodeDecodeError):
            continue
        if name in record:
            paths = frozenset(line.rsplit(",", 2)[0].strip('"') for line in record.splitlines())
            if name in paths:
                return paths
    return frozenset()
