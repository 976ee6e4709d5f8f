"""What the commands that move objects share: their line at the end, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from redun.cli.context import Settings, write_out
from redun.cli.units import size_text
from redun.core.forms import printable

if TYPE_CHECKING:
    from redun.store.sync.sync import Moved


def document(moved: Moved) -> dict[str, Any]:
    """Returns what went over as plain data."""
    return {**moved._asdict(), "executions": list(moved.executions), "aside": list(moved.aside)}


def say(found: Settings, moved: Moved, verb: str, *, as_json: bool) -> None:
    """Prints what went over."""
    if as_json:
        write_out(json.dumps(document(moved)) + "\n")
    elif not found.quiet:
        write_out("".join(f"{line}\n" for line in lines(moved, verb)))


def lines(moved: Moved, verb: str) -> Iterator[str]:
    """Yields the lines that say what went over."""
    name = printable(moved.remote)
    if not moved.executions and not moved.objects and not moved.claims:
        yield f"{name}: nothing new"
        return
    size = f", {size_text(moved.size)}" if moved.size else ""
    where = "there" if verb.startswith("Push") else "here"
    claims = f"; {moved.claims:,} results are hits {where}" if moved.claims else ""
    yield f"{verb} {name}: {moved.objects:,} objects{size}{claims}"
    for ref in moved.aside:
        yield f"  a history that has gone another way is kept as {printable(ref)}"
