"""`redun config`: the settings of a project, and where each came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from redun.cli.context import common_options, output_options, settings, write_out
from redun.cli.exits import MISSING, OK, UsageError
from redun.core.forms import printable

# Our executor floor is imported inside functions: help loads none of it.
if TYPE_CHECKING:
    from redun.executor.config.listing import Row
    from redun.executor.config.records import Origin, ProjectSettings

#: Characters of a key and of a value that other rows are lined up with.
_KEY_WIDTH: Final = 32
_VALUE_WIDTH: Final = 24


@click.group(
    short_help="Show settings, and where each came from.",
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.pass_context
def config(ctx: click.Context) -> None:
    """Show the settings of this project, and where each came from.

    The strongest wins: options of the command, then environment variables (REDUN_STORE, REDUN_JOBS, REDUN_USER,
    REDUN_PROJECT), then redun.toml, [tool.redun] in pyproject.toml, and .redun/redun.ini, all of the nearest directory
    that has one of the three, upwards from here. REDUN_CONFIG or --config names a file or a directory instead.

    \b
    redun config show                        all settings
    redun config show executors.default      some of them
    redun config path                        the files that were read
    """
    if ctx.invoked_subcommand is None:
        raise UsageError("redun config needs a command", hint="redun config show, or redun config path")


@config.command(short_help="Show settings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.argument("key", required=False, metavar="[KEY]")
@click.pass_context
def show(ctx: click.Context, key: str | None, as_json: bool) -> None:
    """Show all settings, or those at KEY and below: its value, and where it came from (`default`: nowhere).

    Values are written as in redun.toml; - is a setting that is not set. What looks like a secret is shown as ***.

    Example: redun config show limits.db
    """
    # Late, as all below: help loads no settings.
    from redun.cli.project import load_project
    from redun.executor.config.listing import read_key, rows

    project = load_project(settings(ctx))
    found = rows(project, () if key is None else read_key(key))
    if as_json:
        write_out(_json(_document(project, found)))
        return
    for line in (*_lines(found), *(_remarks(project) if key is None else ())):
        write_out(line + "\n")


@config.command(short_help="Print the files that settings are read from.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--config", "named", metavar="PATH", help="The settings to use: a file, or a directory with some.")
@output_options
@click.pass_context
def path(ctx: click.Context, as_json: bool, named: str | None) -> int:
    """Print the files that settings are read from, the strongest first. The exit code is 3 where there is none.

    Example: redun config path
    """
    import os

    from redun.cli.project import working_directory
    from redun.executor.config.resolve import settings_files

    files = settings_files(working_directory(), environ=os.environ, named=named or settings(ctx).config)
    if as_json:
        write_out(_json([str(file) for file in files]))
    else:
        for file in files:
            write_out(printable(str(file)) + "\n")
    if not files and not as_json and not settings(ctx).quiet:
        click.echo(
            "redun: no redun.toml, pyproject.toml with [tool.redun] or .redun/redun.ini, here or above", err=True
        )
    return OK if files else MISSING


def _lines(found: Sequence[Row]) -> Iterator[str]:
    from redun.executor.config.showing import key_text, place_text, value_text

    for row in found:
        value = "-" if row.value is None else value_text(row.path, row.value)
        key = printable(key_text(row.path))
        yield f"{key:<{_KEY_WIDTH}}  {printable(value):<{_VALUE_WIDTH}}  {printable(place_text(row.origin))}"


def _remarks(project: ProjectSettings) -> Iterator[str]:
    from redun.executor.config.showing import place_text

    if project.remarks:
        yield ""
        yield "Without meaning here; what nobody reads may be deleted:"
    for remark in project.remarks:
        key, place = printable(remark.key), printable(place_text(remark.origin))
        yield f"  {key}  {place}  {printable(remark.text)}"


def _document(project: ProjectSettings, found: Sequence[Row]) -> dict[str, Any]:
    from redun.executor.config.showing import key_text, masked

    return {
        "files": [str(file) for file in project.files],
        "settings": [
            {"key": key_text(row.path), "value": masked(row.path, row.value), "from": _place(row.origin)}
            for row in found
        ],
        "without_meaning": [
            {"key": remark.key, "text": remark.text, "from": _place(remark.origin)} for remark in project.remarks
        ],
    }


def _place(origin: Origin) -> dict[str, Any]:
    return {"source": origin.source, "line": origin.line}


def _json(document: Any) -> str:
    import json

    return json.dumps(document, indent=2) + "\n"
