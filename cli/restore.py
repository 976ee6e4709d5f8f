"""`redun restore`: files whose bytes are in the store, and a store made of a backup."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from redun.cli.backup import STREAM
from redun.cli.context import Settings, common_options, settings, write_out
from redun.cli.exits import UsageError
from redun.cli.steps import steps
from redun.cli.units import size_text


@click.command(short_help="Bring back archived files, or a store from a backup.")
@click.argument("names", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="PATH", help="Where to write the one file or directory (default: where it was)."
)
@click.option("--state", metavar="HASH", help="The state with that hash (default: the newest that is archived).")
@click.option("--from", "execution", metavar="EXEC", help="The state in which that execution had it.")
@click.option("--force", is_flag=True, help="Write over files that are there with another content.")
@click.option("--at", metavar="DIR", help="FILE is a backup: the project to make a store in (default: where you are).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def restore(
    ctx: click.Context,
    names: tuple[str, ...],
    output: str | None,
    state: str | None,
    execution: str | None,
    force: bool,
    at: str | None,
    as_json: bool,
) -> None:
    """Bring back files, or make a store of a backup.

    A file comes back whose bytes a task kept: @task(archive=True), or File(...).archive() where it was returned. FILE
    is its path, that of a directory, or a pattern. redun log FILE tells its states. Nothing is written over a file that
    has changed without --force.

    Where FILE is what redun backup wrote (- for standard input), it makes .redun/store of a project of it. There must
    be no store yet, or one that holds nothing. Every byte is checked before anything can be seen. What is cached in it
    is believed as if it was computed here: restore what you trust as your own. Tasks that were given a secret run once
    more.

    \b
    redun restore out/model.bin              as it was last seen
    redun restore out/model.bin --state 3bea8a9a -o old.bin
    redun restore 'out/*.csv' --from ~1      as the execution before the latest had them
    redun restore ~/project-2026-05-01.redun --at elsewhere
    """
    found = settings(ctx)
    chosen = {"-o": output, "--state": state, "--from": execution, "--force": force or None}
    given = [option for option, value in chosen.items() if value is not None]
    if at is not None or STREAM in names or (not given and all(map(_is_backup, names))):
        name, *others = names
        if others:
            raise UsageError("one backup makes one store", hint="restore one at a time")
        if given:
            raise UsageError(f"{given[0]} is for files, not for a backup", hint="leave it out")
        _make_store(name, at or ".", found, as_json=as_json)
        return
    # Here and not at the top: `redun restore --help` does without.
    from redun.cli.restore_files import Choice, restore_files

    restore_files(found, names, Choice(output, state, execution, force), as_json=as_json)


def _is_backup(name: str) -> bool:
    """Whether there is a file that begins as backups do."""
    from redun.store.packs import is_pack

    return is_pack(name)


def _make_store(name: str, at: str, found: Settings, *, as_json: bool) -> None:
    from redun.core.forms import printable
    from redun.store import restore as make
    from redun.store.locate import ignore_in_git, store_place

    if found.store is not None:
        raise UsageError("--store names a store that exists", hint="--at names the project to make one in")
    place = store_place(at)
    with steps(wanted=not found.quiet) as progress:
        made = make(sys.stdin.buffer if name == STREAM else Path(name), place, progress=progress)
    ignore_in_git(place.parent)
    if as_json:
        import json

        write_out(json.dumps({"store": str(place), **made._asdict()}) + "\n")
    elif not found.quiet:
        write_out(f"Made a store in {printable(str(place))}: {made.objects:,} objects, {size_text(made.size)} read\n")
