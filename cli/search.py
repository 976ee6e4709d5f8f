"""Questions that go against the pointers: which job made this call, this value, this task.

No index answers them yet, so they read job pages, newest execution first, and stop at the first execution that has an
answer. How far they read is bounded; a history that is longer needs the derived tables of the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from redun.cli.graph import Graph
from redun.cli.job_table import JobTable, Place, page_payloads
from redun.core.digest import Digest
from redun.core.job_links import JobLinks
from redun.store.lookup_names import Run, runs

#: Jobs looked at for one answer.
_JOBS: Final = 200_000
#: Calls read for one answer.
_CALLS: Final = 20_000


def jobs_of_call(graph: Graph, digest: Digest, most: int) -> list[Place]:
    """Returns jobs of a call in the newest execution that has any, at most `most`."""
    found: Run | None = None
    numbers: list[int] = []
    for run, links in _pages(graph):
        if found is not None and run.uuid != found.uuid:
            break
        matching = [number for number, call in zip(links.numbers, links.calls, strict=True) if call == digest]
        if matching:
            found = run
            numbers += matching
    if found is None:
        return []
    table = JobTable(graph, found)
    return [(table, table.lineage(number)) for number in sorted(numbers)[:most]]


def job_of_value(graph: Graph, digest: Digest) -> Place | None:
    """Returns a job whose result is the value, in the newest execution that has one: the innermost one."""
    seen: dict[Digest, bool] = {}
    for run, links in _pages(graph):
        fresh = [call for call in dict.fromkeys(links.calls) if call is not None and call not in seen]
        graph.prefetch(fresh)
        seen.update((call, _gives(graph, call, digest)) for call in fresh)
        numbers = [
            number for number, call in zip(links.numbers, links.calls, strict=True) if call is not None and seen[call]
        ]
        if numbers:
            table = JobTable(graph, run)
            return max(((table, table.lineage(number)) for number in numbers), key=lambda place: len(place[1]))
        if len(seen) > _CALLS:
            break
    return None


def _gives(graph: Graph, call: Digest, value: Digest) -> bool:
    record = graph.call(call)
    return record is not None and record.result == value


def first_job_of_task(graph: Graph, digest: Digest) -> Place | None:
    """Returns the first job of a version of a task, in the oldest execution that used it."""
    oldest: Run | None = None
    for run in runs(graph.store):
        if any(task == digest for task, _ in run.sources):
            oldest = run
    if oldest is None:
        return None
    table = JobTable(graph, oldest)
    for _, job in islice(table.walk(), _CALLS):
        call = graph.call(job.call)
        if call is not None and call.task == digest:
            return table, table.lineage(job.number)
    return None


def _pages(graph: Graph) -> Iterator[tuple[Run, JobLinks]]:
    """The links of all jobs, newest execution first."""
    read = 0
    for run in runs(graph.store):
        loose = (*run.tail, *run.running)
        if loose:
            yield run, JobLinks([r.number for r in loose], [r.parent for r in loose], [r.call for r in loose])
        for payload in page_payloads(graph.store, run.pages):
            links = JobLinks.parse(payload)
            yield run, links
            read += len(links.numbers)
            if read > _JOBS:
                return
