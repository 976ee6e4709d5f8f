"""`redun push`: gives a remote what this store has."""

from __future__ import annotations

import click

from redun.cli.context import common_options, open_store, settings
from redun.cli.remotes_of import sync_of
from redun.cli.steps import steps
from redun.cli.sync_view import say


@click.command(short_help="Give a remote what this store has.")
@click.argument("remote", metavar="[REMOTE]", default="origin")
@click.option("--dry-run", is_flag=True, help="Say what would move, and leave it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def push(ctx: click.Context, remote: str, dry_run: bool, as_json: bool) -> None:
    """Give a remote (its name, default origin, or its URL) the history of this store with all that it leads to. Only
    what is not there moves. What breaks off leaves both sides whole, and goes on from there when it is done again.

    \b
    redun push                               to origin
    redun push backup --dry-run              what would go to another one
    redun push ada@host:projects/genome      to a URL
    """
    found = settings(ctx)
    with open_store(found) as store, steps(wanted=not found.quiet) as progress:
        moved = sync_of(store, found).push(remote, dry_run=dry_run, progress=progress)
    say(found, moved, "Would push to" if dry_run else "Pushed to", as_json=as_json)
