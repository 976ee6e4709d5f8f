"""`redun gc`: sweeps what nothing leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from redun.cli.context import common_options, open_store, settings, write_out
from redun.cli.project import project_settings
from redun.cli.steps import steps
from redun.cli.units import Duration, Size, size_text

if TYPE_CHECKING:
    from redun.store import Collection


@click.command(short_help="Sweep what no execution leads to.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be swept, and change nothing.")
@click.option("--max-size", type=Size(), metavar="SIZE", help="Prune the oldest executions until the rest fits: 20GB.")
@click.option(
    "--keep-cache", type=Duration(), metavar="AGE", help="Results of pruned executions younger than that stay cached."
)
@click.option(
    "--expire",
    type=Duration(),
    metavar="AGE",
    help="What was swept longer ago is removed for good (default: 7d); `now` removes all of it.",
)
@click.option("--compact", is_flag=True, help="Give bytes back to the file system; removes all that was swept.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def gc(
    ctx: click.Context,
    dry_run: bool,
    max_size: int | None,
    keep_cache: int | None,
    expire: int | None,
    compact: bool,
    as_json: bool,
) -> None:
    """Sweep what no ref, execution or live run leads to, and forget cached results that were swept.

    What is swept can be had back for a week: whoever asks for it finds it. Runs may go on meanwhile, except where the
    file is compacted. Executions go only by `redun prune`, or by --max-size. What is not given is taken from the
    project's settings (see redun config).

    \b
    redun gc --dry-run                       what would go
    redun prune --keep-within 90d && redun gc --compact
    """
    from redun.store import GcOptions  # here: help loads no store
    from redun.store.gc.collect import EXPIRY_S

    found = settings(ctx)
    project = project_settings(found)
    if project is not None:
        expire = project.gc.expire if expire is None else expire
        max_size = project.gc.max_size if max_size is None else max_size
        keep_cache = project.gc.keep_cache if keep_cache is None else keep_cache
    options = GcOptions(dry_run, EXPIRY_S if expire is None else expire, keep_cache or 0, max_size, compact)
    with open_store(found, read_only=dry_run) as store, steps(wanted=not found.quiet) as progress:
        collection = store.collect_garbage(options, progress)
    if as_json:
        import json

        write_out(json.dumps(_document(collection, dry_run=dry_run)) + "\n")
    elif not found.quiet:
        _print(collection, dry_run=dry_run)


def _document(found: Collection, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "kept": found.kept._asdict(),
        "swept": {kind: amount._asdict() for kind, amount in sorted(found.swept.items())},
        "cache_entries": found.rows,
        "restored": found.restored,
        "emptied": found.emptied._asdict(),
        "pruned": found.pruned,
        "file": {"before": found.file[0], "after": found.file[1]},
        "alone": found.alone,
    }


def _print(found: Collection, *, dry_run: bool) -> None:
    write_out(f"kept      {found.kept.objects:>12,} objects  {size_text(found.kept.size):>8}\n")
    for kind, amount in sorted(found.swept.items()):
        verb = "would go" if dry_run else "swept"
        write_out(f"{verb:<9} {amount.objects:>12,} {kind:<8} {size_text(amount.size):>8}\n")
    if not found.swept:
        write_out("nothing to sweep\n")
    if found.pruned:
        write_out(
            f"{found.pruned:,} of the oldest executions {'would be' if dry_run else 'were'} pruned to make room\n"
        )
    if found.restored:
        verb = "would be had back" if dry_run else "had back"
        write_out(f"{verb} from what was swept: {found.restored:,} objects\n")
    if found.rows:
        write_out(f"cached results {'that would be ' if dry_run else ''}forgotten: {found.rows:,}\n")
    if found.emptied.objects:
        size = size_text(found.emptied.size)
        write_out(f"removed for good: {found.emptied.objects:,} objects, {size}\n")
    before, after = found.file
    if after < before:
        write_out(f"data file: {size_text(before)} before, {size_text(after)} now\n")
    if not found.alone and not dry_run:
        write_out("the store is open elsewhere: files of large values are removed by a later gc\n")
