"""`redun init`: makes a store."""

from __future__ import annotations

from pathlib import Path

import click

from redun.cli.context import output_options, settings, write_out
from redun.cli.exits import UsageError


@click.command(short_help="Make a store.")
@click.argument("directory", required=False, default=".", metavar="[DIR]")
@click.option(
    "--object-format",
    type=click.Choice(["xxh3-128", "sha256"]),
    help="How objects are named, for the life of the store (default: xxh3-128). "
    "sha256 is for stores that take objects from strangers.",
)
@click.option("--at", metavar="PATH", help="Keep the store in PATH; .redun becomes a file that points there.")
@output_options
@click.pass_context
def init(ctx: click.Context, directory: str, object_format: str | None, at: str | None) -> None:
    """Make a store in DIR (default: the working directory), as .redun/store.

    A store that is there already is left as it is. Commands find it from any directory below DIR.

    Example: redun init --at /scratch/me/project
    """
    # Here and not at the top: `redun init --help` does without.
    from redun.core.forms import printable
    from redun.store.locate import CONFIG_NAME, create_store, object_format_of, store_of

    found = settings(ctx)
    if found.store is not None:
        raise UsageError("--store names a store that exists", hint="write redun init DIR, or --at PATH")
    before = store_of(directory)
    store = create_store(directory, object_format=object_format, at=at)
    if found.quiet:
        return
    if before is not None:
        write_out(f"{printable(str(before))} is a store already (object format {object_format_of(before)})\n")
        return
    pointed = f", which {printable(str(Path(directory) / CONFIG_NAME))} points to" if at is not None else ""
    write_out(f"Made a store in {printable(str(store))} (object format {object_format_of(store)}){pointed}\n")
