"""`redun reindex`: the tables that questions are answered from, made anew."""

from __future__ import annotations

import click

from redun.cli.context import common_options, open_store, settings, write_out
from redun.cli.steps import steps
from redun.cli.units import size_text


@click.command(short_help="Make the indexes anew.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def reindex(ctx: click.Context, as_json: bool) -> None:
    """Drop the indexes of the store and make them anew from its executions.

    They answer who made a value, who took it, which jobs a task had. Commands that ask bring them up to date by
    themselves, and fsck says whether they are as they should be; this is for when they are not. Nothing can be lost,
    runs may go on meanwhile, and what is interrupted is finished by the next that asks.

    \b
    redun reindex
    """
    found = settings(ctx)
    with open_store(found, read_only=False) as store:
        with steps(wanted=not found.quiet) as progress:
            executions = store.rebuild_index(progress=progress)
        size = store.index().size()
    if as_json:
        import json

        write_out(json.dumps({"executions": executions, "rows": size.rows, "bytes": size.stored}) + "\n")
    elif not found.quiet:
        noun = "execution" if executions == 1 else "executions"
        write_out(f"indexed {executions:,} {noun}: {size.rows:,} rows, about {size_text(size.stored)}\n")
