"""`redun log`: the history, and anything in it by the start of its id."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import chain, islice

import click

from redun.cli.colors import Paint
from redun.cli.context import common_options, open_store, settings
from redun.cli.exits import OK, UsageError
from redun.cli.filters import Filters, read_since, read_status
from redun.cli.history_view import run_line
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

            write_lines([json_text(document(store, named, filters))], found)
        else:
            write_lines(_lines(store, named, filters, found.paint(sys.stdout)), found)
    return OK


def _lines(store: Store, named: Named | None, filters: Filters, paint: Paint) -> Iterator[str]:
    if named is None:
        return _list(store, filters, paint)
    # here and not at the top: the list of executions does without what reads calls and values
    from redun.cli.graph import Graph

    graph = Graph(store)
    if isinstance(named, Run) or (isinstance(named, JobName) and filters.given()):
        from redun.cli import job_lists

        if isinstance(named, Run):
            return job_lists.run_view(graph, named, filters, paint)
        return job_lists.jobs_below(graph, named, filters, paint)
    from redun.cli import details

    if isinstance(named, JobName):
        return details.job_view(graph, named, paint)
    if isinstance(named, TaskName):
        return details.task_view(graph, named, paint)
    view = details.VIEWS.get(named.kind)
    if view is not None:
        return view(graph, named.digest, paint)
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
