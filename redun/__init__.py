"""redun: workflows as plain Python functions, with caching and provenance on a content-addressed store.

    from redun import task

    @task()
    def main(greet: str = "Hello") -> str:
        return greet

This is the face: every name is handed on from the floor that owns it, and loaded when it is first asked for (PEP 562).
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redun.core.files import File
    from redun.core.namespace import get_current_namespace, namespace
    from redun.core.tasks import Task, task
    from redun.core.version import VERSION as __version__  # noqa: N811 (the name that Python knows it by)

__all__ = ["File", "Task", "__version__", "get_current_namespace", "namespace", "task"]

#: Name -> (module that owns it, its name there).
_HOMES = {
    "File": ("redun.core.files", "File"),
    "Task": ("redun.core.tasks", "Task"),
    "__version__": ("redun.core.version", "VERSION"),
    "get_current_namespace": ("redun.core.namespace", "get_current_namespace"),
    "namespace": ("redun.core.namespace", "namespace"),
    "task": ("redun.core.tasks", "task"),
}


def __getattr__(name: str) -> Any:
    try:
        module, owned = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(importlib.import_module(module), owned)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Face(ModuleType):
    """A package in which `task` and `namespace` stay functions when the modules of these names are imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            return  # the import system, which makes every submodule an attribute of its package
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face
