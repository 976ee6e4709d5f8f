"""`redun restore`: a store made of a backup."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from redun.cli.backup import STREAM
from redun.cli.context import output_options, settings, write_out
from redun.cli.exits import UsageError
from redun.cli.steps import steps
from redun.cli.units import size_text


@click.command(short_help="Make a store of a backup.")
@click.argument("file", metavar="FILE")
@click.option("--at", metavar="DIR", default=".", help="The project to make the store in (default: where you are).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@output_options
@click.pass_context
def restore(ctx: click.Context, file: str, at: str, as_json: bool) -> None:
    """Make a store of what `redun backup` wrote to FILE (- for standard input), as .redun/store of a project.

    There must be no store yet, or one that holds nothing. Every byte is checked before anything can be seen. What is
    cached in it is believed as if it was computed here: restore what you trust as your own. Tasks that were given a
    secret run once more.

    \b
    redun restore ~/project-2026-05-01.redun
    zstd -dc project.redun.zst | redun restore - --at elsewhere
    """
    # Here and not at the top: `redun restore --help` does without.
    from redun.core.forms import printable
    from redun.store import restore as make
    from redun.store.locate import ignore_in_git, store_place

    found = settings(ctx)
    if found.store is not None:
        raise UsageError("--store names a store that exists", hint="--at names the project to make one in")
    place = store_place(at)
    with steps(wanted=not found.quiet) as progress:
        made = make(sys.stdin.buffer if file == STREAM else Path(file), place, progress=progress)
    ignore_in_git(place.parent)
    if as_json:
        import json

        write_out(json.dumps({"store": str(place), **made._asdict()}) + "\n")
    elif not found.quiet:
        write_out(f"Made a store in {printable(str(place))}: {made.objects:,} objects, {size_text(made.size)} read\n")
