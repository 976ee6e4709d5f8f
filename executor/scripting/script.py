"""`script`: a command as one job, with the files that it reads and writes."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from redun.core.errors import TaskError
from redun.core.expressions import Expression, is_lazy
from redun.core.files.staging import Staging
from redun.core.scheduler_tasks import scheduler_task
from redun.core.tasks import task
from redun.executor.scripting.command import command_text
from redun.executor.scripting.outputs import NULL, declared, leaves


def script(
    command: Any,
    inputs: Any = (),
    outputs: Any = NULL,
    tempdir: bool = False,
    as_mount: bool = False,
    **task_options: Any,
) -> Any:
    """Returns, lazily, what a command makes. It is one job.

    The command is text for `bash -euo pipefail`, or for the interpreter that its first line names after `#!`; or a list
    of words. It runs in the working directory, with nothing on its standard input.

    Args:
        command: text, whose common indentation does not count, or words. See also `sh` and `quote`.
        inputs: what it depends on, in any nesting: staging values (`File(...).stage("local.txt")`) are copied to their
            local paths first; files and directories are only looked at; all of it is part of the cache key.
        outputs: what it makes, in any nesting: of a staging value the local path is copied to the remote afterwards,
            a `File` or `Dir` is what it writes in its place, `File("-")` is its standard output as bytes. The value has
            this shape, with the remote files in it. By default it is the standard output alone.
        tempdir: whether it runs in a directory of its own, which local paths are relative to, and which is removed
            afterwards, however it ends.
        as_mount: changes nothing; for workflows that were written for other executors.
        task_options: options of the job, as of any task.

    Raises:
        TaskError: if the command is empty or no text, or an output cannot be one.
    """
    del as_mount
    if type(tempdir) is not bool:
        raise TaskError(f"script(tempdir={tempdir!r})", hint="tempdir is True or False")
    if not is_lazy(command):
        command = command_text(command)
    if any(_is_lazy(item) for item in leaves(outputs)):
        return _declared(command, inputs, outputs, tempdir, task_options)
    return _called(command, inputs, outputs, tempdir, task_options)


def _called(command: Any, inputs: Any, outputs: Any, tempdir: bool, options: Mapping[str, Any]) -> Any:
    wanted = _script.options(**options) if options else _script
    return wanted(command, inputs, declared(outputs, tempdir), tempdir)


@task(namespace="redun", name="script", version="1", script=True)
def _script(command: Any, inputs: Any, outputs: Any, tempdir: bool) -> Any:
    # Here and not at the top: a script that is answered from the store needs nothing that runs one.
    from redun.executor.scripting.plan import Plan

    return Plan(command_text(command), inputs, outputs, tempdir=tempdir)


@scheduler_task(namespace="redun", name="script_outputs", version="1")
def _declared(command: Any, inputs: Any, outputs: Any, tempdir: bool, options: Any) -> Generator[Any, Any, Any]:
    found = yield outputs
    return _called(command, inputs, found, tempdir, options)


def _is_lazy(item: Any) -> bool:
    return isinstance(item, Expression) or (isinstance(item, Staging) and isinstance(item.remote, Expression))
