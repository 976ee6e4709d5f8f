"""`redun fs`: files of any filesystem that workflows can name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from redun.cli.context import common_options, output_errors, settings, write_out
from redun.cli.exits import UsageError
from redun.cli.project import project_settings
from redun.core.errors import NotFound, TaskError

if TYPE_CHECKING:
    from redun.cli.context import Settings
    from redun.cli.steps import Steps

#: The file that stands for standard input, or output.
STREAM: Final = "-"
_CHUNK: Final = 1 << 20


@click.group("fs", short_help="Copy files from and to wherever they are.")
def fs() -> None:
    """Copy files between this machine and others: paths, and URLs such as s3://bucket/key or sftp://host/path.

    \b
    redun fs cp results.csv s3://bucket/results.csv
    """


@fs.command("cp", short_help="Copy a file, or all files of a directory.")
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DEST")
@click.option("-r", "--recursive", is_flag=True, help="Copy all files below the directory SRC to the directory DEST.")
@click.option("--skip-if-exists", is_flag=True, help="Leave files that are there already as they are.")
@click.option("--hidden", is_flag=True, help="With --recursive: files whose names begin with a dot, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.pass_context
def cp(
    ctx: click.Context,
    source: str,
    target: str,
    recursive: bool,
    skip_if_exists: bool,
    hidden: bool,
    as_json: bool,
) -> None:
    """Copy the file SRC to DEST, each a path or a URL, or - for standard input and output.

    A DEST that ends with a slash or is a directory is the directory that the copy goes into. With --recursive, DEST
    is to be a copy of the directory SRC; what else is in it stays. A file appears when it is complete.

    \b
    redun fs cp s3://bucket/in.csv data/in.csv
    redun fs cp --recursive results sftp://ada@host/srv/results
    zcat log.gz | redun fs cp - gs://bucket/log.txt
    """
    found = settings(ctx)
    project_settings(found)  # credentials and the like may stand there
    _check(source, target, recursive=recursive, hidden=hidden, as_json=as_json)
    # Here and not at the top: help copies nothing.
    from redun.cli.steps import steps

    with steps(wanted=not found.quiet) as shown:
        try:
            if recursive:
                copied, skipped, where = _directory(source, target, hidden, skip_if_exists, shown)
            else:
                copied, skipped, where = _file(source, target, skip_if_exists, shown)
        except FileNotFoundError as error:
            raise NotFound(f"there is no {error.filename or source}", hint="name a file that is there") from None
        except IsADirectoryError as error:
            raise UsageError(f"{error.filename or source} is a directory", hint="--recursive copies one") from None
        except NotADirectoryError as error:
            raise UsageError(f"{error.filename or source} is no directory", hint="name one for --recursive") from None
        except TaskError as error:  # an unknown scheme, a password in a URL, a directory into itself
            raise UsageError(error.message, hint=error.hint) from None
    _say(found, source, where, copied, skipped, as_json)


def _check(source: str, target: str, *, recursive: bool, hidden: bool, as_json: bool) -> None:
    if recursive and STREAM in (source, target):
        raise UsageError("--recursive copies a directory, which - is not", hint="name a directory")
    if hidden and not recursive:
        raise UsageError("--hidden means nothing without --recursive", hint="one file is copied whatever its name")
    if as_json and target == STREAM:
        raise UsageError("--json and the file cannot both go to standard output", hint="name a file")
    if source == target == STREAM:
        raise UsageError("from standard input to standard output there is nothing to copy", hint="name a file")
    if source == STREAM and target.endswith("/"):
        raise UsageError("what comes from standard input has no name", hint="name a file, not a directory")


def _file(source: str, target: str, skip_if_exists: bool, shown: Steps) -> tuple[int, int, str]:
    from redun.core.files.copying import copy_path
    from redun.core.files.filesystems import filesystem_of

    def told(done: int) -> None:
        shown("bytes copied", done, 0)

    here = "" if source == STREAM else filesystem_of(source).canonical(source)
    if target == STREAM:
        _to_stdout(here, told)
        return 1, 0, target
    there = filesystem_of(target)
    full = there.canonical(target)
    if source != STREAM and (target.endswith("/") or there.is_dir(full)):
        full = there.canonical(f"{full.rstrip('/')}/{os.path.basename(here)}")
    if source != STREAM:
        copied = int(copy_path(here, full, skip_if_exists, told))
    elif skip_if_exists and there.is_file(full):
        copied = 0
    else:
        _from_stdin(full, told)
        copied = 1
    return copied, 1 - copied, full


def _to_stdout(source: str, told: Callable[[int], None]) -> None:
    from redun.core.files.filesystems import filesystem_of

    done = 0
    with filesystem_of(source).open(source, "rb") as stream, output_errors():
        while chunk := stream.read(_CHUNK):
            sys.stdout.buffer.write(chunk)
            done += len(chunk)
            told(done)
        sys.stdout.buffer.flush()


def _from_stdin(target: str, told: Callable[[int], None]) -> None:
    from redun.core.files.filesystems import filesystem_of

    with filesystem_of(target).open(target, "wb") as stream:
        done = 0
        while chunk := sys.stdin.buffer.read(_CHUNK):
            stream.write(chunk)
            done += len(chunk)
            told(done)


def _directory(source: str, target: str, hidden: bool, skip_if_exists: bool, shown: Steps) -> tuple[int, int, str]:
    from redun.core.files.copying import copy_paths, pairs_below
    from redun.core.files.filesystems import filesystem_of

    there = filesystem_of(target)
    full = there.canonical(target)
    pairs = pairs_below(filesystem_of(source).canonical(source), full, hidden)
    there.make_dirs(full)
    copied = copy_paths(pairs, skip_if_exists, lambda done: shown("files copied", done, len(pairs)))
    return copied, len(pairs) - copied, full


def _say(found: Settings, source: str, target: str, copied: int, skipped: int, as_json: bool) -> None:
    if as_json:
        import json

        write_out(json.dumps({"source": source, "target": target, "copied": copied, "skipped": skipped}) + "\n")
    elif not found.quiet and target != STREAM:
        from redun.core.forms import printable

        files = "1 file" if copied == 1 else f"{copied:,} files"
        write_out(printable(f"{target}: {files} copied") + (f", {skipped:,} there already" if skipped else "") + "\n")
