"""`redun clone`: a store made of a remote."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import click

from redun.cli.context import output_options, settings
from redun.cli.exits import UsageError
from redun.cli.steps import steps
from redun.cli.sync_view import say
from redun.core.forms import printable


@click.command(short_help="Make a store with all that a remote has.")
@click.argument("url")
@click.argument("directory", required=False)
@click.option(
    "--trust",
    type=click.Choice(("provenance", "cache", "run")),
    default="cache",
    show_default=True,
    help="What is believed of it: its history; also that its results are right; run means today what cache does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@output_options
@click.pass_context
def clone(ctx: click.Context, url: str, directory: str | None, trust: str, as_json: bool) -> None:
    """Make a project's store in DIRECTORY with all that the store at URL has, and name that origin. Who clones a store
    means to use it, so its results are believed unless --trust says otherwise.

    \b
    redun clone ada@host:projects/genome
    redun clone /mnt/backup/genome here --trust provenance
    redun clone genome.bundle                from a file of redun bundle create
    """
    # Here and not at the top: `redun clone --help` does without.
    from redun.store import Store
    from redun.store.locate import ignore_in_git, store_place
    from redun.store.sync.sync import format_of

    found = settings(ctx)
    named = PurePosixPath(url.rstrip("/").replace(":", "/")).name.removesuffix(".bundle")
    target = Path(directory or named or ".")
    place = store_place(str(target))
    if (place / "FORMAT").exists():
        raise UsageError(
            f"there is a store already: {printable(str(place))}", hint="redun remote add origin URL; redun pull"
        )
    name = format_of(url, Store.open)
    with Store.init(place, object_format=name) as store, steps(wanted=not found.quiet) as progress:
        ignore_in_git(place.parent)
        store.sync.add_remote("origin", url, trust=trust)  # type: ignore[arg-type]  # click has checked it
        moved = store.sync.pull("origin", progress=progress)
    say(found, moved, f"Cloned to {printable(str(target))} from", as_json=as_json)
