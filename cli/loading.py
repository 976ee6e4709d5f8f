"""Finding what a user means: a workflow by its file or module, a task of it by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redun.cli.exits import UsageError
from redun.core.errors import RedunError, TaskError, UnknownTask

if TYPE_CHECKING:
    from redun.core.tasks import Task
    from redun.executor.loader import Workflow


def load(target: str, tell: Callable[[str], None]) -> Workflow:
    """Loads a workflow, and tells where its own code went wrong while it was loaded.

    Raises:
        TaskError: if it cannot be loaded.
        NotFound: if there is no such file or module.
    """
    from redun.executor.loader import load_workflow

    try:
        return load_workflow(target)
    except RedunError as error:
        from redun.cli.results import has_frames_of_the_user, loading_lines

        for line in loading_lines(error) if has_frames_of_the_user(error) else ():
            tell(line)
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's module may raise anything
        from redun.cli.results import error_lines, loading_lines

        for line in loading_lines(error):
            tell(line)
        raise TaskError(f"{target} cannot be loaded: {error_lines(error)[-1]}") from None


def find_task(workflow: Workflow, name: str, target: str) -> Task[..., Any]:
    """Returns the task that a user means: by its full name, or by the end of it where only one has that.

    Raises:
        UnknownTask: if there is none; the hint names the closest.
        UsageError: if there are several, or the name is an option.
    """
    for task in workflow.tasks:
        if task.fullname == name:
            return task
    ending = [task for task in workflow.tasks if task.fullname.endswith(f".{name}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        names = ", ".join(task.fullname for task in ending)
        raise UsageError(f"{target} has {len(ending)} tasks named {name}", hint=f"write one of {names}")
    if name.startswith("-"):
        raise UsageError(f"{name} stands where the task is expected", hint="options of redun run go before the file")
    raise UnknownTask(f"no task {name} in {target}", hint=_closest_task(workflow, name))


def _closest_task(workflow: Workflow, name: str) -> str:
    from difflib import get_close_matches

    if not workflow.tasks:
        return "it has none: decorate a function with @task()"
    names = {known: task.fullname for task in workflow.tasks for known in (task.name, task.fullname)}
    close = list(dict.fromkeys(names[match] for match in get_close_matches(name, names, n=3)))
    if close:
        return f"did you mean {' or '.join(close)}?"
    shown = [task.fullname for task in workflow.tasks[:10]]
    return f"it has {', '.join(shown)}" + (", ..." if len(workflow.tasks) > len(shown) else "")
