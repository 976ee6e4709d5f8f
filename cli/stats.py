"""`redun stats`: what the store holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from redun.cli.context import common_options, open_store, settings, write_out
from redun.cli.history_view import SHORT, clock, uuid_text
from redun.cli.steps import steps
from redun.cli.units import count_text, size_text
from redun.core.forms import printable

if TYPE_CHECKING:
    from redun.store import Statistics

#: Tasks, and executions with what they added, that are listed; `--json` has all.
_TASKS = 20
_EXECUTIONS = 10


@click.command(short_help="Say what the store holds.")
@click.option(
    "--largest", type=click.IntRange(0), default=10, show_default=True, metavar="N", help="How many values to name."
)
@click.option("--quick", is_flag=True, help="Leave out age, growth and sharing: they take following every pointer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def stats(ctx: click.Context, largest: int, quick: bool, as_json: bool) -> None:
    """Say what the store holds: objects by kind, age and execution, jobs by task, the largest values and their makers.

    PACKED is how many times smaller compression makes what is stored; NAMED, how many times larger it would be if
    whatever points to an object had a copy of its own. An object is as old as the first execution that leads to it;
    what nothing leads to, redun gc sweeps.

    Example: redun stats --largest 3
    """
    found = settings(ctx)
    with open_store(found) as store, steps(wanted=not found.quiet) as progress:
        counted = store.statistics(largest=largest, quick=quick, progress=progress)
        size = 0 if store.path is None else (store.path / "data.mdb").stat().st_size
    if as_json:
        import json

        write_out(json.dumps(_document(counted, size)) + "\n")
    else:
        write_out("".join(f"{line}\n" for line in _lines(counted, size, quick=quick)))


def _document(counted: Statistics, size: int) -> dict[str, Any]:
    return {
        "data_file": size,
        "data_file_used": counted.used,
        "data_file_free": counted.free,
        "kinds": [kind._asdict() for kind in counted.kinds],
        "tasks": [task._asdict() for task in counted.tasks],
        "largest": [{**large._asdict(), "digest": large.digest.hex()} for large in counted.large],
        "executions": counted.executions,
        "oldest": None if counted.oldest is None else counted.oldest / 1e6,
        "newest": None if counted.newest is None else counted.newest / 1e6,
        "ages": [age._asdict() for age in counted.ages],
        "growth": [
            {
                "execution": uuid_text(one.uuid),
                "start": one.start / 1e6,
                "objects": one.objects,
                "size": one.size,
            }
            for one in counted.growth
        ],
        "cache_entries": counted.cache,
        "trash": {"objects": counted.trash.objects, "size": counted.trash.size},
    }


def _lines(counted: Statistics, size: int, *, quick: bool) -> Iterator[str]:
    yield from _summary(counted, size)
    if not counted.kinds:
        return
    yield ""
    yield f"{'KIND':<24} {'OBJECTS':>12} {'BYTES':>9} {'PACKED':>8} {'NAMED':>8}"
    for kind in counted.kinds:
        ratios = f"{_times(kind.payload, kind.size):>8} {_times(kind.named, kind.size):>8}"
        yield f"{printable(kind.kind):<24} {kind.objects:>12,} {size_text(kind.size):>9} {ratios}"
    yield from _by_age(counted)
    if counted.executions and not counted.ages and not quick:
        yield ""
        yield "age, growth and sharing cannot be told: something that is to be followed is damaged; see redun fsck"
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
            yield f"{large.kind} {large.digest.hex()[:SHORT]:<8} {size_text(large.size):>9}  {made}"


def _summary(counted: Statistics, size: int) -> Iterator[str]:
    objects = sum(kind.objects for kind in counted.kinds)
    held = sum(kind.size for kind in counted.kinds)
    file = f"data file {size_text(size)}, {size_text(counted.free)} of it free"
    entries = count_text(counted.cache, "cache entry", "cache entries")
    yield f"{count_text(objects, 'object')}, {size_text(held)}; {file}; {entries}"
    if counted.oldest is not None and counted.newest is not None:
        each = size_text(held // counted.executions)
        first, last = clock(counted.oldest), clock(counted.newest)
        yield f"{count_text(counted.executions, 'execution')}, {first} to {last}; {each} an execution"
    if counted.trash.objects:
        yield f"{count_text(counted.trash.objects, 'object')} in the trash, {size_text(counted.trash.size)}"


def _times(much: int | None, size: int) -> str:
    """Returns how many times larger a number of bytes is than what is stored; nothing where it is not."""
    ratio = 1.0 if much is None or not size else much / size
    return f"{ratio:,.1f}x" if ratio >= 1.05 else ""


def _by_age(counted: Statistics) -> Iterator[str]:
    if counted.ages:
        yield ""
        yield f"{'FIRST NAMED':<24} {'OBJECTS':>12} {'BYTES':>9} {'EXECUTIONS':>11}"
    for age in counted.ages:
        executions = f"{age.executions:>11,}" if age.executions else ""
        yield f"{age.age:<24} {age.objects:>12,} {size_text(age.size):>9} {executions}".rstrip()
    if counted.growth:
        yield ""
        yield f"{'EXECUTION ADDED':<24} {'OBJECTS':>12} {'BYTES':>9}"
    for one in counted.growth[:_EXECUTIONS]:
        when = f"{one.uuid.hex()[:SHORT]} {clock(one.start)}"
        yield f"{when:<24} {one.objects:>12,} {size_text(one.size):>9}"
    if len(counted.growth) > _EXECUTIONS:
        yield f"... and {len(counted.growth) - _EXECUTIONS:,} before"
