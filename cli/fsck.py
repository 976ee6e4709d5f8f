"""`redun fsck`: whether the store is sound. It only reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from redun.cli.colors import Paint
from redun.cli.context import Settings, common_options, existing_store, settings, write_out
from redun.cli.exits import DAMAGE_REMAINS, OK, CannotCheck
from redun.cli.steps import steps
from redun.core.errors import StoreError
from redun.core.forms import printable

if TYPE_CHECKING:
    from redun.store import Problem


@click.command(short_help="Check that the store is sound.")
@click.option(
    "--level",
    type=click.IntRange(0, 4),
    default=4,
    show_default=True,
    metavar="N",
    help="How deep to look: 0 the data file; 1 the bytes of every object; 2 where pointers, refs, live runs and cache "
    "entries lead; 4 whether every object can be decoded. Each includes those before it; 3 is as 2.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def fsck(ctx: click.Context, level: int, as_json: bool) -> int:
    """Check that the store is sound, and say what is wrong, where, and what to do.

    Nothing is written, and runs may go on meanwhile. The exit code is 0 where all is well, 11 where there is damage,
    and 12 where the store could not be checked.

    \b
    redun fsck                               everything
    redun fsck --level 0                     only the structure of the data file
    """
    found = settings(ctx)
    counts: dict[str, int] = {}
    try:
        path = existing_store(found)
        problems = _problems(path, level, counts, wants_progress=not found.quiet)
        number = _print_json(path, level, counts, problems) if as_json else _print(path, counts, problems, found)
    except StoreError as error:
        raise CannotCheck(error.message, hint=error.hint) from error
    return DAMAGE_REMAINS if number else OK


def _problems(path: Path, level: int, counts: dict[str, int], *, wants_progress: bool) -> Iterator[Problem]:
    from redun.store import check  # here, as everywhere in commands: help loads no store

    with steps(wanted=wants_progress) as shown:

        def progress(what: str, done: int, total: int) -> None:
            counts[what] = done
            shown(what, done, total)

        for problem in check(path, level=level, progress=progress):
            shown.clear()
            yield problem


def _print(path: Path, counts: dict[str, int], problems: Iterator[Problem], found: Settings) -> int:
    paint: Paint = found.paint(sys.stdout)
    number = 0
    for problem in problems:
        number += 1
        label = paint(f"{problem.what}:", "failed")
        write_out(f"{label} {printable(problem.message)}; {printable(problem.remedy)}\n")
    if found.quiet:
        return number
    seen = [f"{counts[what]:,} {words}" for what, words in _WORDS.items() if what in counts]
    verdict = paint(f"{number:,} problem{'s' if number > 1 else ''}", "failed") if number else paint("sound", "done")
    write_out(f"{printable(str(path))}: {verdict}{' (' + ', '.join(seen) + ')' if seen else ''}\n")
    return number


_WORDS = {"objects": "objects", "cache": "cache entries"}


def _print_json(path: Path, level: int, counts: dict[str, int], problems: Iterator[Problem]) -> int:
    import json

    listed = [problem._asdict() for problem in problems]
    document = {
        "store": str(path),
        "level": level,
        "sound": not listed,
        "objects": counts.get("objects"),
        "cache_entries": counts.get("cache"),
        "problems": listed,
    }
    write_out(json.dumps(document) + "\n")
    return len(listed)
