"""`redun check`: mistakes in a workflow that no type checker finds, each with its line and what to do instead."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from redun.cli.colors import Paint
from redun.cli.context import common_options, settings, write_out
from redun.cli.exits import FAILED, OK

if TYPE_CHECKING:
    from redun.executor.checking.remarks import Remark


@click.command(short_help="Find mistakes in a workflow without running it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.argument("target", metavar="FILE_OR_MODULE")
@click.pass_context
def check(ctx: click.Context, as_json: bool, target: str) -> int:
    """Find mistakes in the tasks of a workflow, and in the functions of yours that they use, which no type checker can:

    \b
    truth loop unpacking text number   a lazy value is used as if it were there already
    dropped                            a call of a task is neither returned nor stored: it never runs
    code                               code that is used and cannot be found from the text: not tracked
    environment clock random           a task asks for what no argument tells: its result is cached all the same
    file directory                     it reads a file that is no redun.File

    The file is loaded as redun run loads it; no task runs, and nothing is written. A line that ends with the comment
    # redun: ok is left alone; # redun: ok[clock] names the rule. Tasks with cache=False may ask the world what they
    like. The exit code is 0 where nothing was found, else 1.

    \b
    redun check workflow.py
    redun check workflow.py --json           the same for programs
    """
    found = settings(ctx)
    # Late, as all below: help loads no executor.
    from contextlib import redirect_stdout

    from redun.cli.loading import load
    from redun.cli.project import own_packages
    from redun.cli.steps import steps
    from redun.executor.checking.workflow import check_workflow

    own_packages(found)
    with redirect_stdout(sys.stderr):  # what the user's modules print is none of our lines
        workflow = load(target, _tell)
    with steps(wanted=not found.quiet and not as_json) as shown:
        remarks = check_workflow(workflow.tasks, shown)
    if as_json:
        from redun.cli.log_json import json_text

        write_out(json_text([_document(remark) for remark in remarks]) + "\n")
    else:
        paint = found.paint(sys.stdout)
        for remark in remarks:
            write_out(remark_text(remark, paint))
        if not found.quiet:
            _tell(_sum(remarks, len(workflow.tasks)))
    return FAILED if remarks else OK


def remark_text(remark: Remark, paint: Paint) -> str:
    """Returns a remark as two lines: the place and what is wrong, and what to do."""
    from redun.core.forms import printable

    place = f"{remark.file}:{remark.line}:{remark.column}"
    user = f" (task {remark.task})" if remark.task else ""
    first = f"{paint(printable(place), 'title')}: {paint(remark.rule, 'failed')}: {printable(remark.message)}{user}"
    return f"{first}\n    {paint(printable(remark.hint), 'faint')}\n"


def _document(remark: Remark) -> dict[str, Any]:
    return remark._asdict()


def _sum(remarks: list[Remark], tasks: int) -> str:
    looked = f"{tasks} task{'' if tasks == 1 else 's'}"
    if not remarks:
        return f"Nothing found in {looked}."
    return f"{len(remarks)} found in {looked}."


def _tell(line: str) -> None:
    click.echo(line, err=True)
