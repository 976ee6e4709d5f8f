"""Lines of jobs. Text only; what is shown is decided elsewhere."""

from __future__ import annotations

import uuid
from typing import Final

from redun.cli.colors import Paint
from redun.cli.graph import Graph
from redun.cli.history_view import CACHED, SHORT, STATES, clock, full_uuid
from redun.cli.job_table import Job, JobTable
from redun.core.objects import Status

#: Jobs named in a lineage.
_SHOWN: Final = 6


def state_name(job: Job) -> str:
    """Returns the state of a job as filters and JSON name it: CACHED where it was answered without running."""
    return CACHED if job.cached and job.status is Status.DONE else job.status.name


def job_state(job: Job, paint: Paint) -> str:
    """Returns `[ DONE ]` and its like for a job."""
    text, role = (CACHED, "cached") if state_name(job) == CACHED else STATES[job.status]
    return f"[{paint(text, role)}]"


def job_line(graph: Graph, table: JobTable, job: Job, paint: Paint, *, full: bool = False) -> str:
    """Returns the line of a job."""
    name = table.id(job)
    shown = str(uuid.UUID(name)) if full else name[:SHORT]
    start = clock(table.run.start + job.row.start)
    tried = f" (attempt {job.row.attempt})" if job.row.attempt > 1 and not job.inner else ""
    return f"Job {paint(shown, 'id')} {job_state(job, paint)} {start}:  {graph.call_text(job.call)}{tried}"


def lineage_text(graph: Graph, table: JobTable, lineage: list[Job]) -> str:
    """Returns `Traceback: Exec 67fa7eb7 > Job fe387985 main > Job 5ede15ae greeter`, its middle left out when long."""
    steps = [f"Job {table.id(job)[:SHORT]} {graph.name(graph.call(job.call))}" for job in lineage[-_SHOWN:]]
    left_out = len(lineage) - len(steps)
    if left_out:
        steps.insert(0, f"({left_out:,} Job{'s' if left_out > 1 else ''})")
    return "Traceback: " + " > ".join([f"Exec {full_uuid(table.run)[:SHORT]}", *steps])
