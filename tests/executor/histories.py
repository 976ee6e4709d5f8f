"""Histories for tests of reasons: a store, a module that is edited between runs, and the rows of the jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from redun.cli.answers import Answers
from redun.cli.graph import Graph
from redun.cli.job_table import JobTable
from redun.core.objects import CallRecord, How, JobRow, TaskCount, TaskRecord
from redun.executor.known import known_in
from redun.executor.observer import Execution, JobEvent
from redun.executor.reasons import Miss, Reason, Reasons
from redun.executor.scheduler import Scheduler
from redun.store import Store
from redun.store.lookup_names import runs
from tests.core.projects import Project, made_in

HEADER = "from redun import File, task\n"


class History:
    """Runs of a module `w` against one store, each as a new process would run it.

    Attributes:
        told: why each job of the latest run ran, by the name of its task, as told while it ran.
        reasons: the same of all jobs of a task.
    """

    wants_jobs = True

    def __init__(self, project: Project, store: Store) -> None:
        self.project = project
        self.store = store
        self.told: dict[str, str] = {}
        self.reasons: dict[str, list[str]] = {}

    def run(
        self,
        text: str,
        *args: Any,
        cache: bool = True,
        replay: Literal["whole", "step"] = "whole",
        argv: tuple[str, ...] = ("run", "w.py", "main"),
    ) -> Execution:
        """Writes the module, runs its task `main`, and returns the execution."""
        self.project.write({"w": HEADER + text})
        module = self.project.load("w")
        self.told.clear()
        self.reasons.clear()
        return Scheduler(self.store, cache=cache, replay=replay, observer=self).execute(module.main(*args), argv=argv)

    def explained(self) -> dict[str, Reason]:
        """Returns why each job of the latest run ran, from the store alone."""
        reasons = Reasons(self.store.get, known_in(self.store))
        return {name: reasons.reason(self.miss(row)) for name, row in self.rows().items() if row.how is How.RAN}

    def explained_all(self) -> dict[str, list[str]]:
        """Returns why the jobs of the latest run ran, in the order in which they were made, as commands tell it."""
        graph = Graph(self.store)
        table = JobTable(graph, next(runs(self.store)))
        found: dict[str, list[str]] = {}
        for job, reason in Answers(graph).ran(table):
            found.setdefault(graph.task_name(job.call) or "", []).append(reason.text())
        return found

    def miss(self, row: JobRow) -> Miss:
        """Returns what a row and its call say of a miss."""
        call = self.call(row)
        return Miss(row.why, row.compared, call.task, call.args, row.stale)

    def rows(self) -> dict[str, JobRow]:
        """Returns a row of each task in the latest execution, by the task's name; of several the last to end."""
        _, execution = next(self.store.executions())
        found = {}
        for page in self.store.job_pages(execution.pages):
            for row in page.rows:
                found[self.name(row)] = row
        return found

    def name(self, row: JobRow) -> str:
        """Returns the full name of a row's task."""
        return TaskRecord.parse(self.store.get(self.call(row).task)[1]).fullname

    def call(self, row: JobRow) -> CallRecord:
        """Returns the call of a row."""
        assert row.call is not None
        return CallRecord.parse(self.store.get(row.call)[1])

    # -- what the scheduler calls -------------------------------------------------------------------------------------

    def started(self, uuid: str) -> None:
        """The run has begun."""

    def job(self, event: JobEvent) -> None:
        """Keeps the reason of a job that runs."""
        if event.reason is not None:
            self.told[event.fullname] = event.reason().text()
            self.reasons.setdefault(event.fullname, []).append(self.told[event.fullname])

    def summed(self, jobs: int) -> None:
        """More jobs were answered."""

    def warned(self, message: str) -> None:
        """Something is not as it should be."""

    def progress(self, counts: list[TaskCount]) -> None:
        """Time has passed."""

    def finished(self, execution: Execution) -> None:
        """The run has ended."""


@contextmanager
def history_in(folder: Path, store: Store | None = None) -> Iterator[History]:
    """Gives a history of runs of a module in that folder, in memory where no store is given."""
    with made_in(folder) as project, store or Store.memory() as opened:
        yield History(project, opened)
