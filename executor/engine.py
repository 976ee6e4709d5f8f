"""Tasks of the engine itself. Each carries a version number: its code is ours, not the user's."""

from __future__ import annotations

from typing import Any, Final

# What is registered by being imported: the engine's own tasks, and what stores values of theirs.
from redun.core import awaiting, context, functional, quoting, subworkflows
from redun.core.tasks import Task, task


@task(namespace="redun", name="root", version="1")
def _root() -> Any:
    """The job above everything when what is run is not one call: its reduction is the expression that was given."""


REGISTERED: Final = (awaiting, context, functional, quoting, subworkflows)
ROOT: Final[Task[..., Any]] = _root
