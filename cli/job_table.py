"""The jobs of one execution as a tree: rows as recorded, and inside each whole replay the jobs that it stands for.

Inner jobs have no rows. Their numbers follow the replay's own number in the order of `inner_calls`, so that each has an
id that never changes.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from redun.cli.graph import Graph
from redun.core.digest import Digest
from redun.core.errors import NotFound
from redun.core.job_links import JobLinks
from redun.core.objects import How, JobRow, JobsRecord, Outcome, Status, TreeRecord, Why, job_id
from redun.core.replays import inner_calls, made_by
from redun.store import Store
from redun.store.lookup_names import JobName, Run

#: Parsed pages kept.
_KEPT: Final = 64
ROOT: Final = -1


class Job(NamedTuple):
    """A job of an execution.

    Attributes:
        number: row number, also where it has no row of its own.
        call: its call; None where it never got one.
        status: as recorded; of an inner job, what its call says.
        cached: whether it was answered without running.
        row: its row, or that of the whole replay that it is part of.
        inner: whether it is part of a whole replay.
    """

    number: int
    call: Digest | None
    status: Status
    cached: bool
    row: JobRow
    inner: bool = False


class JobTable:
    """The jobs of one execution."""

    def __init__(self, graph: Graph, run: Run) -> None:
        self._graph = graph
        self.run = run
        self._pages = list(page_payloads(graph.store, run.pages))
        self._parsed: dict[int, JobsRecord] = {}
        self._loose = {row.number: row for row in (*run.tail, *run.running)}
        #: number -> (page, offset)
        self._places: dict[int, tuple[int, int]] = {}
        self._parents: dict[int, int] = {number: row.parent for number, row in self._loose.items()}
        for index, payload in enumerate(self._pages):
            links = JobLinks.parse(payload)
            self._parents.update(zip(links.numbers, links.parents, strict=True))
            self._places.update((number, (index, offset)) for offset, number in enumerate(links.numbers))
        if run.root is not None and 0 not in self._parents:
            # the root job of a run that has not ended, or was cut off: it has a call before it has a row
            self._loose[0] = JobRow(0, run.root, ROOT, run.status, How.RAN, Why.NONE, 0, -1)
            self._parents[0] = ROOT
        self._children: dict[int, list[int]] = defaultdict(list)
        for number in sorted(self._parents):
            parent = self._parents[number]
            self._children[parent if parent in self._parents else ROOT].append(number)

    def __len__(self) -> int:
        return len(self._parents)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def row(self, number: int) -> JobRow:
        """Returns the row of that number.

        Raises:
            KeyError: if there is none.
        """
        loose = self._loose.get(number)
        if loose is not None:
            return loose
        page, offset = self._places[number]
        record = self._parsed.get(page)
        if record is None:
            if len(self._parsed) >= _KEPT:
                del self._parsed[next(iter(self._parsed))]
            record = self._parsed[page] = JobsRecord.parse(self._pages[page])
        return record.rows[offset]

    def job(self, number: int) -> Job:
        """Returns the recorded job of that number."""
        row = self.row(number)
        status = row.status
        if status is Status.RUNNING and self.run.status is not Status.RUNNING:
            status = Status.INTERRUPTED  # its process died, and no open that writes has sealed the run yet
        return Job(number, row.call, status, row.how is not How.RAN, row)

    def numbers(self) -> list[int]:
        """Returns the numbers of the jobs that have a row, in order."""
        return sorted(self._parents)

    def siblings(self, number: int) -> list[int]:
        """Returns the numbers of the jobs that have the same parent, in order."""
        parent = self._parents.get(number, ROOT)
        return self._children[parent if parent in self._parents else ROOT]

    # -- the tree -----------------------------------------------------------------------------------------------------

    def walk(self) -> Iterator[tuple[int, Job]]:
        """Yields (depth, job) of all jobs, parents first."""
        return self._walk(self._children[ROOT])

    def below(self, lineage: Sequence[Job]) -> Iterator[tuple[int, Job]]:
        """Yields (depth, job) of the last job of a lineage and of all jobs below it, parents first."""
        job = lineage[-1]
        if not job.inner:
            yield from self._walk([job.number])
            return
        recorded = [other for other in lineage if not other.inner]
        top = len(lineage) - len(recorded)
        for depth, inner in self.inner(recorded[-1]):
            if inner.number > job.number and depth <= top:
                return
            if inner.number >= job.number:
                yield depth - top, inner

    def _walk(self, numbers: Sequence[int]) -> Iterator[tuple[int, Job]]:
        stack = [(0, number) for number in reversed(numbers)]
        while stack:
            depth, number = stack.pop()
            job = self.job(number)
            yield depth, job
            if job.row.how is How.WHOLE:
                yield from ((depth + below, inner) for below, inner in self.inner(job))
            stack.extend((depth + 1, child) for child in reversed(self._children.get(number, [])))

    def inner(self, replay: Job) -> Iterator[tuple[int, Job]]:
        """Yields (depth below, job) of the jobs that a whole replay stands for."""
        if replay.call is not None:
            for number, (depth, call) in enumerate(inner_calls(replay.call, self._child_calls), replay.number + 1):
                yield depth, self._inner_job(number, call, replay.row)

    def _child_calls(self, digest: Digest) -> tuple[Digest | None, ...]:
        call = self._graph.call(digest)
        return () if call is None else made_by(call)

    def _inner_job(self, number: int, digest: Digest, row: JobRow) -> Job:
        call = self._graph.call(digest)
        raised = call is not None and call.outcome is Outcome.RAISED
        return Job(number, digest, Status.FAILED if raised else Status.DONE, True, row, inner=True)

    def lineage(self, number: int) -> list[Job]:
        """Returns the job of that number after those that called it, outermost first; empty where there is none."""
        if number in self._parents:
            return self._recorded_lineage(number)
        replays = (n for n in sorted(self._parents, reverse=True) if n < number)
        for candidate in replays:
            row = self.row(candidate)
            if row.how is How.WHOLE:
                return self._inner_lineage(self.job(candidate), number)
        return []

    def _recorded_lineage(self, number: int) -> list[Job]:
        path: list[Job] = []
        seen: set[int] = set()
        while number in self._parents and number not in seen:
            seen.add(number)
            path.append(self.job(number))
            number = self._parents[number]
        return path[::-1]

    def _inner_lineage(self, replay: Job, number: int) -> list[Job]:
        path: list[Job] = []
        for depth, job in self.inner(replay):
            path[depth - 1 :] = [job]
            if job.number == number:
                return [*self._recorded_lineage(replay.number), *path]
        return []

    def id(self, job: Job) -> str:
        """Returns the job's id in hexadecimal."""
        return job_id(self._graph.store.format.hash, self.run.uuid, job.number).hex()


Place: TypeAlias = tuple[JobTable, list[Job]]
"""A job in its execution, after the jobs that led to it."""


def place_of(graph: Graph, name: JobName) -> Place:
    """Returns a job in its execution, after the jobs that led to it.

    Raises:
        NotFound: if nothing of it is recorded: it was never begun.
    """
    table = JobTable(graph, name.run)
    lineage = table.lineage(name.number)
    if not lineage:
        raise NotFound(
            f"job {name.number} of execution {name.run.uuid.hex()[:8]} is not recorded",
            hint="it was given a number and never begun, or its run is still going",
        )
    return table, lineage


def page_payloads(store: Store, pages: Sequence[Digest]) -> Iterator[bytes]:
    """Yields the payloads of the pages that an execution lists, through trees where there are any; not those
    that are known to be lost."""
    stack = list(reversed(pages))
    while stack:
        page = stack.pop()
        try:
            kind, payload = store.get(page)
        except NotFound:
            if not store.is_lost(page):
                raise
            continue
        if kind == "tree":
            stack.extend(reversed(TreeRecord.parse(payload).children))
        else:
            yield payload
