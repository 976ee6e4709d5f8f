"""Warns of calls of tasks that a body drops: silently never running them is the classic surprise of lazy calls.

A call that no reduction has taken up is noticed when it is gone. Where that is the end of a statement that is nothing
but the call, or the end of a body, it was dropped; anywhere else an error may have taken it along, and nothing is said.
`redun check` finds more of them, and before anything runs.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Container
from textwrap import dedent
from types import FrameType, FunctionType
from typing import Any, Final

from redun.core.errors import WorkflowWarning
from redun.core.expressions import TaskCall, lost
from redun.core.sources import capture_function
from redun.core.tasks import running
from redun.executor.pools.threads import ThreadPool

#: The code that calls bodies, and the name that it knows a body by.
CALLERS: Final = {ThreadPool._answers.__code__}
_BODY: Final = "function"
#: The frame around `__del__` and this module's own.
_DEPTH: Final = 2


def _dropped(call: TaskCall) -> None:
    if not running.body:
        return
    frame = sys._getframe(_DEPTH)
    at = _instruction(frame)
    if at == "POP_TOP":
        _warn(call, frame.f_code.co_filename, frame.f_lineno, frame.f_globals)
    elif frame.f_code in CALLERS and at.startswith("CALL"):
        body = frame.f_locals.get(_BODY)
        if isinstance(body, FunctionType):
            seen = body.__globals__.get("__warningregistry__", {})
            line = _line(body, call, seen)
            if line is not None:
                _warn(call, body.__code__.co_filename, line, body.__globals__)


def _instruction(frame: FrameType) -> str:
    from opcode import opname  # here: a workflow without mistakes does without

    return opname[frame.f_code.co_code[frame.f_lasti]]


def _warn(call: TaskCall, file: str, line: int, scope: dict[str, Any]) -> None:
    seen = scope.setdefault("__warningregistry__", {})
    place = (WorkflowWarning, file, line)
    if place in seen:  # what the call holds is gone with it
        return
    said = f"{call!r} is neither returned nor stored, so it never runs; return it, or something that holds it"
    try:
        warnings.warn_explicit(said, WorkflowWarning, file, line, scope.get("__name__"), seen)
    finally:
        seen[place] = True


def _line(body: FunctionType, call: TaskCall, seen: Container[Any]) -> int | None:
    """The line of a body that assigns a call of that task to a name that is never read; None where there is none, as in
    a body that makes a call and needs it in one of two cases only."""
    captured = capture_function(body)
    try:
        tree = ast.parse(dedent(captured.text))
    except (SyntaxError, ValueError):
        return None
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            unread = any(isinstance(target, ast.Name) and target.id not in read for target in targets)
            if unread and call._redun_task.name in _named(node.value):
                lines.append(captured.line + node.lineno - 1)
    new = (line for line in sorted(lines) if (WorkflowWarning, body.__code__.co_filename, line) not in seen)
    return next(new, lines[0] if lines else None)


def _named(value: ast.expr) -> set[str]:
    nodes = list(ast.walk(value))
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }


lost.append(_dropped)
