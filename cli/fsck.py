"""`redun fsck`: whether the store is sound; with --repair, what is not is mended."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redun.cli.colors import Paint
from redun.cli.context import Settings, common_options, existing_store, settings, write_out
from redun.cli.exits import DAMAGE_REMAINS, OK, REPAIRED, CannotCheck, UsageError
from redun.cli.steps import steps
from redun.core.errors import StoreError
from redun.core.forms import printable

if TYPE_CHECKING:
    from redun.store import Mended, Problem, Repaired


@click.command(short_help="Check that the store is sound, and repair it.")
@click.option(
    "--level",
    type=click.IntRange(0, 4),
    default=4,
    show_default=True,
    metavar="N",
    help="How deep to look: 0 the data file; 1 the bytes of every object; 2 where pointers, refs, live runs and cache "
    "entries lead; 3 the indexes; 4 whether every object can be decoded. Each includes those before it.",
)
@click.option("--repair", "mends", is_flag=True, help="Mend what is wrong. Needs the store alone.")
@click.option("-n", "--dry-run", is_flag=True, help="With --repair: say what would be done, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def fsck(ctx: click.Context, level: int, mends: bool, dry_run: bool, as_json: bool) -> int:
    """Check that the store is sound, and say what is wrong, where, and what to do.

    Nothing is written, and runs may go on meanwhile. The exit code is 0 where all is well, 11 where there is damage,
    and 12 where the store could not be checked.

    With --repair, what is wrong is mended: had back from where there is a good copy, else taken out. What is taken
    out is kept under damaged/ in the store, and declared lost; the next run that needs it makes it again. What is
    lost of the history is named, and the rest of it stays. The exit code is 10 where all was mended, 11 where damage
    remains.

    \b
    redun fsck                               everything
    redun fsck --level 0                     only the structure of the data file
    redun fsck --repair --dry-run            what a repair would do
    redun fsck --repair && redun run ...     mended; then what was lost is made again
    """
    found = settings(ctx)
    if dry_run and not mends:
        raise UsageError("--dry-run without --repair: nothing is written anyway", hint="redun fsck --repair --dry-run")
    try:
        path = existing_store(found)
        if mends and not dry_run:
            return _repair(path, level, found, as_json=as_json)
        counts: dict[str, int] = {}
        problems = _problems(path, level, counts, wants_progress=not found.quiet)
        if as_json:
            number = _print_json(path, level, counts, problems, plans=dry_run)
        else:
            number = _print(path, counts, problems, found, plans=dry_run)
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


def _print(path: Path, counts: dict[str, int], problems: Iterator[Problem], found: Settings, *, plans: bool) -> int:
    paint: Paint = found.paint(sys.stdout)
    number = 0
    for problem in problems:
        number += 1
        write_out(_problem_line(problem, paint, plan=plans))
    if found.quiet:
        return number
    seen = [f"{counts[what]:,} {words}" for what, words in _WORDS.items() if what in counts]
    verdict = paint(f"{number:,} problem{'s' if number > 1 else ''}", "failed") if number else paint("sound", "done")
    more = _known(counts) + (_MENDS if number and not plans else "")
    write_out(f"{printable(str(path))}: {verdict}{' (' + ', '.join(seen) + ')' if seen else ''}{more}\n")
    return number


def _problem_line(problem: Problem, paint: Paint, *, plan: bool) -> str:
    label = paint(f"{problem.what}:", "failed")
    then = f"with --repair {_plan(problem)}" if plan else problem.remedy
    return f"{label} {printable(problem.message)}; {printable(then)}\n"


def _plan(problem: Problem) -> str:
    from redun.store.mending.records import PLANS

    return PLANS.get(problem.what, PLANS["derived"])


def _known(counts: dict[str, int]) -> str:
    number = counts.get(_LOST, 0)
    if not number:
        return ""
    return f"; {number:,} object{'s are' if number > 1 else ' is'} known to be lost since a repair"


#: What the check calls losses that are declared.
_LOST = "known losses"
_MENDS = "; redun fsck --repair mends what can be mended"
_WORDS = {"objects": "objects", "cache": "cache entries"}


def _print_json(path: Path, level: int, counts: dict[str, int], problems: Iterator[Problem], *, plans: bool) -> int:
    listed = [problem._asdict() | ({"plan": _plan(problem)} if plans else {}) for problem in problems]
    document = {
        "store": str(path),
        "level": level,
        "sound": not listed,
        "objects": counts.get("objects"),
        "cache_entries": counts.get("cache"),
        "known_losses": counts.get(_LOST),
        "problems": listed,
    }
    _write_json(document)
    return len(listed)


def _write_json(document: dict[str, Any]) -> None:
    import json

    write_out(json.dumps(document) + "\n")


# -- repair -----------------------------------------------------------------------------------------------------------


def _repair(path: Path, level: int, found: Settings, *, as_json: bool) -> int:
    from redun.store import repair

    with steps(wanted=not found.quiet) as progress:
        repaired = repair(path, level=level, progress=progress)
    if as_json:
        document = {
            "store": str(path),
            "level": level,
            "sound": not repaired.remaining,
            "done": [mended._asdict() for mended in repaired.done],
            "problems": [problem._asdict() for problem in repaired.remaining],
            "kept": repaired.kept or None,
        }
        _write_json(document)
    else:
        _print_repaired(path, repaired, found)
    if repaired.remaining:
        return DAMAGE_REMAINS
    return REPAIRED if repaired.done else OK


def _print_repaired(path: Path, repaired: Repaired, found: Settings) -> None:
    paint: Paint = found.paint(sys.stdout)
    for mended in repaired.done:
        write_out(_mended_line(mended, paint))
    for problem in repaired.remaining:
        write_out(_problem_line(problem, paint, plan=False))
    if found.quiet:
        return
    if repaired.kept:
        write_out(f"what was taken out is kept in {printable(repaired.kept)}\n")
    number = len(repaired.remaining)
    if number:
        verdict = paint(f"{number:,} problem{'s remain' if number > 1 else ' remains'}", "failed")
    else:
        verdict = paint("repaired" if repaired.done else "sound", "done")
    write_out(f"{printable(str(path))}: {verdict}\n")


def _mended_line(mended: Mended, paint: Paint) -> str:
    return f"{paint(f'{mended.what}:', 'run' if mended.lost else 'done')} {printable(mended.message)}\n"
