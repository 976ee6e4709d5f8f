"""`redun doctor`: what may be wrong with the installation, the store and the tasks of a workflow. It only reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redun.cli.context import common_options, locate_store, settings, write_out
from redun.cli.exits import OK
from redun.core.errors import ConfigError, NotAStore

if TYPE_CHECKING:
    from redun.cli.context import Settings
    from redun.cli.findings import Finding


@click.command(short_help="Say what may be wrong here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.argument("workflow", required=False, metavar="[FILE]")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, workflow: str | None) -> int:
    """Say what may be wrong: with the installation, with the store, and with the tasks of FILE, a workflow: what of
    their code is tracked, and what is not, so that a change of it does not make them run again.

    One line a fact, marked ok, warn or bad. Nothing is written. The exit code is 0 where nothing is bad, else that of
    the first bad fact (redun help exit-codes). -q leaves out what is ok.

    \b
    redun doctor                             the installation and the store
    redun doctor workflow.py                 and the tasks of a workflow
    redun doctor --json                      the same for programs
    """
    found = settings(ctx)
    # Late, as all below: help loads no store.
    from redun.cli.findings import finding_line

    paint, codes, documents = found.paint(sys.stdout), [], []
    for section, finding in _findings(found, workflow):
        if finding.mark == "bad":
            codes.append(finding.code)
        if as_json:
            documents.append({"section": section, **finding._asdict()})
        elif not found.quiet or finding.mark != "ok":
            write_out(finding_line(finding, paint) + "\n")
    if as_json:
        _print_json(documents)
    return next((code for code in codes if code), OK)


def _findings(found: Settings, workflow: str | None) -> Iterator[tuple[str, Finding]]:
    from redun.cli.doctor_installation import installation
    from redun.cli.findings import examined

    for finding in examined("installation", installation):
        yield "installation", finding
    for finding in examined("settings", lambda: _settings(found)):
        yield "settings", finding
    for finding in examined("store", lambda: _store(found)):
        yield "store", finding
    if workflow is not None:
        from redun.cli.doctor_tasks import task_findings
        from redun.cli.project import own_packages

        with suppress(ConfigError):  # it was told of above
            own_packages(found)
        for finding in examined("workflow", lambda: task_findings(workflow)):
            yield "workflow", finding


def _settings(found: Settings) -> Iterator[Finding]:
    from redun.cli.findings import Finding
    from redun.cli.project import project_settings
    from redun.executor.config.showing import place_text

    project = project_settings(found)
    if project is None or not project.files:
        yield Finding("ok", "settings", "no file, so defaults")
        return
    for file in project.files:
        yield Finding("ok", "settings", str(file))
    for remark in project.remarks:
        yield Finding("warn", "settings", f"{place_text(remark.origin)}: {remark.key} has no meaning here", remark.text)


def _store(found: Settings) -> Iterator[Finding]:
    from redun.cli.doctor_store import lost_format, store_findings
    from redun.cli.findings import Finding, bad

    try:
        path = locate_store(found)
        here = Path.cwd()
    except ConfigError:
        return  # it was told of above, and nobody knows what store is meant
    except (NotAStore, OSError) as error:
        yield bad("store", error)
        return
    if path is None:
        none = Finding("ok", "store", f"none in {here} or above", "redun run makes one, or redun init")
        yield lost_format(here) or none
    else:
        yield from store_findings(path, here)


def _print_json(documents: list[dict[str, Any]]) -> None:
    from redun.cli.log_json import json_text

    write_out(json_text(documents) + "\n")
