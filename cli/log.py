"""`redun log`: the history, and anything in it by the start of its id."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain, islice

import click

from redun.cli.colors import Paint
from redun.cli.context import common_options, open_store, settings
from redun.cli.exits import OK, UsageError
from redun.cli.filters import Filters, read_since, read_status
from redun.cli.graph import Graph
from redun.cli.history_view import job_line, run_header, run_line
from redun.cli.job_table import Job, JobTable, place_of
from redun.cli.pager import write_lines
from redun.store import Store
from redun.store.lookup_names import JobName, Named, ObjectName, Run, TaskName, find, runs


@click.command(short_help="Show executions, jobs, calls, tasks and values.")
@click.option("--task", metavar="NAME", help="Only jobs of this task, and executions that have some.")
@click.option("--status", metavar="STATE", help="Only what is done, failed, running, interrupted, cancelled or cached.")
@click.option("--since", metavar="WHEN", help="Only what began since: 2026-06-18, today, 2h, 3d.")
@click.option("-n", "number", type=click.IntRange(min=0), metavar="N", help="How many at most; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.argument("name", metavar="[ID]", required=False)
@click.pass_context
def log(
    ctx: click.Context,
    task: str | None,
    status: str | None,
    since: str | None,
    number: int | None,
    as_json: bool,
    name: str | None,
) -> int:
    """List executions, newest first, or show what ID names.

    ID is the start (4 characters or more) of the id of an execution, job, call, task, value or any other object, or the
    name of a task. `-` is the latest execution, `~1` the one before it. The options choose among the executions of the
    list, or among the jobs of the execution or job that ID names. Arguments are shown by name, as redun run shows them.

    \b
    redun log                                the last 20 executions
    redun log -n 0 --status failed           all that failed
    redun log -                              the jobs of the latest
    redun log ~1 --task greeter              its predecessor's jobs of a task
    redun log 5ede15ae                       a job: call, source, where its result came from
    """
    found = settings(ctx)
    filters = Filters(
        task=task,
        status=None if status is None else read_status(status),
        since=None if since is None else read_since(since, time.time()),
        number=number,
    )
    with open_store(found) as store:
        named = None if name is None else find(store, name)
        if isinstance(named, ObjectName | TaskName) and filters.given():
            what = named.kind if isinstance(named, ObjectName) else "task"
            hint = "leave the option out, or give an execution or a job"
            raise UsageError(f"{filters.given()[0]} chooses executions and jobs; {name} is a {what}", hint=hint)
        if as_json:
            from redun.cli.log_json import document, json_text  # here: text does without

            write_lines([json_text(document(Graph(store), named, filters))], found)
        else:
            import sys

            write_lines(_lines(store, named, filters, found.paint(sys.stdout)), found)
    return OK


def _lines(store: Store, named: Named | None, filters: Filters, paint: Paint) -> Iterator[str]:
    if named is None:
        return _list(store, filters, paint)
    graph = Graph(store)
    if isinstance(named, Run):
        return _run(graph, named, filters, paint)
    if isinstance(named, JobName):
        return _job(graph, named, filters, paint)
    from redun.cli import details  # here, as in _job: lists do without

    if isinstance(named, TaskName):
        return details.task_view(graph, named, paint)
    if named.kind == "call":
        return details.call_view(graph, named.digest, paint)
    if named.kind == "task":
        return details.single_task_view(graph, named.digest, paint)
    if named.kind == "value":
        return details.value_view(graph, named.digest, paint)
    from redun.cli.object_view import object_view

    return object_view(graph, named.kind, named.digest, paint)


def _list(store: Store, filters: Filters, paint: Paint) -> Iterator[str]:
    chosen = filters.runs(runs(store))
    first = next(chosen, None)
    if first is None:
        yield "No execution matches." if filters.selective else "No executions yet: redun run makes the first."
        return
    yield "Recent executions:"
    yield ""
    yield from (run_line(run, paint) for run in islice(chain([first], chosen), filters.most_runs))
    if next(chosen, None) is not None:
        yield "... more: redun log -n 0 lists all"


def _run(graph: Graph, run: Run, filters: Filters, paint: Paint) -> Iterator[str]:
    yield from run_header(run, paint)
    table = JobTable(graph, run)
    yield from _jobs(graph, table, table.walk(), filters, paint)


def _job(graph: Graph, name: JobName, filters: Filters, paint: Paint) -> Iterator[str]:
    table, lineage = place_of(graph, name)
    if filters.given():
        yield job_line(graph, table, lineage[-1], paint, full=True)
        yield ""
        below = islice(table.below(lineage), 1, None)
        yield from _jobs(graph, table, below, filters, paint)
        return
    from redun.cli.details import job_view

    yield from job_view(graph, (table, lineage), paint)


def _jobs(
    graph: Graph, table: JobTable, jobs: Iterator[tuple[int, Job]], filters: Filters, paint: Paint
) -> Iterator[str]:
    """The lines of jobs: as a tree, or as a list where the filters leave some out."""
    chosen = filters.jobs(graph, table, jobs) if filters.selective else jobs
    shown = 0
    most = filters.most_jobs
    while batch := list(islice(chosen, _BATCH if most is None else min(_BATCH, most - shown))):
        graph.prefetch_calls(job.call for _, job in batch)
        for depth, job in batch:
            indent = "" if filters.selective else "  " * min(depth, _DEPTH)
            yield indent + job_line(graph, table, job, paint)
        shown += len(batch)
    if shown == 0:
        yield "No job matches." if filters.selective else "No jobs."
    elif next(chosen, None) is not None:
        yield f"... more than {shown:,} jobs: -n 0 lists all"


#: Jobs whose calls are read together, and levels that are indented.
_BATCH = 200
_DEPTH = 60
