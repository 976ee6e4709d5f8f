"""The long views: one job, call, task or value with everything that is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from redun.cli.colors import Paint
from redun.cli.dataflow import Frame, dataflow, dataflow_lines
from redun.cli.graph import Graph
from redun.cli.history_view import SHORT, clock, duration_text
from redun.cli.job_lines import job_line, lineage_text
from redun.cli.job_table import Job, JobTable, Place, place_of
from redun.cli.parts import call_lines, indented, task_lines, trace_lines
from redun.cli.search import first_job_of_task, job_of_value, jobs_of_call
from redun.core.codec import unpack
from redun.core.digest import Digest
from redun.core.display import pretty
from redun.core.forms import type_name
from redun.store.lookup_names import JobName, TaskName

#: Characters of a value within a dataflow.
_SHORT_VALUE: Final = 150
#: Versions of a task named, and parents of a call listed.
_VERSIONS: Final = 20
_PARENTS: Final = 20


# -- jobs -------------------------------------------------------------------------------------------------------------


def job_view(graph: Graph, name: JobName, paint: Paint) -> Iterator[str]:
    """Yields the lines of a job: what called it, what it computed, its task's source, where its result came from.

    Raises:
        NotFound: if the job was never begun.
    """
    table, lineage = place_of(graph, name)
    job = lineage[-1]
    yield job_line(graph, table, job, paint, full=True)
    yield lineage_text(graph, table, lineage)
    if not job.inner and job.row.duration >= 0:
        yield f"Duration: {duration_text(job.row.duration)}"
    yield ""
    call = graph.call(job.call)
    if call is None or job.call is None:
        yield "  CallNode UNKNOWN: the job has not begun, or its call is not in the store"
        return
    yield from indented(call_lines(graph, job.call, call, paint))
    yield ""
    # an inner job's task is not among its own execution's sources
    source = dict(table.run.sources).get(call.task) or graph.source_of(call.task)
    yield from indented(task_lines(graph, call.task, source, paint))
    yield ""
    yield ""
    yield from indented(flow_lines(graph, "result", frame_of(graph, (table, lineage))))
    if job.row.trace is not None and not job.inner:
        yield ""
        yield from indented(trace_lines(graph, job.row.trace))


def frame_of(graph: Graph, place: Place) -> Frame | None:
    """Returns a job's call in its place below the calls of the jobs that led to it; None where it has no call."""
    frame: Frame | None = None
    table, lineage = place
    for parent, job in zip([None, *lineage], lineage, strict=False):
        if job.call is None:
            return None
        node = None if parent is None else _node_of(graph, table, parent, job)
        frame = Frame(job.call, frame, node)
    return frame


def _node_of(graph: Graph, table: JobTable, parent: Job, job: Job) -> int | None:
    """The node of the parent's reduction that a job answers. Of several with one call, the jobs take them in turn."""
    caller = graph.call(parent.call)
    expression = graph.table(caller)
    if caller is None or expression is None:
        return None
    nodes = expression.calls()
    equal = [node for node, child in zip(nodes, caller.children, strict=False) if child == job.call]
    if not equal:  # the parent has not ended, so its children are not recorded: is there only one that it can be?
        name = graph.task_name(job.call)
        equal = [node for node in nodes if expression.node(node)[1] == name]
        return equal[0] if len(equal) == 1 else None
    if job.inner or len(equal) == 1:
        return equal[0]
    twins = [number for number in table.siblings(job.number) if table.row(number).call == job.call]
    return equal[min(twins.index(job.number), len(equal) - 1)]


def flow_lines(graph: Graph, name: str, frame: Frame | None) -> Iterator[str]:
    """Yields the upstream dataflow of what a call gave."""
    call = None if frame is None else graph.call(frame.call)
    if frame is None or call is None:
        return
    yield "Upstream dataflow:"
    yield ""
    if call.result is not None:
        yield f"  {name} = {graph.outcome_text(call, _SHORT_VALUE)}"
        yield ""
    yield from indented(dataflow_lines(graph, dataflow(graph, name, frame), _SHORT_VALUE))


# -- calls, tasks, values ---------------------------------------------------------------------------------------------


def call_view(graph: Graph, digest: Digest, paint: Paint) -> Iterator[str]:
    """Yields the lines of a call, placed below the newest job that made it."""
    call = graph.call(digest)
    assert call is not None, "the caller has just found it"
    places = jobs_of_call(graph, digest, _PARENTS)
    yield from call_lines(graph, digest, call, paint)
    yield from indented(_parent_lines(graph, places, paint))
    yield from indented(_job_lines(places[:1], "Job", paint))
    yield ""
    yield from task_lines(graph, call.task, graph.source_of(call.task), paint)
    yield ""
    yield ""
    yield from flow_lines(graph, "result", frame_of(graph, places[0]) if places else Frame(digest))


def _parent_lines(graph: Graph, places: list[Place], paint: Paint) -> Iterator[str]:
    parents = dict.fromkeys(lineage[-2].call for _, lineage in places if len(lineage) > 1)
    if parents:
        yield "Parent CallNodes:"
    for parent in parents:
        if parent is not None:
            yield f"  CallNode {paint(parent.hex()[:SHORT], 'id')} {graph.fullname(graph.call(parent))}"


def _job_lines(places: list[Place], title: str, paint: Paint) -> Iterator[str]:
    for table, lineage in places:
        job = lineage[-1]
        yield f"{title} {paint(table.id(job)[:SHORT], 'id')} {clock(table.run.start + job.row.start)}"


def task_view(graph: Graph, task: TaskName, paint: Paint) -> Iterator[str]:
    """Yields the lines of a task: its newest version as a whole, the earlier ones by id."""
    newest, *earlier = task.versions
    yield from single_task_view(graph, newest, paint)
    if earlier:
        yield ""
        yield "Earlier versions:"
        yield from indented(f"Task {paint(digest.hex()[:SHORT], 'id')}" for digest in earlier[:_VERSIONS])
    if len(earlier) > _VERSIONS:
        yield f"  ... {len(earlier) - _VERSIONS:,} more"


def single_task_view(graph: Graph, digest: Digest, paint: Paint) -> Iterator[str]:
    """Yields the lines of one version of a task."""
    lines = task_lines(graph, digest, graph.source_of(digest), paint)
    yield next(lines)
    first = first_job_of_task(graph, digest)
    yield from indented(_job_lines([] if first is None else [first], "First Job", paint))
    yield from lines


def value_view(graph: Graph, digest: Digest, paint: Paint) -> Iterator[str]:
    """Yields the lines of a value, placed below the newest job that made it."""
    payload = graph.payload(digest, "value")
    assert payload is not None, "the caller has just found it"
    yield f"Value {paint(digest.hex()[:SHORT], 'id')} {type_name(unpack(payload))}"
    yield pretty(payload)
    yield ""
    place = job_of_value(graph, digest)
    if place is not None:
        yield from flow_lines(graph, "value", frame_of(graph, place))
        return
    yield "Upstream dataflow:"
    yield ""
    yield f"  value = {graph.value(digest, _SHORT_VALUE)}"
    yield ""
    yield "  value <-- origin"


#: The view of an object by its kind, for the kinds that have a place in the history.
VIEWS: Final[dict[str, Callable[[Graph, Digest, Paint], Iterator[str]]]] = {
    "call": call_view,
    "task": single_task_view,
    "value": value_view,
}
