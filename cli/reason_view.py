"""Reasons as lines for people, several lines each: what changed, with the code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from redun.cli.colors import Paint
from redun.cli.graph import Graph
from redun.cli.history_view import SHORT
from redun.cli.job_table import Job, JobTable
from redun.cli.parts import indented
from redun.core.json_form import record_to_json
from redun.executor.code_changes import CodeChange
from redun.executor.reasons import ArgumentChange, Reason
from redun.executor.value_changes import ValueChange

#: Lines of one diff, and characters of one side of a change.
_DIFF: Final = 60
_SIDE: Final = 500
_ROLES: Final = {"+": "done", "-": "failed", "@": "cached"}


def miss_lines(
    graph: Graph, table: JobTable, misses: Iterable[tuple[Job, Reason]], most: int | None, paint: Paint
) -> Iterator[str]:
    """Yields the lines of jobs that ran: one for all jobs of a task that ran for the same reason, `most` at most."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job, reason in misses:
        groups.setdefault((graph.fullname(graph.call(job.call)), reason.text()), []).append(job)
    for (fullname, text), jobs in islice(groups.items(), most):
        more = (
            "" if len(jobs) == 1 else " (and 1 more job)" if len(jobs) == 2 else f" (and {len(jobs) - 1:,} more jobs)"
        )
        yield f"Job {paint(table.id(jobs[0])[:SHORT], 'id')}  {fullname}: {text}{more}"
    if most is not None and len(groups) > most:
        yield f"... {len(groups) - most:,} more: -n 0 lists all"


def reason_json(reason: Reason) -> dict[str, Any]:
    """Returns a reason as plain data: its line, and its parts."""
    return {"text": reason.text(), **record_to_json(reason)}


def reason_lines(reason: Reason, paint: Paint) -> Iterator[str]:
    """Yields the lines of what a reason names: code, arguments, files. The line of the reason itself is not among
    them."""
    if reason.code:
        yield ""
        yield "Code:"
        yield from indented(code_lines(reason.code, paint))
    if reason.arguments:
        yield ""
        yield "Arguments:"
        yield from indented(line for change in reason.arguments for line in argument_lines(change))
    if reason.files:
        yield ""
        yield "Files of its earlier result:"
        yield from indented(change.text() for change in reason.files)


def code_lines(changes: Iterable[CodeChange], paint: Paint) -> Iterator[str]:
    """Yields the lines of changes of code, with their diffs."""
    for change in changes:
        if change.values:
            yield from value_lines(change.values, before="constant ")
        else:
            yield change.text()
        yield from indented(diff_lines(change.diff, paint))


def argument_lines(change: ArgumentChange) -> Iterator[str]:
    """Yields the lines of an argument that changed, a line a place."""
    if not change.changes:
        yield change.text()
    yield from value_lines(change.changes)
    if change.more:
        yield f"... args[{change.name!r}] differs in more places"


def value_lines(changes: Iterable[ValueChange], before: str = "") -> Iterator[str]:
    """Yields a line for each place where two values differ."""
    return (f"{before}{change.text(_SIDE)}" for change in changes)


def diff_lines(diff: tuple[str, ...], paint: Paint) -> Iterator[str]:
    """Yields the lines of a diff, without the two that name its sides, and not without end."""
    for line in diff[2 : 2 + _DIFF]:
        role = _ROLES.get(line[:1])
        yield paint(line, role) if role else line
    if len(diff) > 2 + _DIFF:
        yield f"... {len(diff) - 2 - _DIFF:,} more lines: --json has all"
