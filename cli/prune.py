"""`redun prune`: which executions stay."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from redun.cli.context import common_options, open_store, settings, write_out
from redun.cli.exits import UsageError
from redun.cli.history_view import clock, uuid_text
from redun.cli.project import project_settings
from redun.cli.render import SHORT_ID
from redun.cli.steps import steps
from redun.cli.tag_options import read_tag_option
from redun.cli.units import Duration
from redun.core.forms import printable

if TYPE_CHECKING:
    from redun.store import Pruning


@click.command(short_help="Choose which executions stay.")
@click.option("--keep-last", type=click.IntRange(0), metavar="N", help="The N newest stay.")
@click.option("--keep-within", type=Duration(), metavar="DURATION", help="Those younger than that stay: 12h, 30d, 1y.")
@click.option("--keep-tag", multiple=True, metavar="NAME[=VALUE]", help="Those with that tag stay; may be repeated.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def prune(
    ctx: click.Context,
    keep_last: int | None,
    keep_within: int | None,
    keep_tag: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take executions out of the history. One rule that speaks for an execution keeps it.

    What only they led to stays in the store until `redun gc` sweeps it. What was pinned always stays (see redun pin). A
    rule that is not given is taken from the project's settings (see redun config).

    \b
    redun prune --keep-last 20 --dry-run     what would go
    redun prune --keep-within 30d --keep-tag release
    """
    project = project_settings(settings(ctx))
    if project is not None:
        keep_last = project.prune.keep_last if keep_last is None else keep_last
        keep_within = project.prune.keep_within if keep_within is None else keep_within
        keep_tag = keep_tag or project.prune.keep_tag
    if keep_last is None and keep_within is None and not keep_tag:
        raise UsageError("no rule says what stays", hint="for example --keep-last 20, or --keep-within 30d")
    from redun.store import KeepRules  # here: help loads no store

    since = None if keep_within is None else time.time_ns() // 1000 - keep_within * 1_000_000
    rules = KeepRules(last=keep_last or 0, since=since, tags=tuple(map(read_tag_option, keep_tag)))
    quiet = settings(ctx).quiet
    with open_store(settings(ctx), read_only=dry_run) as store, steps(wanted=not quiet) as progress:
        pruning = store.plan_pruning(rules, progress=progress)
        if not dry_run:
            store.prune(pruning)
    if as_json:
        import json

        write_out(json.dumps(_document(pruning, dry_run=dry_run)) + "\n")
    elif not quiet:
        _print(pruning, dry_run=dry_run)


def _document(pruning: Pruning, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "kept": [uuid_text(record.uuid) for _, record in pruning.kept],
        "pruned": [uuid_text(record.uuid) for _, record in pruning.pruned],
    }


def _print(pruning: Pruning, *, dry_run: bool) -> None:
    for _, record in pruning.pruned:
        command = printable(" ".join(record.argv))
        write_out(f"Exec {record.uuid.hex()[:SHORT_ID]} {clock(record.start)}: {command}\n")
    gone, kept = len(pruning.pruned), len(pruning.kept)
    verb = "would go" if dry_run else "pruned"
    hint = "; redun gc sweeps what only they led to" if gone and not dry_run else ""
    write_out(f"{gone} {verb}, {kept} kept{hint}\n")
