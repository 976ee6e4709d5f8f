"""`redun replay`: one recorded call again, with its exact arguments and the code of now."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from redun.cli import exits
from redun.cli.context import common_options, open_store, settings, write_out
from redun.cli.exits import UsageError
from redun.core.errors import NotFound

if TYPE_CHECKING:
    from redun.cli.graph import Graph
    from redun.cli.job_table import Job, Place
    from redun.executor.replay import Replay, Replayed


@click.command(short_help="Run one recorded call again.")
@click.option("--debug", is_flag=True, help="Run it in the debugger, from its first line.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.argument("name", metavar="JOB")
@click.argument("target", metavar="[FILE_OR_MODULE]", required=False)
@click.pass_context
def replay(ctx: click.Context, debug: bool, as_json: bool, name: str, target: str | None) -> int:
    """Run the body of one recorded job again: with the arguments that the store has of it, and the code of now. Says
    whether the code has changed since, and whether the result is what was recorded. Nothing is written to the store.

    JOB is the start (4 characters or more) of the id of a job, or of a call; of an execution (`-` is the latest) it is
    the job that it began with. The workflow is that of the recorded command, unless another is named. The exit code is
    0 where the result is what was recorded, else 1.

    \b
    redun replay 5ede15ae                    the job again
    redun replay 5ede15ae --debug            in the debugger
    redun replay 5ede15ae workflow.py        a workflow that lies elsewhere now
    """
    found = settings(ctx)
    if debug and as_json:
        raise UsageError("--json and --debug contradict each other", hint="give one of them")
    # Late, as all below: help loads no store.
    from redun.cli.graph import Graph
    from redun.cli.loading import load
    from redun.cli.project import own_packages, project_settings
    from redun.core.job_info import JobInfo
    from redun.executor.replay import prepare_replay
    from redun.store.lookup_names import find

    own_packages(found)
    project_settings(found)
    tell = _silent if found.quiet else _tell
    with open_store(found) as store:
        graph = Graph(store)
        table, lineage = _place(graph, name, find(store, name))
        job = lineage[-1]
        if job.call is None:
            raise NotFound(f"job {table.id(job)[:8]} has no call: it ended before its arguments were known")
        load(target or workflow_of(table.run.argv), _tell)
        info = JobInfo(_uuid(table.run.uuid), table.id(job))
        ready = prepare_replay(store, job.call, info)
        tell(f"Job {table.id(job)[:8]}: {graph.call_text(job.call)}")
        for line in _remarks(ready):
            tell(line)
        outcome = _again(ready, store, debug=debug, tell=tell)
        if as_json:
            _write_json(_document(graph, table.id(job), job, ready, outcome))
        else:
            _show(graph, ready, outcome, tell)
    return exits.OK if outcome.is_same is not False else exits.FAILED


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _silent(line: str) -> None:
    pass


def _place(graph: Graph, name: str, named: Any) -> Place:
    from redun.cli.job_table import JobTable, place_of
    from redun.cli.search import jobs_of_call
    from redun.store.lookup_names import JobName, ObjectName, Run

    if isinstance(named, JobName):
        return place_of(graph, named)
    if isinstance(named, Run):
        table = JobTable(graph, named)
        lineage = table.lineage(0)
        if lineage:
            return table, lineage
    if isinstance(named, ObjectName) and named.kind == "call":
        places = jobs_of_call(graph, named.digest, 1)
        if places:
            return places[0]
    raise NotFound(
        f"{name} is neither a job nor a call that has one", hint="redun log - lists the jobs of the latest execution"
    )


def workflow_of(argv: tuple[str, ...]) -> str:
    """Returns the workflow that a recorded command line names.

    Raises:
        UsageError: if that is none of `redun run`.
    """
    from redun.cli.run import run

    words = list(argv)
    if "run" in words:
        try:
            context = run.make_context("run", words[words.index("run") + 1 :], resilient_parsing=True)
            target = context.params.get("target")
        except click.ClickException:
            target = None
        if target:
            return str(target)
    raise UsageError("the recorded command names no workflow", hint="redun replay JOB FILE")


def _uuid(uuid: bytes) -> str:
    from uuid import UUID

    return str(UUID(bytes=uuid))


def _remarks(ready: Replay) -> list[str]:
    from redun.core.forms import printable

    lines = []
    if not ready.is_same_code:
        lines.append("Its code is not that of the record:")
        lines += [f"  {change.text()}" for change in ready.changes] or ["  what it was is not in the store any more"]
    lines += [f"Not as it was then: {printable(external.describe())}" for external in ready.changed]
    return lines


def _again(ready: Replay, store: Any, *, debug: bool, tell: Callable[[str], None]) -> Replayed:
    from redun.executor.replay import replay as again

    if not debug:
        return again(ready, store)
    from redun.cli.debugging import debugger, post_mortem, step_into

    with debugger():
        outcome = again(ready, store, step_into)
        if outcome.error is not None:
            tell(f"It raised {type(outcome.error).__name__}")
            post_mortem(outcome.error)
    return outcome


_SAME = {True: "the same as recorded", False: "not what was recorded", None: "not to be compared with the record"}


def _show(graph: Graph, ready: Replay, outcome: Replayed, tell: Callable[[str], None]) -> None:
    from redun.cli.results import error_lines, loading_lines, result_text
    from redun.core.expressions import is_lazy

    sys.stdout.flush()
    if outcome.error is not None:
        for line in loading_lines(outcome.error) or error_lines(outcome.error):
            _tell(line)
    elif is_lazy(outcome.value):
        write_out(repr(outcome.value) + "\n")
    else:
        write_out(result_text(outcome.value))
    what = "The error" if outcome.error is not None else "The calls" if is_lazy(outcome.value) else "The result"
    verb = "are" if what == "The calls" else "is"
    tell(f"{what} {verb} {_SAME[outcome.is_same]}")
    if outcome.is_same is False:
        tell(f"Recorded: {graph.outcome_text(ready.record)}")


def _document(graph: Graph, job_id: str, job: Job, ready: Replay, outcome: Replayed) -> dict[str, Any]:
    from redun.cli.render import safe_repr, shorten
    from redun.core.expressions import is_lazy

    call = job.call
    return {
        "job": job_id,
        "call": None if call is None else call.hex(),
        "task": ready.task.fullname,
        "same_code": ready.is_same_code,
        "code_changes": [change.text() for change in ready.changes],
        "changed": [external.describe() for external in ready.changed],
        "outcome": "error" if outcome.error is not None else "calls" if is_lazy(outcome.value) else "value",
        "result_repr": None if outcome.error is not None else shorten(safe_repr(outcome.value), 10_000),
        "error": None if outcome.error is None else f"{type(outcome.error).__name__}: {outcome.error}",
        "recorded": graph.outcome_text(ready.record),
        "same": outcome.is_same,
    }


def _write_json(document: dict[str, Any]) -> None:
    from redun.cli.log_json import json_text

    write_out(json_text(document) + "\n")
