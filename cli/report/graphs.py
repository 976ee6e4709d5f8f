"""The calls between tasks as text: one node a task with its counts, one edge where a task calls another.

Names of tasks come from whoever wrote the objects: they stand between quotes, with everything escaped that would end
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from redun.cli.report.facts import Report, calls_between

#: Counts, by the word that follows them.
_COUNTS: Final = ("done", "cached", "failed", "running", "pending")
_FAILED: Final = "#c62828"
_RAN: Final = "#2e7d32"
_CACHED: Final = "#1565c0"


def dot(report: Report) -> Iterator[str]:
    """Yields the lines of a graph for Graphviz."""
    yield "digraph redun {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, style=rounded, fontname="sans-serif"];'
    for place, task in enumerate(report.tasks):
        label = f"{_dot(task['name'])}\\n{_dot(_counts(task))}"
        yield f'  t{place} [label="{label}", color="{_color(task)}"];'
    for caller, called, jobs in calls_between(report):
        label = f' [label="{jobs:,}"]' if jobs > 1 else ""
        yield f"  t{caller} -> t{called}{label};"
    yield "}"


def mermaid(report: Report) -> Iterator[str]:
    """Yields the lines of a flowchart for Mermaid."""
    yield "flowchart LR"
    for place, task in enumerate(report.tasks):
        yield f'  t{place}["{_mermaid(task["name"])}<br/>{_mermaid(_counts(task))}"]'
        yield f"  style t{place} stroke:{_color(task)}"
    for caller, called, jobs in calls_between(report):
        yield f"  t{caller} -->|{jobs}| t{called}" if jobs > 1 else f"  t{caller} --> t{called}"


def _counts(task: dict[str, Any]) -> str:
    return ", ".join(f"{task[state]:,} {state}" for state in _COUNTS if task[state])


def _color(task: dict[str, Any]) -> str:
    return _FAILED if task["failed"] else _RAN if task["done"] else _CACHED


def _dot(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _mermaid(text: str) -> str:
    """Mermaid reads `#NN;` as the character of that number; nothing else is safe in a label."""
    return "".join(c if c.isalnum() or c in " ._-,()=" else f"#{ord(c)};" for c in text)
