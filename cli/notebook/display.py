"""Executions, expressions and files as HTML. Showing an expression evaluates nothing, and nothing of it is markup."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from redun.cli.render import duration_text
from redun.core.display import LINE
from redun.core.expressions import Expression, Operation, TaskCall
from redun.core.forms import printable, printable_lines
from redun.core.objects import Status, TaskCount
from redun.executor.observer import Execution

#: Stands for an expression that is no call, or holds several; it is nobody's task.
ROOT_TASK: Final = "redun.root"
#: Expressions shown inside one, how deep they are nested, and the tasks of an execution that are shown.
_NODES: Final = 200
_DEPTH: Final = 20
_TASKS: Final = 50
_MONOSPACE: Final = "font-family:monospace"
#: (column of `TaskCount`, colour, word)
_STATES: Final = (
    ("done", "#2e9e5b", "ran"),
    ("cached", "#4a8fe7", "cached"),
    ("failed", "#d64545", "failed"),
    ("running", "#d9a21b", "running"),
    ("pending", "#9aa3b2", "pending"),
)


def escaped(text: str) -> str:
    """Returns text as HTML that shows it."""
    return html.escape(printable(text))


# -- jobs -------------------------------------------------------------------------------------------------------------


def jobs_text(counts: Iterable[TaskCount]) -> str:
    """Returns `3 ran, 2 cached`."""
    sums = _sums(counts)
    return ", ".join(f"{sums[state]:,} {word}" for state, _, word in _STATES if sums[state]) or "no jobs"


def run_html(uuid: str, state: str, counts: Sequence[TaskCount], rest: str = "") -> str:
    """Returns a run as its state, a bar of its jobs, and a table of them by task, which is folded."""
    counts = sorted((count for count in counts if count.fullname != ROOT_TASK), key=lambda count: count.fullname)
    rows = [_row(count) for count in counts[:_TASKS]]
    more = f"<tr><td>... {len(counts) - _TASKS:,} more tasks</td></tr>" if len(counts) > _TASKS else ""
    title = f"<code>redun {escaped(uuid[:8])}</code> <b>{escaped(state)}</b> {escaped(jobs_text(counts) + rest)}"
    return (
        f"<div>{title}"
        f"{_bar(_sums(counts))}<details><summary>by task</summary><table>{''.join(rows)}{more}</table></details></div>"
    )


def execution_html(execution: Execution) -> str:
    """Returns an execution with its jobs by task and, where it failed, the traceback of jobs."""
    took = f" in {duration_text(execution.duration)}"
    found = run_html(execution.uuid, execution.status.name, execution.counts, took)
    if execution.status is Status.DONE:
        return found
    lines = [f"{job.fullname}: {job.text.strip()}" for job in execution.failed]
    lines.append(f"{type(execution.error).__name__}: {execution.error}" if execution.error is not None else "")
    return f"{found}<pre>{html.escape(printable_lines(chr(10).join(lines)))}</pre>"


def _sums(counts: Iterable[TaskCount]) -> dict[str, int]:
    counted = [count for count in counts if count.fullname != ROOT_TASK]
    return {state: sum(getattr(count, state) for count in counted) for state, _, _ in _STATES}


def _row(count: TaskCount) -> str:
    numbers = {state: getattr(count, state) for state, _, _ in _STATES}
    name = f'<td style="{_MONOSPACE};text-align:left">{escaped(count.fullname)}</td>'
    return f'<tr>{name}<td style="text-align:left">{escaped(jobs_text([count]))}</td><td>{_bar(numbers, 160)}</td></tr>'


def _bar(numbers: Mapping[str, int], width: int = 400) -> str:
    total = max(sum(numbers.values()), 1)
    parts = []
    for state, color, _ in _STATES:
        style = f"display:inline-block;height:8px;width:{width * numbers[state] / total:.1f}px;background:{color}"
        if numbers[state]:
            parts.append(f'<span style="{style}"></span>')
    return f'<div style="line-height:0;margin:3px 0;width:{width}px;height:8px;background:#8884">{"".join(parts)}</div>'


# -- expressions ------------------------------------------------------------------------------------------------------


def expression_html(expression: Expression) -> str:
    """Returns an expression as a tree of its calls, which is folded. Evaluates nothing."""
    return f"<div>{_Tree().node(expression, 0)}</div>"


class _Tree:
    def __init__(self) -> None:
        self._left = _NODES

    def node(self, expression: Expression, depth: int) -> str:
        self._left -= 1
        title = f"<code>{escaped(repr(expression)[:LINE])}</code>"
        inside = list(_inside(_operands(expression)))
        if not inside:
            return title
        if depth >= _DEPTH or self._left <= 0:
            return f"{title} ..."
        parts = [f"<li>{self.node(inner, depth + 1)}</li>" for inner in inside if self._left > 0]
        more = "<li>...</li>" if len(parts) < len(inside) else ""
        opened = " open" if depth == 0 else ""
        return f'<details{opened}><summary>{title}</summary><ul style="margin:0">{"".join(parts)}{more}</ul></details>'


def _operands(expression: Expression) -> Iterable[Any]:
    if isinstance(expression, TaskCall):
        return (*expression._redun_args, *expression._redun_kwargs.values())
    return expression._redun_operands if isinstance(expression, Operation) else ()


def _inside(items: Iterable[Any], depth: int = 0) -> Iterable[Expression]:
    for item in items:
        if isinstance(item, Expression):
            yield item
        elif depth < _DEPTH and type(item) in (list, tuple, set, frozenset):
            yield from _inside(item, depth + 1)
        elif depth < _DEPTH and type(item) is dict:
            yield from _inside([*item.keys(), *item.values()], depth + 1)
