"""redun: workflows as plain Python functions, with caching and provenance on a content-addressed store.

    from redun import task

    @task()
    def main(greet: str = "Hello") -> str:
        return greet

This is the face: every name is handed on from the floor that owns it, and loaded when it is first asked for (PEP 562).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from redun.cli.notebook.extension import load_ipython_extension, unload_ipython_extension
    from redun.core.context import get_context
    from redun.core.files.file import File
    from redun.core.files.sets import Dir
    from redun.core.functional import catch, catch_all, cond, throw
    from redun.core.handles import Handle, merge_handles
    from redun.core.namespace import get_current_namespace, namespace
    from redun.core.scheduler_tasks import scheduler_task
    from redun.core.secrets import Secret
    from redun.core.subworkflows import apply_tags
    from redun.core.tasks import PartialTask, Task, get_task_registry, task
    from redun.core.version import VERSION as __version__  # noqa: N811 (the name that Python knows it by)
    from redun.core.version import VERSION as version  # noqa: N811
    from redun.executor.scheduler import Scheduler, get_current_scheduler, set_current_scheduler
    from redun.executor.scripting.script import script

__all__ = [
    "Dir",
    "File",
    "Handle",
    "PartialTask",
    "Scheduler",
    "Secret",
    "Task",
    "__version__",
    "apply_tags",
    "catch",
    "catch_all",
    "cond",
    "get_context",
    "get_current_namespace",
    "get_current_scheduler",
    "get_task_registry",
    "load_ipython_extension",
    "merge_handles",
    "namespace",
    "run",
    "scheduler_task",
    "script",
    "set_current_scheduler",
    "task",
    "throw",
    "unload_ipython_extension",
    "version",
]

Result = TypeVar("Result")

#: Name -> (module that owns it, its name there).
_HOMES = {
    "Dir": ("redun.core.files.sets", "Dir"),
    "File": ("redun.core.files.file", "File"),
    "Handle": ("redun.core.handles", "Handle"),
    "PartialTask": ("redun.core.tasks", "PartialTask"),
    "Scheduler": ("redun.executor.scheduler", "Scheduler"),
    "Secret": ("redun.core.secrets", "Secret"),
    "Task": ("redun.core.tasks", "Task"),
    "__version__": ("redun.core.version", "VERSION"),
    "apply_tags": ("redun.core.subworkflows", "apply_tags"),
    "catch": ("redun.core.functional", "catch"),
    "catch_all": ("redun.core.functional", "catch_all"),
    "cond": ("redun.core.functional", "cond"),
    "load_ipython_extension": ("redun.cli.notebook.extension", "load_ipython_extension"),
    "get_context": ("redun.core.context", "get_context"),
    "get_current_namespace": ("redun.core.namespace", "get_current_namespace"),
    "get_current_scheduler": ("redun.executor.scheduler", "get_current_scheduler"),
    "get_task_registry": ("redun.core.tasks", "get_task_registry"),
    "merge_handles": ("redun.core.handles", "merge_handles"),
    "namespace": ("redun.core.namespace", "namespace"),
    "scheduler_task": ("redun.core.scheduler_tasks", "scheduler_task"),
    "script": ("redun.executor.scripting.script", "script"),
    "set_current_scheduler": ("redun.executor.scheduler", "set_current_scheduler"),
    "task": ("redun.core.tasks", "task"),
    "throw": ("redun.core.functional", "throw"),
    "unload_ipython_extension": ("redun.cli.notebook.extension", "unload_ipython_extension"),
    "version": ("redun.core.version", "VERSION"),
}


def run(
    expression: Result,
    *,
    threads: int | None = None,
    cache: bool = True,
    tags: Sequence[tuple[str, str]] = (),
    context: Mapping[str, Any] | None = None,
) -> Result:
    """Returns the value of an expression, as `redun run` finds it: with the settings of the project around the working
    directory, and with the store that they name, or else the `.redun` of the working directory or of the nearest one
    above it, or a new one in the working directory.

    Args:
        expression: a lazy call, or any value that holds such.
        threads: how many task bodies run at once.
        cache: whether results of earlier executions may be used. Results are written all the same.
        tags: (name, value) pairs that the execution is known by.
        context: what tasks may ask for by name.

    Raises:
        Exception: what a task raised, if that was not handled.
        RunError: if the run could not go on for another reason.
        ConfigError: if there are settings that make no sense.
        StoreError: if the store cannot be found, made, read or written.
    """
    # Here and not at the top: `import redun` loads nothing.
    from redun.core.project_files import has_settings
    from redun.executor.scheduler import Scheduler
    from redun.store import Store
    from redun.store.locate import create_store, find_store, store_at

    here = os.getcwd()
    settings = None
    if os.environ.get("REDUN_STORE") or has_settings(here, os.environ):
        from redun.executor.config.resolve import load_settings

        settings = load_settings(here, environ=os.environ)
    named = None if settings is None else settings.store.path
    path = store_at(named) if named is not None else find_store(here) or create_store(here)
    with Store.open(path, durability="normal" if settings is None else settings.store.durability) as store:
        scheduler = Scheduler(store, threads=threads, cache=cache, config=settings)
        result: Result = scheduler.run(expression, tags=tags, context=context)
    return result


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
