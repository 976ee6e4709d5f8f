"""What `redun log` lists from the whole history: jobs, calls and files, and the lineage of a value or a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, islice
from typing import Any, Final, TypeVar

from redun.cli.colors import Paint
from redun.cli.file_lines import state_document, state_line
from redun.cli.filters import Filters
from redun.cli.graph import Graph
from redun.cli.history_view import CACHED, SHORT, STATES, clock, run_line, uuid_text
from redun.core.digest import Digest
from redun.core.forms import printable
from redun.store.file_history import FileHistory, FileState
from redun.store.indexes.index import FoundJob
from redun.store.lineage import LineageStep
from redun.store.lookup_names import Run
from redun.store.queries import Job, Queries

#: Calls whose arguments are read together, and characters of a call.
_BATCH: Final = 100
_LINE: Final = 200
_ORIGINS: Final = {
    "given": "given from outside",
    "code": "made in the code of who called",
    "default": "a default",
    "unknown": "not recorded",
}

T = TypeVar("T")


class Listing:
    """Things that were found, as lines and as documents.

    Args:
        what: `executions`, `jobs`, `calls` or `files`.
    """

    def __init__(self, graph: Graph, queries: Queries, filters: Filters, what: str) -> None:
        self._graph = graph
        self._queries = queries
        self._filters = filters
        self._what = what
        self._most = filters.most_jobs if what == "files" else filters.most_runs

    def count(self) -> int:
        """Returns how many there are."""
        return sum(1 for _ in self._all())

    def lines(self, paint: Paint) -> Iterator[str]:
        """Yields a line for each, as many as are asked for."""
        found = islice(self._all(), self._filters.skip, None)
        shown = 0
        for batch in _batches(islice(found, self._most)):
            self._prefetch(batch)
            for item in batch:
                shown += 1
                yield self._line(item, paint)
        if not shown:
            yield f"No {self._what} found." if self._filters.skip else f"No {self._what} match."
        elif next(found, None) is not None:
            yield f"... more: --skip {self._filters.skip + shown} shows those that follow, -n 0 all"

    def documents(self) -> list[Any]:
        """Returns a document for each, as many as are asked for."""
        found = islice(self._all(), self._filters.skip, None)
        return [self._document(item) for item in islice(found, self._most)]

    def _all(self) -> Iterator[Any]:
        wanted = self._filters.wanted()
        if self._what == "jobs":
            return self._queries.jobs(wanted)
        if self._what == "calls":
            return self._queries.calls(wanted)
        if self._what == "files":
            return self._files.states(wanted.file or "*")
        return self._queries.executions(wanted)

    @cached_property
    def _files(self) -> FileHistory:
        return FileHistory(self._graph, self._queries.index)

    def _prefetch(self, batch: list[Any]) -> None:
        if self._what == "jobs":
            self._graph.prefetch_calls(job.row.call for job in batch)
        elif self._what == "calls":
            self._graph.prefetch_calls(batch)

    def _line(self, item: Any, paint: Paint) -> str:
        if isinstance(item, Job):
            return found_job_line(self._graph, item, paint)
        if isinstance(item, Run):
            return run_line(item, paint)
        if isinstance(item, FileState):
            return state_line(item, self._files.calls(item).mode, paint)
        return f"CallNode {paint(item.hex()[:SHORT], 'id')} {_gave(self._graph, item)}"

    def _document(self, item: Any) -> Any:
        graph = self._graph
        if isinstance(item, Job):
            return _job_document(graph, item)
        if isinstance(item, Run):
            from redun.cli.log_json import run_document  # here: lists of others have no executions

            return run_document(item)
        if isinstance(item, FileState):
            return state_document(item, self._files.calls(item).mode)
        call = graph.call(item)
        return {
            "kind": "call",
            "id": item.hex(),
            "task": graph.task_name(item),
            "args": {} if call is None else {a.name: a.value.hex() for a in graph.arguments(call)},
            "result": None if call is None or call.result is None else call.result.hex(),
        }


def _batches(found: Iterable[T]) -> Iterator[list[T]]:
    found = iter(found)
    while batch := list(islice(found, _BATCH)):
        yield batch


def as_job(job: FoundJob) -> Job:
    """Returns a job that the index found."""
    return Job(job.id, job.uuid, job.execution, job.start, job.row, job.row.status)


def found_job_line(graph: Graph, job: Job, paint: Paint) -> str:
    """Returns the line of a job."""
    text, role = (CACHED, "cached") if job.state == CACHED else STATES[job.status]
    state = f"[{paint(text, role)}]"
    return f"Job {paint(job.id.hex()[:SHORT], 'id')} {state} {clock(job.began)}:  {graph.call_text(job.row.call)}"


def _job_document(graph: Graph, job: Job) -> dict[str, Any]:
    row = job.row
    call = graph.call(row.call)
    return {
        "kind": "job",
        "job": job.id.hex(),
        "execution": uuid_text(job.uuid),
        "status": job.state,
        "task": graph.task_name(row.call),
        "call": None if row.call is None else row.call.hex(),
        "args": {} if call is None else {a.name: a.value.hex() for a in graph.arguments(call)},
        "result": None if call is None or call.result is None else call.result.hex(),
        "start": job.began / 1_000_000,
        "duration": None if row.duration < 0 else row.duration / 1_000_000,
        "how": row.how.name.lower(),
        "why": row.why.name.lower(),
        "executor": row.executor,
        "attempt": row.attempt,
    }


def _gave(graph: Graph, digest: Digest) -> str:
    call = graph.call(digest)
    text = graph.call_text(digest, _LINE)
    return text if call is None else f"{text} -> {graph.outcome_text(call, _LINE)}"


# -- lineage ----------------------------------------------------------------------------------------------------------


def lineage_lines(
    graph: Graph, steps: Iterator[LineageStep], filters: Filters, paint: Paint, *, up: bool
) -> Iterator[str]:
    """Yields the lines of a lineage: each call, what it gave, and where what it took came from."""
    found = islice(steps, filters.skip, None)
    first = next(found, None)
    if first is None:
        yield "No call gave it." if up else "No call took it."
        return
    shown = 0
    for step in islice(chain([first], found), filters.most_steps):
        shown += 1
        yield f"{step.depth:>3}  CallNode {paint(step.call.hex()[:SHORT], 'id')} {_gave(graph, step.call)}"
        for given in step.inputs if up else ():
            yield f"       {_input_text(graph, given, paint)}"
        if step.hidden:
            yield f"       ... {step.hidden:,} more"
        if not up and step.inputs:
            yield f"       took it as {', '.join(printable(given.name) for given in step.inputs)}"
    if next(found, None) is not None:
        yield f"... more: --skip {filters.skip + shown} shows those that follow, -n 0 all"


def _input_text(graph: Graph, given: Any, paint: Paint) -> str:
    name = printable(given.name) or "part"
    value = "" if given.value is None else f" = <{given.value.hex()[:SHORT]}> {graph.value(given.value, _LINE // 2)}"
    makers = ", ".join(paint(maker.hex()[:SHORT], "id") for maker in given.makers)
    more = f" and {given.total - len(given.makers):,} more" if given.total > len(given.makers) else ""
    came = f"from {makers}{more}" if makers else _ORIGINS.get(given.origin, "made here")
    return f"{name}{value}  ({came})"


def lineage_documents(graph: Graph, steps: Iterator[LineageStep], filters: Filters) -> list[dict[str, Any]]:
    """Returns the calls of a lineage as documents."""
    found = islice(steps, filters.skip, None)
    return [
        {
            "depth": step.depth,
            "call": step.call.hex(),
            "task": step.fullname,
            "result": None if step.result is None else step.result.hex(),
            "inputs": [
                {
                    "name": given.name,
                    "value": None if given.value is None else given.value.hex(),
                    "from": [maker.hex() for maker in given.makers],
                    "total": given.total,
                    "origin": given.origin,
                }
                for given in step.inputs
            ],
            "hidden": step.hidden,
        }
        for step in islice(found, filters.most_steps)
    ]
