"""`redun diff`: what differs between two executions, and why jobs ran in one and not in the other.

Read from the store: no user code runs and nothing stored is instantiated.
"""

from __future__ import annotations

import sys
from typing import Final

import click

from redun.cli.context import common_options, open_store, settings
from redun.cli.diff_view import diff_lines
from redun.cli.exits import OK
from redun.cli.graph import Graph
from redun.cli.log_json import json_text
from redun.cli.pager import write_lines
from redun.cli.run_diff import run_diff
from redun.core.errors import NotFound
from redun.core.json_form import record_to_json
from redun.store import Store
from redun.store.lookup_names import JobName, Run, TaskName, find

#: Things of each sort that are listed where the user names no number.
_LISTED: Final = 20


@click.command(short_help="What differs between two executions.")
@click.option("-n", "number", type=click.IntRange(min=0), metavar="N", help="Listed at most of each sort; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.argument("old", metavar="EXEC_A")
@click.argument("new", metavar="EXEC_B")
@click.pass_context
def diff(ctx: click.Context, number: int | None, as_json: bool, old: str, new: str) -> int:
    """Show what differs between two executions: their results, the code of their tasks, the jobs that ran in one and
    were cached in the other, and why, and the values that jobs took and gave.

    An execution is named by the start (4 characters or more) of its id; `-` is the latest, `~1` the one before it.

    \b
    redun diff ~1 -                          the latest two executions
    redun diff d1419df0 67fa7eb7 -n 0        any two, nothing left out
    redun diff ~1 - --json                   the same for programs
    """
    found = settings(ctx)
    with open_store(found) as store:
        before, after = _execution(store, old), _execution(store, new)
        facts = run_diff(Graph(store), before, after)
        if as_json:
            write_lines([json_text(record_to_json(facts))], found)
        else:
            most = _LISTED if number is None else number or None
            write_lines(diff_lines(facts, before, after, most, found.paint(sys.stdout)), found)
    return OK


def _execution(store: Store, name: str) -> Run:
    named = find(store, name)
    if isinstance(named, Run):
        return named
    kind = "job" if isinstance(named, JobName) else "task" if isinstance(named, TaskName) else named.kind
    raise NotFound(f"{name} is a {kind}, not an execution", hint="redun log lists the executions")
