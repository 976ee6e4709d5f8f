"""What points to an object: calls that hold it, found by reading the calls of the history, newest execution first.

No index answers this yet. How far is read is bounded; a history that is longer needs the derived tables of the store.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterator
from typing import Final, NamedTuple

from redun.cli.graph import Graph
from redun.cli.job_table import page_payloads
from redun.core.digest import Digest
from redun.core.job_links import JobLinks
from redun.core.objects import CallRecord
from redun.store.lookup_names import Run, runs

#: Jobs and calls that are looked at for one answer.
_JOBS: Final = 200_000
_CALLS: Final = 50_000


class Holder(NamedTuple):
    """A call that points to an object, and the newest execution in which a job had it."""

    call: Digest
    record: CallRecord
    run: Run


def holders(graph: Graph, digest: Digest) -> Iterator[Holder]:
    """Yields the calls of jobs that point to an object, each once, those of the newest executions first."""
    seen: set[Digest] = set()
    jobs = 0
    for run in runs(graph.store):
        for calls in _pages(graph, run):
            jobs += len(calls)
            fresh = [call for call in dict.fromkeys(calls) if call not in seen]
            seen.update(fresh)
            for call, found in zip(fresh, graph.store.get_many(fresh), strict=True):
                # a quick no: most calls do not have its bytes
                if found is not None and found[0] == "call" and found[1].find(digest) >= 0:
                    yield Holder(call, CallRecord.parse(found[1]), run)
            if jobs > _JOBS or len(seen) > _CALLS:
                return


def _pages(graph: Graph, run: Run) -> Iterator[list[Digest]]:
    """The calls of the jobs of an execution, those that ended last first."""
    yield [row.call for row in (*run.running, *run.tail) if row.call is not None]
    for payload in reversed(list(page_payloads(graph.store, run.pages))):
        yield [call for call in reversed(JobLinks.parse(payload).calls) if call is not None]
