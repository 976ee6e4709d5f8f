"""`redun show`: one screen about anything: what it is, who made it, who used it, what it depends on.

Read from the store: no user code runs and nothing stored is instantiated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from redun.cli import show_view
from redun.cli.code_facts import ObjectFacts, RunFacts, TaskFacts, object_facts, run_facts, task_facts
from redun.cli.colors import Paint
from redun.cli.context import common_options, open_store, settings
from redun.cli.exits import OK
from redun.cli.facts import CallFacts, JobFacts, ValueFacts, call_facts, job_facts, value_facts
from redun.cli.graph import Graph
from redun.cli.history_view import tags_text
from redun.cli.job_table import place_of
from redun.cli.log_json import json_text
from redun.cli.pager import write_lines
from redun.cli.said import document_with_tags, tagged_lines
from redun.core.digest import Digest
from redun.core.json_form import record_to_json
from redun.store import Store
from redun.store.lookup_names import JobName, Named, Run, TaskName, find

Facts = JobFacts | CallFacts | ValueFacts | TaskFacts | RunFacts | ObjectFacts


@click.command(short_help="One screen about anything.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.argument("name", metavar="ID")
@click.pass_context
def show(ctx: click.Context, as_json: bool, name: str) -> int:
    """Show one screen about what ID names: what it is, who made it, who used it, what it depends on. Of a task, what
    of its code is tracked and which versions there are.

    ID is the start (4 characters or more) of the id of an execution, job, call, task, value or any other object, or the
    name of a task. `-` is the latest execution, `~1` the one before it.

    \b
    redun show -                             the latest execution
    redun show greeter                       a task: what is tracked of its code, its versions
    redun show 5ede15ae                      a job, a call, a value, ...
    redun show 5ede15ae --json               the same for programs
    """
    found = settings(ctx)
    with open_store(found) as store:
        named = find(store, name)
        facts = facts_of(Graph(store), named)
        if as_json:
            document = {"tags": [list(tag) for tag in named.tags]} if isinstance(named, Run) else {}
            write_lines([json_text({**document_with_tags(store, named, _document(facts)), **document})], found)
        else:
            write_lines(_told(store, named, lines_of(facts, found.paint(sys.stdout))), found)
    return OK


def _told(store: Store, named: Named, lines: Iterator[str]) -> Iterator[str]:
    """The lines, with the tags of what they are about after the first."""
    if not isinstance(named, Run):
        yield from tagged_lines(store, named, lines)
        return
    yield next(lines)
    if named.tags:
        yield f"  tags {tags_text(named.tags)}"
    yield from lines


def facts_of(graph: Graph, named: Named) -> Facts:
    """Returns what there is to show of what a name means.

    Raises:
        NotFound: if it is a job that was never begun.
    """
    if isinstance(named, Run):
        return run_facts(graph, named)
    if isinstance(named, JobName):
        return job_facts(graph, place_of(graph, named))
    kind, digest = ("task", named.versions[0]) if isinstance(named, TaskName) else named
    return _object_facts(graph, kind, digest)


def _object_facts(graph: Graph, kind: str, digest: Digest) -> Facts:
    if kind == "value":
        return value_facts(graph, digest, bytes(graph.fetch(digest)[1]))
    call = graph.call(digest) if kind == "call" else None
    if call is not None:
        return call_facts(graph, digest, call)
    task = graph.task(digest) if kind == "task" else None
    if task is not None:
        return task_facts(graph, digest, task)
    return object_facts(graph, kind, digest)


def lines_of(facts: Facts, paint: Paint) -> Iterator[str]:
    """Returns the lines of facts."""
    if isinstance(facts, RunFacts):
        return show_view.show_run(facts, paint)
    if isinstance(facts, JobFacts):
        return show_view.show_job(facts, paint)
    if isinstance(facts, CallFacts):
        return show_view.show_call(facts, paint)
    if isinstance(facts, TaskFacts):
        return show_view.show_task(facts, paint)
    if isinstance(facts, ValueFacts):
        return show_view.show_value(facts, paint)
    return show_view.show_object(facts, paint)


def _document(facts: Facts) -> Any:
    return record_to_json(facts)
