"""The command `redun report`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import click

from redun.cli.context import common_options, open_store, settings, write_out
from redun.cli.exits import OK, UsageError
from redun.cli.graph import Graph
from redun.cli.report.facts import Report, gather
from redun.cli.steps import steps
from redun.cli.units import size_text
from redun.core.errors import NotFound, RedunError
from redun.core.forms import printable
from redun.store.lookup_names import Run, find

STREAM: Final = "-"
_MOST: Final = 100_000
#: The form that the end of a file's name stands for.
_ENDINGS: Final = {
    ".html": "html",
    ".htm": "html",
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".trace": "trace",
    ".json": "trace",
}
_FORMS: Final = ("html", "dot", "mermaid", "trace")


@click.command(short_help="Write an execution as a page, a graph or a trace.")
@click.option(
    "-o", "--output", metavar="FILE", help="The file to write, replaced where there is one; - for the output."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMS),
    help="The form, where the end of FILE does not say it (default: html).",
)
@click.option(
    "--most", type=click.IntRange(1), default=_MOST, show_default=True, metavar="N", help="How many jobs to list."
)
@click.option("--json", "as_json", is_flag=True, help="Print the data of the report as one JSON document.")
@common_options
@click.argument("name", metavar="[EXEC]", default="-")
@click.pass_context
def report(ctx: click.Context, output: str | None, form: str | None, most: int, as_json: bool, name: str) -> int:
    """Write what happened in an execution (its id, `-` for the latest) as one file.

    html is a page for a browser that needs no network: the calls between tasks with their counts, failures, a timeline
    to zoom, why each job ran, and all jobs. dot (Graphviz) and mermaid are the calls between tasks as text. trace is
    the timeline for https://ui.perfetto.dev.

    \b
    redun report - -o run.html                the latest execution
    redun report 67fa7eb7 --format mermaid    to the output
    redun report - -o run.json                for Perfetto
    """
    found = settings(ctx)
    chosen = form or _ENDINGS.get(Path(output or "").suffix.lower(), "html")
    if output is None and chosen == "html" and not as_json:
        raise UsageError("a page is written to a file", hint="redun report - -o run.html")
    with open_store(found) as store, steps(wanted=not found.quiet) as progress:
        named = find(store, name)
        if not isinstance(named, Run):
            raise NotFound(f"{printable(name)} is no execution", hint="redun log lists executions")
        gathered = gather(Graph(store), named, most, progress)
    if as_json:
        write_out(json.dumps(gathered.document()) + "\n")
        return OK
    text = _text(gathered, chosen)
    if output in (None, STREAM):
        write_out(text)
        return OK
    size = _write(Path(str(output)), text)
    if not found.quiet:
        left = f"; {gathered.left_out:,} jobs are left out (--most)" if gathered.left_out else ""
        write_out(f"Wrote {printable(str(output))}: {len(gathered.jobs['id']):,} jobs, {size_text(size)}{left}\n")
    return OK


def _text(gathered: Report, form: str) -> str:
    if form == "html":
        from redun.cli.report.page import page

        return page(gathered)
    if form == "trace":
        from redun.cli.report.trace import trace

        return json.dumps(trace(gathered)) + "\n"
    from redun.cli.report import graphs

    lines = graphs.dot(gathered) if form == "dot" else graphs.mermaid(gathered)
    return "".join(f"{line}\n" for line in lines)


def _write(path: Path, text: str) -> int:
    """Writes a file whole, or leaves what was there."""
    data = text.encode()
    temporary = path.with_name(f".{path.name[:200]}.{os.urandom(6).hex()}")
    try:
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        told = f"cannot write {printable(str(path))}: {error.strerror}"
        raise RedunError(told, hint="name another file with -o") from None
    return len(data)
