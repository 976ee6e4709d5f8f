"""Assertions about runs: which tasks ran, and which were answered from the cache. `from redun.testing import ...`."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from redun.cli.answers import Answers
from redun.cli.colors import painter
from redun.cli.graph import Graph
from redun.cli.job_table import JobTable
from redun.cli.reason_view import miss_lines
from redun.cli.render import status_table
from redun.core.forms import printable
from redun.core.objects import TaskCount
from redun.core.tasks import PartialTask, Task, registry
from redun.executor.observer import Execution
from redun.executor.scheduler import Scheduler
from redun.store.lookup_names import LATEST, Run, find

#: Lines of reasons in a message, and jobs that are looked at for them.
_LINES: Final = 30
_JOBS: Final = 2_000


class RecordingScheduler(Scheduler):
    """A scheduler that remembers how its runs went, for `assert_ran` and `assert_cached`.

    Attributes:
        executions: those that have ended, oldest first.
    """

    executions: list[Execution]

    def execute(self, expression: Any, **options: Any) -> Execution:
        """Runs an expression, as `Scheduler.execute` does, and remembers how that went.

        Raises:
            StoreError: if the store cannot be read or written.
        """
        execution = super().execute(expression, **options)
        self.__dict__.setdefault("executions", []).append(execution)
        return execution


def assert_ran(scheduler: RecordingScheduler, task: Task[..., Any] | str, *, times: int | None = None) -> None:
    """Checks that bodies of a task ran in the last run.

    Args:
        task: the task, or its full name.
        times: how often, failures included; None: once or more. Equal calls of one run are one.

    Raises:
        AssertionError: if they did not; the message has the jobs of all tasks, and why those ran that did.
        ValueError: if nothing was run yet.
        UnknownTask: if there is no task of that name.
    """
    __tracebackhide__ = True
    _check(scheduler, task, "run", times)


def assert_cached(scheduler: RecordingScheduler, task: Task[..., Any] | str, *, times: int | None = None) -> None:
    """Checks that calls of a task were answered from the cache in the last run.

    Args:
        task: the task, or its full name.
        times: how many were, with no other call of it that ran; None: all of them, one or more.

    Raises:
        AssertionError: if they were not; the message has the jobs of all tasks, and why those ran that did.
        ValueError: if nothing was run yet.
        UnknownTask: if there is no task of that name.
    """
    __tracebackhide__ = True
    _check(scheduler, task, "be cached", times)


def _check(scheduler: RecordingScheduler, task: Task[..., Any] | str, what: str, times: int | None) -> None:
    __tracebackhide__ = True
    if not scheduler.__dict__.get("executions"):
        raise ValueError("nothing was run with this scheduler yet")
    execution = scheduler.executions[-1]
    fullname = _fullname(task)
    count = next((count for count in execution.counts if count.fullname == fullname), TaskCount(fullname))
    if count.total == 0 and registry.get(fullname) is None:
        registry.find(fullname)  # says which names are like it
    ran = count.done + count.failed
    if what == "run":
        holds = ran > 0 if times is None else ran == times
    else:
        holds = ran == 0 and (count.cached > 0 if times is None else count.cached == times)
    if not holds:
        wanted = "" if times is None else f" {_times(times)}"
        facts = f"ran {_times(ran)} and was cached {_times(count.cached)}"
        told = "\n".join(_told(scheduler, execution))
        raise AssertionError(f"{printable(fullname)} was to {what}{wanted}; it {facts}\n{told}")


def _fullname(task: Any) -> str:
    if isinstance(task, str):
        return task
    if isinstance(task, PartialTask):
        task = task.task
    if isinstance(task, Task):
        return task.fullname
    raise ValueError(f"{task!r} is neither a task nor the full name of one")


def _times(number: int) -> str:
    return "once" if number == 1 else "never" if number == 0 else f"{number:,} times"


def _told(scheduler: Scheduler, execution: Execution) -> list[str]:
    """Returns the jobs by task, and why those ran that did."""
    lines = ["", *status_table(execution.counts, execution.uuid[:8])]
    run = find(scheduler.store, LATEST if execution.digest is None else execution.digest.hex())
    if isinstance(run, Run):
        graph = Graph(scheduler.store)
        table = JobTable(graph, run)
        misses = islice(Answers(graph).ran(table), _JOBS)
        lines += ["", *miss_lines(graph, table, misses, _LINES, painter(False))]
    return lines
