"""What `redun log` shows, as one JSON document: the same facts, ids whole, values in the form of `json_form`."""

from __future__ import annotations

import json
import sys
from itertools import islice
from typing import Any, Final

from redun.cli.dataflow import Dataflow, dataflow
from redun.cli.details import frame_of
from redun.cli.filters import Filters
from redun.cli.graph import Graph
from redun.cli.history_view import full_uuid, run_duration
from redun.cli.job_lines import state_name
from redun.cli.job_lists import chosen_jobs
from redun.cli.job_table import Job, JobTable, Place, place_of
from redun.cli.search import first_job_of_task, job_of_value, jobs_of_call
from redun.core.digest import Digest
from redun.core.json_form import object_to_json, record_to_json, to_json
from redun.core.objects import SourceRecord
from redun.store import Store
from redun.store.lookup_names import JobName, Named, Run, TaskName, runs

_PARENTS: Final = 20


def json_text(document: Any) -> str:
    """Returns the text of a JSON document; ASCII, so that no terminal obeys any of it."""
    try:
        return json.dumps(document)
    except RecursionError:  # a value may be nested 500 deep, and each of its levels takes up to three here
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(before * 20)
        try:
            return json.dumps(document)
        finally:
            sys.setrecursionlimit(before)


def document(store: Store, named: Named | None, filters: Filters) -> Any:
    """Returns the document of what a name means; without one, of the executions."""
    if named is None:
        return [run_document(run) for run in islice(filters.runs(runs(store)), filters.most_runs)]
    graph = Graph(store)
    if isinstance(named, Run):
        table = JobTable(graph, named)
        return {
            **run_document(named),
            "jobs": _jobs(graph, table, chosen_jobs(graph, table, table.walk(), filters), filters),
        }
    if isinstance(named, JobName):
        return _job_document(graph, named, filters)
    if isinstance(named, TaskName):
        newest = _task_document(graph, named.versions[0])
        return {**newest, "versions": [digest.hex() for digest in named.versions]}
    if named.kind == "call":
        places = jobs_of_call(graph, named.digest, _PARENTS)
        return {"kind": "call", **_call_document(graph, named.digest, places[0] if places else None)}
    if named.kind == "task":
        return _task_document(graph, named.digest)
    kind, payload = graph.fetch(named.digest)
    found: dict[str, Any] = {"kind": kind, "id": named.digest.hex(), "content": object_to_json(kind, bytes(payload))}
    if kind == "value":
        place = job_of_value(graph, named.digest)
        found["dataflow"] = None if place is None else _dataflow(graph, "value", place)
    return found


def run_document(run: Run) -> dict[str, Any]:
    """Returns the document of an execution."""
    return {
        "kind": "exec",
        "execution": full_uuid(run),
        "id": _hex(run.digest),
        "status": run.status.name,
        "start": run.start / 1_000_000,
        "end": None if run.end is None else run.end / 1_000_000,
        "duration": run_duration(run) / 1_000_000,
        "argv": list(run.argv),
        "info": dict(run.info),
        "remote": run.remote or None,
        "tags": [list(tag) for tag in run.tags],
        "root": _hex(run.root),
        "counts": [record_to_json(count) for count in run.counts],
    }


# -- jobs -------------------------------------------------------------------------------------------------------------


def _jobs(graph: Graph, table: JobTable, jobs: Any, filters: Filters) -> list[dict[str, Any]]:
    return [_job(graph, table, job, depth) for depth, job in islice(jobs, filters.most_jobs)]


def _job(graph: Graph, table: JobTable, job: Job, depth: int) -> dict[str, Any]:
    row = job.row
    call = graph.call(job.call)
    return {
        "job": table.id(job),
        "depth": depth,
        "status": state_name(job),
        "task": graph.task_name(job.call),
        "call": _hex(job.call),
        "args": {} if call is None else {a.name: a.value.hex() for a in graph.arguments(call)},
        "result": None if call is None else _hex(call.result),
        "start": (table.run.start + row.start) / 1_000_000,
        "duration": None if job.inner or row.duration < 0 else row.duration / 1_000_000,
        "how": "inner" if job.inner else row.how.name.lower(),
        "why": None if job.inner else row.why.name.lower(),
        "executor": row.executor,
        "attempt": row.attempt,
    }


def _job_document(graph: Graph, name: JobName, filters: Filters) -> dict[str, Any]:
    table, lineage = place_of(graph, name)
    job = lineage[-1]
    if filters.given():
        chosen = chosen_jobs(graph, table, islice(table.below(lineage), 1, None), filters)
        return {"kind": "job", **_job(graph, table, job, 0), "jobs": _jobs(graph, table, chosen, filters)}
    trace = graph.payload(job.row.trace, "trace")
    return {
        "kind": "job",
        **_job(graph, table, job, 0),
        "execution": full_uuid(table.run),
        "lineage": [table.id(other) for other in lineage],
        "node": None if job.call is None else _call_document(graph, job.call, (table, lineage)),
        "trace": None if trace is None or job.inner else object_to_json("trace", trace),
    }


# -- calls and tasks --------------------------------------------------------------------------------------------------


def _call_document(graph: Graph, digest: Digest, place: Place | None) -> dict[str, Any]:
    call = graph.call(digest)
    if call is None:
        return {"id": digest.hex()}
    sources = {} if place is None else dict(place[0].run.sources)
    return {
        "id": digest.hex(),
        "task": call.task.hex(),
        "fullname": graph.task_name(digest),
        "source": _source(graph, sources.get(call.task) or graph.source_of(call.task)),
        "args": [{"name": a.name, "id": a.value.hex(), "value": _value(graph, a.value)} for a in graph.arguments(call)],
        "outcome": call.outcome.name.lower(),
        "result": None if call.result is None else {"id": call.result.hex(), "value": _value(graph, call.result)},
        "reduction": _hex(call.reduction),
        "children": [_hex(child) for child in call.children],
        "dataflow": None if place is None else _dataflow(graph, "result", place),
    }


def _task_document(graph: Graph, digest: Digest) -> dict[str, Any]:
    first = first_job_of_task(graph, digest)
    payload = graph.payload(digest, "task")
    return {
        "kind": "task",
        "id": digest.hex(),
        "content": None if payload is None else object_to_json("task", payload),
        "source": _source(graph, graph.source_of(digest)),
        "first_job": None if first is None else first[0].id(first[1][-1]),
    }


def _source(graph: Graph, digest: Digest | None) -> dict[str, Any] | None:
    payload = graph.payload(digest, "source")
    return None if payload is None else dict(SourceRecord.parse(payload)._asdict())


def _value(graph: Graph, digest: Digest) -> Any:
    payload = graph.payload(digest, "value")
    return None if payload is None else to_json(payload)


def _dataflow(graph: Graph, name: str, place: Place) -> dict[str, Any] | None:
    frame = frame_of(graph, place)
    if frame is None:
        return None
    flow: Dataflow = dataflow(graph, name, frame)
    return {
        "variables": [
            {
                "name": block.name,
                "steps": [{**record_to_json(step), "call": _hex(step.call)} for step in block.steps],
                "inputs": [{"name": variable.name, "value": _hex(variable.value)} for variable in block.inputs],
                "hidden": block.hidden,
            }
            for block in flow.blocks
        ],
        "cut": flow.cut,
    }


def _hex(digest: Digest | None) -> str | None:
    return None if digest is None else digest.hex()
