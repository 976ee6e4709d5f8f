"""Bodies of script tasks: the function says the command, and that is run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from redun.core.errors import TaskError
from redun.core.expressions import is_lazy
from redun.executor.scripting.command import command_text
from redun.executor.scripting.outputs import NULL
from redun.executor.scripting.plan import Plan


def script_body(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns what runs the command that a function returns; its value is what that writes to standard output."""
    return partial(_run, function)


def _run(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    said = function(*args, **kwargs)
    if isinstance(said, Plan):
        return said.run()
    if is_lazy(said):
        raise TaskError(
            "a script task returned a lazy value", hint="pass what it needs as arguments, or call script(...) in a task"
        )
    return Plan(command_text(said), None, NULL).run()
