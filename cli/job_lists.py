"""The jobs of an execution, or below a job: as a tree, or as a list where filters leave some out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from redun.cli.colors import Paint
from redun.cli.filters import Filters
from redun.cli.graph import Graph
from redun.cli.history_view import run_header
from redun.cli.job_lines import job_line, state_name
from redun.cli.job_table import Job, JobTable, place_of
from redun.store.lookup_names import JobName, Run

#: Jobs whose calls are read together, and levels that are indented.
_BATCH: Final = 200
_DEPTH: Final = 60


def run_view(graph: Graph, run: Run, filters: Filters, paint: Paint) -> Iterator[str]:
    """Yields the lines of an execution: its header and its jobs."""
    yield from run_header(run, paint)
    table = JobTable(graph, run)
    yield from job_list(graph, table, table.walk(), filters, paint)


def jobs_below(graph: Graph, name: JobName, filters: Filters, paint: Paint) -> Iterator[str]:
    """Yields the lines of a job and of those below it that the filters choose.

    Raises:
        NotFound: if the job was never begun.
    """
    table, lineage = place_of(graph, name)
    yield job_line(graph, table, lineage[-1], paint, full=True)
    yield ""
    yield from job_list(graph, table, islice(table.below(lineage), 1, None), filters, paint)


def chosen_jobs(
    graph: Graph, table: JobTable, jobs: Iterable[tuple[int, Job]], filters: Filters
) -> Iterator[tuple[int, Job]]:
    """Yields those of the jobs that are in the asked state, began in the time, and are of the task."""
    for depth, job in jobs:
        if (
            (filters.status is None or state_name(job) == filters.status)
            and (filters.since is None or table.run.start + job.row.start >= filters.since)
            and (filters.until is None or table.run.start + job.row.start <= filters.until)
            and (filters.task is None or filters.names(graph.task_name(job.call) or ""))
        ):
            yield depth, job


def job_list(
    graph: Graph, table: JobTable, jobs: Iterable[tuple[int, Job]], filters: Filters, paint: Paint
) -> Iterator[str]:
    """Yields the lines of those of the jobs that the filters choose."""
    chosen = chosen_jobs(graph, table, jobs, filters)
    shown = 0
    most = filters.most_jobs
    while batch := list(islice(chosen, _BATCH if most is None else min(_BATCH, most - shown))):
        graph.prefetch_calls(job.call for _, job in batch)
        for depth, job in batch:
            indent = "" if filters.selective else "  " * min(depth, _DEPTH)
            yield indent + job_line(graph, table, job, paint)
        shown += len(batch)
    if shown == 0:
        yield "No job matches." if filters.selective else "No jobs."
    elif next(chosen, None) is not None:
        yield f"... more than {shown:,} jobs: -n 0 lists all"
