"""`redun stats`: what the store holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from redun.cli.context import common_options, open_store, settings, write_out
from redun.cli.history_view import clock
from redun.cli.steps import steps
from redun.cli.units import size_text
from redun.core.forms import printable

if TYPE_CHECKING:
    from redun.store import Statistics

#: Tasks that are listed; `--json` has all.
_TASKS = 20


@click.command(short_help="Say what the store holds.")
@click.option(
    "--largest", type=click.IntRange(0), default=10, show_default=True, metavar="N", help="How many values to name."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def stats(ctx: click.Context, largest: int, as_json: bool) -> None:
    """Say what the store holds: objects by kind, jobs by task, the largest values and which tasks made them.

    Example: redun stats --largest 3
    """
    found = settings(ctx)
    with open_store(found) as store, steps(wanted=not found.quiet) as progress:
        counted = store.statistics(largest=largest, progress=progress)
        size = 0 if store.path is None else (store.path / "data.mdb").stat().st_size
    if as_json:
        import json

        write_out(json.dumps(_document(counted, size)) + "\n")
    else:
        write_out("".join(f"{line}\n" for line in _lines(counted, size)))


def _document(counted: Statistics, size: int) -> dict[str, Any]:
    return {
        "data_file": size,
        "kinds": [kind._asdict() for kind in counted.kinds],
        "tasks": [task._asdict() for task in counted.tasks],
        "largest": [{**large._asdict(), "digest": large.digest.hex()} for large in counted.large],
        "executions": counted.executions,
        "oldest": None if counted.oldest is None else counted.oldest / 1e6,
        "newest": None if counted.newest is None else counted.newest / 1e6,
        "cache_entries": counted.cache,
        "trash": {"objects": counted.trash.objects, "size": counted.trash.size},
    }


def _lines(counted: Statistics, size: int) -> Iterator[str]:
    objects = sum(kind.objects for kind in counted.kinds)
    held = sum(kind.size for kind in counted.kinds)
    yield f"{objects:,} objects, {size_text(held)}; data file {size_text(size)}; {counted.cache:,} cache entries"
    if counted.oldest is not None and counted.newest is not None:
        each = size_text(held // counted.executions)
        first, last = clock(counted.oldest), clock(counted.newest)
        yield f"{counted.executions:,} executions, {first} to {last}; {each} an execution"
    if counted.trash.objects:
        yield f"{counted.trash.objects:,} objects in the trash, {size_text(counted.trash.size)}"
    yield ""
    yield f"{'KIND':<24} {'OBJECTS':>12} {'BYTES':>9}"
    for kind in counted.kinds:
        yield f"{printable(kind.kind):<24} {kind.objects:>12,} {size_text(kind.size):>9}"
    if counted.tasks:
        yield ""
        yield f"{'TASK':<40} {'RAN':>10} {'CACHED':>10} {'FAILED':>8} {'EXECUTIONS':>11}"
        for task in counted.tasks[:_TASKS]:
            row = f"{task.ran:>10,} {task.cached:>10,} {task.failed:>8,} {task.executions:>11,}"
            yield f"{printable(task.fullname):<40} {row}"
        if len(counted.tasks) > _TASKS:
            yield f"... and {len(counted.tasks) - _TASKS} more"
    if counted.large:
        yield ""
        yield f"{'LARGEST':<14} {'BYTES':>9}  MADE BY"
        for large in counted.large:
            made = ", ".join(map(printable, large.made_by)) or "an argument, or no call of this store"
            yield f"{large.kind} {large.digest.hex()[:8]:<8} {size_text(large.size):>9}  {made}"
