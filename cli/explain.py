"""`redun explain`: how a job was answered, and why it ran; or why each job of an execution ran.

Read from the store: no user code runs and nothing stored is instantiated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import click

from redun.cli.answers import TITLES, Answer, Answers
from redun.cli.colors import Paint
from redun.cli.context import common_options, open_store, settings
from redun.cli.dependencies import depends_lines
from redun.cli.exits import OK
from redun.cli.graph import Graph
from redun.cli.history_view import SHORT, came_from, clock, full_uuid, run_header
from redun.cli.job_lines import job_line, lineage_text, state_name
from redun.cli.job_table import Job, JobTable, Place, place_of
from redun.cli.log_json import json_text
from redun.cli.pager import write_lines
from redun.cli.parts import indented, trace_lines
from redun.cli.reason_view import miss_lines, reason_json, reason_lines
from redun.cli.search import jobs_of_call
from redun.core.errors import NotFound
from redun.core.forms import printable
from redun.core.json_form import record_to_json
from redun.executor.reasons import Reason
from redun.store.lookup_names import JobName, Named, ObjectName, Run, TaskName, find

#: Lines of an execution where the user names no number, and lines below one job.
_LINES: Final = 100
_BELOW: Final = 20


@click.command(short_help="Say how a job was answered, and why it ran.")
@click.option("-n", "number", type=click.IntRange(min=0), metavar="N", help="Jobs listed at most; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.argument("name", metavar="ID")
@click.pass_context
def explain(ctx: click.Context, number: int | None, as_json: bool, name: str) -> int:
    """Say how the job that ID names was answered: from the cache, by what; or why it ran: which function changed, which
    argument and where in it, which file.

    ID is the start (4 characters or more) of the id of a job, or of a call: then its newest job. For an execution (its
    id, `-` for the latest, `~1` for the one before) every job that ran is listed with its reason.

    \b
    redun explain 5ede15ae                   one job, with what changed
    redun explain -                          each job of the latest execution that ran, and why
    redun explain - --json                   the same for programs
    """
    found = settings(ctx)
    most = _LINES if number is None else number or None
    with open_store(found) as store:
        graph = Graph(store)
        named = _execution_or_job(graph, name, find(store, name))
        if as_json:
            write_lines([json_text(_document(graph, named, most))], found)
        elif isinstance(named, Run):
            write_lines(_run_lines(graph, named, most, found.paint(sys.stdout)), found)
        else:
            write_lines(_job_lines(graph, named, found.paint(sys.stdout)), found)
    return OK


def _execution_or_job(graph: Graph, name: str, named: Named) -> Run | Place:
    if isinstance(named, Run):
        return named
    if isinstance(named, JobName):
        return place_of(graph, named)
    if isinstance(named, ObjectName) and named.kind == "call":
        places = jobs_of_call(graph, named.digest, 1)
        if places:
            return places[0]
        raise NotFound(f"no job of call {name} is in the history", hint="redun show tells what the store has of it")
    kind = "task" if isinstance(named, TaskName) else named.kind
    hint = f"redun show {name} tells what it is; redun explain - lists why jobs ran"
    raise NotFound(f"{name} is a {kind}, and only jobs are answered", hint=hint)


# -- one job ----------------------------------------------------------------------------------------------------------


def _job_lines(graph: Graph, place: Place, paint: Paint) -> Iterator[str]:
    table, lineage = place
    answer = Answers(graph).answer(place)
    yield job_line(graph, table, lineage[-1], paint, full=True)
    yield lineage_text(graph, table, lineage)
    yield ""
    title = TITLES[answer.how]
    yield title if answer.reason is None else f"{title}: {answer.reason.text()}"
    yield from _other_jobs(graph, answer, paint)
    if answer.reason is not None:
        yield from reason_lines(answer.reason, paint)
    if answer.how == "step":
        yield from _below_lines(graph, table, answer, paint)
    yield from depends_lines(answer.depends, paint)
    if answer.how == "unlooked" and lineage[-1].row.trace is not None:
        yield ""
        yield from trace_lines(graph, lineage[-1].row.trace)


def _other_jobs(graph: Graph, answer: Answer, paint: Paint) -> Iterator[str]:
    if answer.with_job is not None:
        yield ""
        yield "The job that it joined:" if answer.how == "joined" else "The replay:"
        yield f"  {place_text(graph, answer.with_job, paint)}"
    if answer.made_by is not None:
        yield ""
        yield "Compared with:" if answer.how == "ran" else "It ran in:"
        yield f"  {place_text(graph, answer.made_by, paint)}"
    elif answer.remote:
        yield ""
        yield f"It came from {printable(answer.remote)}, which was asked for it; redun pull gets the history behind it"
    elif answer.reason is not None and answer.reason.compared is not None:
        yield ""
        yield "Compared with:"
        where = "is no longer in the store" if answer.reason.gone else "has no job in the history"
        yield f"  CallNode {paint(answer.reason.compared.hex()[:SHORT], 'id')}, which {where}"


def place_text(graph: Graph, place: Place, paint: Paint) -> str:
    """Returns a job with its execution on one line."""
    table, lineage = place
    job = lineage[-1]
    run = paint(full_uuid(table.run)[:SHORT], "id")
    when = clock(table.run.start + job.row.start)
    came = f" (from {came_from(table.run)})" if table.run.remote else ""
    return f"Job {paint(table.id(job)[:SHORT], 'id')} of Exec {run}, {when}: {graph.call_text(job.call)}{came}"


def _below_lines(graph: Graph, table: JobTable, answer: Answer, paint: Paint) -> Iterator[str]:
    yield ""
    if not answer.below:
        yield "No job below it ran."
        return
    yield f"Jobs below it that ran: {len(answer.below):,}"
    yield from indented(miss_lines(graph, table, answer.below, _BELOW, paint))


# -- the jobs of an execution -----------------------------------------------------------------------------------------


def _run_lines(graph: Graph, run: Run, most: int | None, paint: Paint) -> Iterator[str]:
    table = JobTable(graph, run)
    yield from run_header(run, paint)
    misses = tuple(Answers(graph).ran(table))
    if not misses:
        yield "No job ran."
    yield from miss_lines(graph, table, misses, most, paint)


# -- JSON -------------------------------------------------------------------------------------------------------------


def _document(graph: Graph, named: Run | Place, most: int | None) -> dict[str, Any]:
    if isinstance(named, Run):
        table = JobTable(graph, named)
        ran = [_miss(graph, table, job, reason) for job, reason in islice(Answers(graph).ran(table), most)]
        return {"kind": "exec", "execution": full_uuid(named), "ran": ran}
    answer = Answers(graph).answer(named)
    table = named[0]
    below = [_miss(graph, table, job, reason) for job, reason in answer.below[:most]]
    return {
        "kind": "job",
        **place_json(graph, named),
        "how": answer.how,
        "reason": None if answer.reason is None else reason_json(answer.reason),
        "made_by": None if answer.made_by is None else place_json(graph, answer.made_by),
        "remote": answer.remote or None,
        "with_job": None if answer.with_job is None else place_json(graph, answer.with_job),
        "ran_below": below,
        "depends": None if answer.depends is None else record_to_json(answer.depends),
    }


def place_json(graph: Graph, place: Place) -> dict[str, Any]:
    """Returns a job in its execution as plain data."""
    table, lineage = place
    job = lineage[-1]
    facts = dict(table.run.info)
    return {
        "job": table.id(job),
        "execution": full_uuid(table.run),
        "task": graph.task_name(job.call),
        "call": None if job.call is None else job.call.hex(),
        "status": state_name(job),
        "start": (table.run.start + job.row.start) / 1_000_000,
        "remote": table.run.remote or None,
        "user": facts.get("user"),
        "host": facts.get("host"),
    }


def _miss(graph: Graph, table: JobTable, job: Job, reason: Reason) -> dict[str, Any]:
    return {"job": table.id(job), "task": graph.task_name(job.call), "reason": reason_json(reason)}
