"""`redun init`: makes a store."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

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
@click.option(
    "--compression",
    type=click.Choice(["none", "zstd"]),
    help="Whether what is put from now on is compressed where that saves something (default: as it is; none in a new "
    "store). What is there stays as it is.",
)
@click.option("--at", metavar="PATH", help="Keep the store in PATH; .redun becomes a file that points there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@output_options
@click.pass_context
def init(
    ctx: click.Context,
    directory: str,
    object_format: str | None,
    compression: Literal["none", "zstd"] | None,
    at: str | None,
    as_json: bool,
) -> None:
    """Make a store in DIR (default: the working directory), as .redun/store.

    A store that is there already is left as it is, but for --compression, which may change at any time. Commands find
    it from any directory below DIR.

    Example: redun init --at /scratch/me/project
    """
    # Here and not at the top: `redun init --help` does without.
    from redun.core.forms import printable
    from redun.store import Store
    from redun.store.compression import check_compression
    from redun.store.locate import CONFIG_NAME, create_store, object_format_of, store_of

    found = settings(ctx)
    if found.store is not None:
        raise UsageError("--store names a store that exists", hint="write redun init DIR, or --at PATH")
    if compression is not None:
        check_compression(compression)
    before = store_of(directory)
    store = create_store(directory, object_format=object_format, at=at)
    naming = object_format_of(store)
    if compression is not None:
        Store.init(store, object_format=naming, compression=compression).close()
    if as_json:
        import json

        with Store.open(store, read_only=True) as opened:
            said = {"made": before is None, "store": str(store), "object_format": naming}
            write_out(json.dumps({**said, "compression": opened.compression}) + "\n")
        return
    if found.quiet:
        return
    told = naming if compression is None else f"{naming}, compression {compression}"
    if before is not None:
        write_out(f"{printable(str(before))} is a store already (object format {told})\n")
        return
    pointed = f", which {printable(str(Path(directory) / CONFIG_NAME))} points to" if at is not None else ""
    write_out(f"Made a store in {printable(str(store))} (object format {told}){pointed}\n")
