"""Parts of the long views: a call, a task with its source, a traceback."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from redun.cli.colors import Paint
from redun.cli.graph import Graph
from redun.core.digest import Digest
from redun.core.forms import printable, printable_lines
from redun.core.objects import CallRecord, Outcome, SourceRecord, TraceRecord

#: Characters of arguments and of a result in a long view.
_LONG: Final = 2000
#: Tracebacks of causes shown.
_CAUSES: Final = 10


def indented(lines: Iterable[str], by: str = "  ") -> Iterator[str]:
    """Yields lines with an indentation, empty ones left empty."""
    return (f"{by}{line}" if line else "" for line in lines)


def call_lines(graph: Graph, digest: Digest, call: CallRecord, paint: Paint) -> Iterator[str]:
    """Yields a call's id, arguments, and what it gave."""
    yield f"CallNode {paint(digest.hex(), 'id')} {graph.fullname(call)}"
    yield f"  Args:   {graph.argument_text(call, _LONG)}".rstrip()
    if call.outcome is Outcome.VALUE:
        yield f"  Result: {graph.value(call.result, _LONG)}"
    elif call.outcome is Outcome.RAISED:
        yield f"  Raised: {graph.value(call.result, _LONG)}"
    else:
        yield "  Result: none: the job has not ended, or was stopped"


def task_lines(graph: Graph, digest: Digest, source: Digest | None, paint: Paint) -> Iterator[str]:
    """Yields a task's id and its exact source, as it was."""
    task = graph.task(digest)
    yield f"Task {paint(digest.hex(), 'id')} {'(not in the store)' if task is None else printable(task.fullname)}"
    yield ""
    payload = graph.payload(source, "source")
    if payload is None and task is not None:
        payload = graph.payload(task.text, "source")
        if payload is not None:
            yield "  (its exact source is not in the store; this is its normal form)"
    if payload is None:
        yield "  (its source is not in the store)"
        return
    text = printable_lines(SourceRecord.parse(payload).text)
    yield from indented(text.rstrip("\n").split("\n"))


def trace_lines(graph: Graph, digest: Digest | None) -> Iterator[str]:
    """Yields a traceback: frames, notes, the error; then those of its causes."""
    title = "Traceback:"
    for _ in range(_CAUSES):
        payload = graph.payload(digest, "trace")
        if payload is None:
            return
        trace = TraceRecord.parse(payload)
        yield title
        for frame in trace.frames:
            if frame.file:
                yield f'  File "{printable(frame.file)}", line {frame.line}, in {printable(frame.function)}'
                yield f"    {printable(frame.text)}".rstrip()
            else:
                yield f"  {printable(frame.function)}"
        yield printable(trace.summary)
        yield from (printable(line) for note in trace.notes for line in note.split("\n"))
        digest, title = trace.cause, "Caused by:"
