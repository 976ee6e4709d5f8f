"""`redun backup`: the whole store as one file."""

from __future__ import annotations

import sys

import click

from redun.cli.context import common_options, open_store, output_errors, settings, write_out
from redun.cli.exits import UsageError
from redun.cli.steps import steps
from redun.cli.units import size_text

#: The file that stands for standard output, or input.
STREAM = "-"


@click.command(short_help="Write the store as one file.")
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def backup(ctx: click.Context, file: str, as_json: bool) -> None:
    """Write the whole store as one FILE, of which `redun restore` makes a store again, on another machine too.

    Objects, history, tags and what is cached are in it. Runs may go on meanwhile; those that are not at their end are
    not in it. The file appears when it is complete; what is there already is not replaced. FILE may be - for standard
    output. It holds every value as it is: keep it as safe as the store.

    \b
    redun backup ~/project-$(date +%F).redun
    redun backup - | zstd | ssh host 'cat > project.redun.zst'
    """
    found = settings(ctx)
    if file == STREAM:
        _check_stream(as_json)
    with open_store(found) as store, steps(wanted=not found.quiet) as progress:
        if file == STREAM:
            with output_errors():
                made = store.backup(sys.stdout.buffer, progress=progress)
                sys.stdout.buffer.flush()
        else:
            made = store.backup(file, progress=progress)
    if as_json:
        import json

        write_out(json.dumps({"file": file, **made._asdict()}) + "\n")
    elif not found.quiet and file != STREAM:
        # Here and not at the top, as all that is not needed for help.
        from redun.core.forms import printable

        write_out(f"{printable(file)}: {made.objects:,} objects, {size_text(made.size)}\n")


def _check_stream(as_json: bool) -> None:
    if as_json:
        raise UsageError("--json and a backup cannot both go to standard output", hint="name a file")
    if sys.stdout.isatty():
        raise UsageError("a backup is nothing for a terminal", hint="redun backup FILE, or redirect the output")
