"""`redun convert`: the store in the other object format."""

from __future__ import annotations

import click

from redun.cli.context import common_options, existing_store, settings, write_out
from redun.cli.steps import steps


@click.command(short_help="Name objects in another way.")
@click.option(
    "--to",
    "name",
    type=click.Choice(["xxh3-128", "sha256"]),
    required=True,
    help="How objects are to be named. sha256 is for stores that take objects from strangers.",
)
@click.option("--discard", is_flag=True, help="Remove the store as it was, instead of keeping it beside the new one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def convert(ctx: click.Context, name: str, discard: bool, as_json: bool) -> None:
    """Write every object of the store anew in another object format; history, tags and cache stay.

    No run may be going on. The new store takes the place of the old one in one step, when it is complete; the old one
    is kept as store.before-convert. Ids that you know from before are still found.

    Example: redun convert --to sha256
    """
    # Here and not at the top: help loads no store.
    from redun.core.forms import printable
    from redun.store import convert as make

    found = settings(ctx)
    path = existing_store(found)
    with steps(wanted=not found.quiet) as progress:
        made = make(path, name, keep=not discard, progress=progress)
    if as_json:
        import json

        kept = None if made.kept is None else str(made.kept)
        write_out(json.dumps({"store": str(path), **made._asdict(), "kept": kept}) + "\n")
    elif found.quiet:
        return
    elif made.before == made.after:
        write_out(f"{printable(str(path))} has object format {name} already\n")
    else:
        write_out(f"{printable(str(path))}: {made.objects:,} objects, {made.before} before, {made.after} now\n")
        forgotten = f"; {made.forgotten:,} could not be named anew and run again" if made.forgotten else ""
        write_out(f"cached results: {made.cache:,}{forgotten}\n")
        if made.kept is not None:
            write_out(f"as it was: {printable(str(made.kept))}\n")
