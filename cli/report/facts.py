"""What a report tells of one execution, read from the store: no user code runs and nothing stored is instantiated.

Jobs are kept by columns, since there may be 100,000 of them. Of an execution with more than the report may list, those
are listed that failed, then those whose bodies took longest.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from redun.cli.answers import Answers
from redun.cli.graph import Graph
from redun.cli.history_view import SHORT, clock, command_text, full_uuid, run_duration
from redun.cli.job_lines import state_name
from redun.cli.job_table import ROOT, Job, JobTable, Place
from redun.cli.parts import trace_lines
from redun.cli.report.lanes import lanes
from redun.core.forms import printable
from redun.core.objects import How, Status
from redun.core.version import VERSION
from redun.store.lookup_names import Run
from redun.store.problems import Progress

#: States of a job, as the report numbers them.
STATES: Final = ("RUNNING", "DONE", "CACHED", "FAILED", "CANCELLED", "INTERRUPTED")
HOWS: Final = ("ran", "step", "whole", "joined", "inner")
#: Jobs whose arguments are told, failures told in full, jobs whose reasons are looked for, and their distinct texts.
_TOLD: Final = 2_000
_FAILURES: Final = 100
_REASONED: Final = 20_000
_REASONS: Final = 1_000
_EVERY: Final = 500
_LINES: Final = 200


class Report(NamedTuple):
    """What is told of an execution.

    Attributes:
        execution: facts about it, for people.
        tasks: full name, and jobs by state as in the status table, with the seconds that their bodies took.
        edges: (place of the calling task or -1, place of the called task, jobs).
        jobs: columns, all of one length: `id` (8 digits), `task` (place), `parent` (place in the columns, or -1),
            `state`, `how`, `start`, `duration` (microseconds; -1: has not ended), `lane` (-1: no body ran), `attempt`,
            `reason` (place among `reasons`, or -1), `args` (for the first).
        executors: names, and the column `executor` has places among them.
        failures: job, id, error and traceback of jobs that failed themselves, last those that their callers handled.
        reasons: task, text and number of jobs, most frequent first.
        left_out: jobs that are not listed.
    """

    execution: dict[str, Any]
    tasks: list[dict[str, Any]]
    edges: list[tuple[int, int, int]]
    jobs: dict[str, list[Any]]
    executors: list[str]
    failures: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    left_out: int

    def document(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {"kind": "report", "version": 1, "states": STATES, "hows": HOWS, **self._asdict()}


def gather(graph: Graph, run: Run, most: int, progress: Progress) -> Report:
    """Returns the report of an execution with `most` jobs at most."""
    return _Gathering(graph, run, most, progress).report()


class _Gathering:
    def __init__(self, graph: Graph, run: Run, most: int, progress: Progress) -> None:
        self._graph = graph
        self._run = run
        self._most = most
        self._progress = progress
        self._table = JobTable(graph, run)
        self._tasks: dict[str, int] = {count.fullname: place for place, count in enumerate(run.counts)}
        self._seconds: dict[int, int] = {}
        self._edges: dict[tuple[int, int], int] = {}
        self._failures: list[dict[str, Any]] = []
        self._answers = Answers(graph)
        self._reasons: dict[tuple[int, str], list[int]] = {}
        self._reasoned = 0
        #: Of each listed job, whether its row tells how long a body took.
        self._is_body: list[bool] = []

    def report(self) -> Report:
        listed, left_out = self._listed()
        columns = self._columns(listed)
        tasks = self._task_rows()
        order = sorted(self._reasons.items(), key=lambda item: -len(item[1]))
        reasons = []
        for place, ((task, text), numbers) in enumerate(order):
            reasons.append({"task": task, "text": text, "jobs": len(numbers)})
            for number in numbers:
                columns["reason"][number] = place
        executors: dict[str, int] = {}
        columns["executor"] = [executors.setdefault(printable(name), len(executors)) for name in columns["executor"]]
        edges = sorted((caller, called, jobs) for (caller, called), jobs in self._edges.items())
        execution = self._execution()
        failures = sorted(self._failures, key=lambda failure: failure["handled"])
        return Report(execution, tasks, edges, columns, list(executors), failures, reasons, left_out)

    def _execution(self) -> dict[str, Any]:
        run = self._run
        return {
            "id": full_uuid(run),
            "digest": None if run.digest is None else run.digest.hex(),
            "command": printable(command_text(run)),
            "status": run.status.name,
            "start": run.start,
            "started": clock(run.start),
            "duration": run_duration(run),
            "info": [[printable(name), printable(text)] for name, text in run.info],
            "tags": [[printable(name), printable(text)] for name, text in run.tags],
            "jobs": sum(count.total for count in run.counts),
            "redun": VERSION,
        }

    def _task_rows(self) -> list[dict[str, Any]]:
        counted = {count.fullname: count for count in self._run.counts}
        rows = []
        for name, place in self._tasks.items():
            count = counted.get(name)
            row: dict[str, Any] = {"name": printable(name), "seconds": self._seconds.get(place, 0) / 1_000_000}
            for state in ("done", "cached", "failed", "running", "pending"):
                row[state] = 0 if count is None else getattr(count, state)
            rows.append(row)
        return rows

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def _listed(self) -> tuple[list[tuple[int, Job]], int]:
        """Returns the (depth, job) that are listed, callers first, and how many are not."""
        total = max(len(self._table), sum(count.total - count.pending for count in self._run.counts))
        walked = islice(self._table.walk(), self._most)
        if len(self._table) <= self._most:
            listed = []
            for done, item in enumerate(walked):
                listed.append(item)
                if done % _EVERY == 0:
                    self._progress("jobs", done, total)
            return listed, max(total - len(listed), 0)
        return self._weightiest(), total - self._most

    def _weightiest(self) -> list[tuple[int, Job]]:
        """Those that failed, and of the others those whose bodies took longest; each without those inside of it."""
        jobs = []
        for done, number in enumerate(self._table.numbers()):
            row = self._table.row(number)
            jobs.append((row.status is not Status.FAILED, -row.duration, number))
            if done % _EVERY == 0:
                self._progress("jobs", done, len(self._table))
        jobs.sort()
        return [(0, self._table.job(number)) for number in sorted(number for _, _, number in jobs[: self._most])]

    def _columns(self, listed: list[tuple[int, Job]]) -> dict[str, list[Any]]:
        names = ("id", "task", "parent", "state", "how", "start", "duration", "attempt", "executor", "args")
        columns: dict[str, list[Any]] = {name: [] for name in names}
        places = {job.number: place for place, (_, job) in enumerate(listed)}
        above: list[int] = []
        for place, (depth, job) in enumerate(listed):
            del above[depth:]
            parent = places.get(job.row.parent, ROOT) if not job.inner else above[-1] if above else ROOT
            above.append(place)
            task = self._task(job)
            columns["id"].append(self._table.id(job)[:SHORT])
            columns["task"].append(task)
            columns["parent"].append(parent)
            columns["state"].append(STATES.index(state_name(job)))
            columns["how"].append(len(HOWS) - 1 if job.inner else int(job.row.how))
            columns["start"].append(job.row.start)
            columns["duration"].append(0 if job.inner else job.row.duration)
            columns["attempt"].append(job.row.attempt)
            columns["executor"].append(job.row.executor)
            columns["args"].append(self._arguments(job) if place < _TOLD else "")
            self._count(columns["task"][parent] if parent != ROOT else ROOT, task, job)
            self._failure(job, place, task, columns)
            self._reason(job, place, task, parent, listed)
            if place % _EVERY == 0:
                self._progress("jobs", place, len(listed))
        columns["lane"] = self._lanes(columns)
        columns["reason"] = [-1] * len(listed)
        return columns

    def _lanes(self, columns: dict[str, list[Any]]) -> list[int]:
        end = run_duration(self._run)
        ran = [place for place, is_body in enumerate(self._is_body) if is_body]
        spans = []
        for place in ran:
            start, duration = columns["start"][place], columns["duration"][place]
            spans.append((start, max(end - start, 0) if duration < 0 else duration))
        found = [-1] * len(columns["how"])
        for place, lane in zip(ran, lanes(spans), strict=True):
            found[place] = lane
        return found

    def _task(self, job: Job) -> int:
        name = self._graph.fullname(self._graph.call(job.call))
        return self._tasks.setdefault(name, len(self._tasks))

    def _arguments(self, job: Job) -> str:
        call = self._graph.call(job.call)
        return "" if call is None else self._graph.argument_text(call)

    def _count(self, caller: int, task: int, job: Job) -> None:
        self._edges[caller, task] = self._edges.get((caller, task), 0) + 1
        self._is_body.append(_is_body(job))
        if self._is_body[-1] and job.row.duration > 0:
            self._seconds[task] = self._seconds.get(task, 0) + job.row.duration

    def _failure(self, job: Job, place: int, task: int, columns: dict[str, list[Any]]) -> None:
        """Tells of a job that has a traceback: it raised itself, and was not failed by one below it, or by its twin."""
        raised = job.status is Status.FAILED and job.row.trace is not None and job.row.how is not How.JOINED
        if not raised or job.inner or len(self._failures) == _FAILURES:
            return
        lineage, caller = [task], columns["parent"][place]
        handled = caller != ROOT and STATES[columns["state"][caller]] != Status.FAILED.name
        while caller != ROOT and len(lineage) < _LINES:
            lineage.append(columns["task"][caller])
            caller = columns["parent"][caller]
        call = self._graph.call(job.call)
        self._failures.append(
            {
                "job": place,
                "id": columns["id"][place],
                "error": "" if call is None else self._graph.value(call.result),
                "args": self._arguments(job),
                "handled": handled,
                "lineage": lineage[::-1],
                "trace": list(islice(trace_lines(self._graph, job.row.trace), _LINES)),
            }
        )

    def _reason(self, job: Job, place: int, task: int, parent: int, listed: list[tuple[int, Job]]) -> None:
        if job.inner or job.row.how is not How.RAN or self._reasoned >= _REASONED:
            return
        self._reasoned += 1
        lineage = [listed[parent][1], job] if parent != ROOT else [job]
        where: Place = (self._table, lineage)
        reason = self._answers.reason(where)
        if reason is None:
            return
        key = task, reason.text()
        if key in self._reasons or len(self._reasons) < _REASONS:
            self._reasons.setdefault(key, []).append(place)


def _is_body(job: Job) -> bool:
    """Whether the times of a job's row are those of its body. A job that one below it failed ended with that."""
    ended_below = job.status is Status.FAILED and job.row.trace is None
    return job.row.how is How.RAN and not job.inner and not ended_below


def calls_between(report: Report) -> Iterator[tuple[int, int, int]]:
    """Yields the edges whose caller is a task, not the run itself."""
    return ((caller, called, jobs) for caller, called, jobs in report.edges if caller != ROOT)
