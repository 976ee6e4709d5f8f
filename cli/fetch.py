"""`redun fetch` and `redun pull`: get what a remote has."""

from __future__ import annotations

import click

from redun.cli.context import common_options, open_store, settings
from redun.cli.remotes_of import sync_of
from redun.cli.steps import steps
from redun.cli.sync_view import say


@click.command(short_help="Get the history of a remote, and leave this one as it is.")
@click.argument("remote", metavar="[REMOTE]", default="origin")
@click.option("--dry-run", is_flag=True, help="Say which histories would move, and leave them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def fetch(ctx: click.Context, remote: str, dry_run: bool, as_json: bool) -> None:
    """Get the history of a remote (its name, default origin, or its URL) with all that it leads to. redun pull makes it
    part of the history here, and its results hits where the remote is trusted with that.

    Example: redun fetch origin --dry-run
    """
    found = settings(ctx)
    with open_store(found, read_only=False) as store, steps(wanted=not found.quiet) as progress:
        moved = sync_of(store, found).fetch(remote, dry_run=dry_run, progress=progress)
    say(found, moved, "Would fetch from" if dry_run else "Fetched from", as_json=as_json)


@click.command(short_help="Get the history of a remote, and what it computed as hits.")
@click.argument("remote", metavar="[REMOTE]", default="origin")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def pull(ctx: click.Context, remote: str, as_json: bool) -> None:
    """Get the history of a remote (its name, default origin, or its URL) with all that it leads to. redun log then
    shows its executions beside those of here. Where it is trusted with `cache`, what it computed is a hit here.

    \b
    redun pull                               from origin
    redun pull backup                        from another one
    """
    found = settings(ctx)
    with open_store(found, read_only=False) as store, steps(wanted=not found.quiet) as progress:
        moved = sync_of(store, found).pull(remote, progress=progress)
    say(found, moved, "Pulled from", as_json=as_json)
