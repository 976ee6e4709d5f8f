"""How a job was answered: it ran, and why; or what answered it."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Final, NamedTuple

from redun.cli.dependencies import Dependencies, dependencies
from redun.cli.details import frame_of
from redun.cli.graph import Graph
from redun.cli.job_table import Job, JobTable, Place, page_payloads
from redun.core.digest import Digest
from redun.core.job_links import JobLinks
from redun.core.objects import How, Outcome, Use, Why
from redun.executor.code_changes import carried_changes, class_uses
from redun.executor.known import known_in
from redun.executor.reasons import Miss, Reason, Reasons, Site, called, off_at_call, switched_off
from redun.store.lookup_names import Run, runs

#: Jobs looked at for the one that made a call.
_JOBS: Final = 500_000
#: Jobs below a job that are looked at for those that ran.
_BELOW: Final = 20_000

#: What is said of a job by how it was answered.
TITLES: Final = {
    "ran": "Ran",
    "joined": "Joined another job of the same call in this execution",
    "whole": "Replayed whole: nothing that its subtree depended on had changed",
    "step": "Replayed one step: what its body returned is remembered, and what that calls was evaluated",
    "result": "Answered with its result, which is remembered",
    "error": "Answered with its error, which is remembered and handled by somebody above",
    "inner": "Part of a whole replay",
    "unbegun": "Never begun",
    "unlooked": "Ended before it was looked up",
    "root": "The expression that was run; it is not a call that could be looked up",
}

_HITS: Final = ("whole", "step", "result", "error", "inner")


class Answer(NamedTuple):
    """How a job was answered.

    Attributes:
        how: a key of TITLES.
        reason: why it ran, where it did.
        made_by: the job that ran the call which it was answered with, or compared with.
        with_job: the job of the same execution that it joined, or whose replay it is part of.
        below: the jobs below it that ran, where it was replayed one step; at most the first that are looked at.
        depends: what its subtree depended on, where that is recorded.
        remote: the remote that it came from, in the run itself or before.
    """

    how: str
    reason: Reason | None = None
    made_by: Place | None = None
    with_job: Place | None = None
    below: tuple[tuple[Job, Reason], ...] = ()
    depends: Dependencies | None = None
    remote: str = ""


class Answers:
    """Finds how jobs were answered, in one store."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known = known_in(graph.store)
        self._reasons = Reasons(graph.fetch, self._known)
        #: Of a caller's call: the places of the calls that it made, among those of the same task.
        self._places: dict[Digest, dict[Digest, int]] = {}
        self._earlier: dict[Digest, Digest | None] = {}
        #: By executions: the one before, and what the tasks use.
        self._previous: dict[bytes, Run | None] = {}
        self._used: dict[bytes, dict[str, Use]] = {}

    def answer(self, place: Place) -> Answer:
        """Returns how a job was answered."""
        remote = place[1][-1].row.remote
        answer = self._answer(place)
        return answer._replace(remote=remote or _remote(answer.made_by)) if answer.how in _HITS else answer

    def _answer(self, place: Place) -> Answer:
        table, lineage = place
        job = lineage[-1]
        if job.inner:
            recorded = [other for other in lineage if not other.inner]
            return Answer("inner", made_by=self._made_by(job.call, table.run), with_job=(table, recorded))
        call = self._graph.call(job.call)
        if call is None:
            return Answer("unbegun")
        if job.row.how is How.RAN:
            reason = self.reason(place)
            if reason is None:
                return Answer("root" if self._graph.fullname(call) == "redun.root" else "unlooked")
            made_by = None if reason.gone else self._made_by(reason.compared, table.run)
            earlier = None if made_by is None else made_by[0].run
            return Answer("ran", self._with_carried_code(reason, earlier, table.run), made_by)
        if job.row.how is How.JOINED:
            return Answer("joined", with_job=self._leader(table, job))
        depends = dependencies(self._graph, job.row.head)
        made_by = self._made_by(job.call, table.run)
        if job.row.how is How.WHOLE:
            return Answer("whole", made_by=made_by, depends=depends)
        if call.reduction is None:
            how = "error" if call.outcome is Outcome.RAISED else "result"
            return Answer(how, made_by=made_by, depends=depends)
        return Answer("step", made_by=made_by, below=tuple(self.ran_below(place)), depends=depends)

    def reason(self, place: Place) -> Reason | None:
        """Returns why a job ran; None where it did not run, or was not looked up."""
        table, lineage = place
        job = lineage[-1]
        call = self._graph.call(job.call)
        if call is None or job.inner or job.row.how is not How.RAN or job.row.why is Why.NONE:
            return None
        row = job.row
        off_by = ""
        if row.why is Why.OFF_TASK:
            off_by = self._switch(place)
        elif row.why is Why.OFF_RUN and "--no-cache" in table.run.argv:
            off_by = "--no-cache"
        site = self._site(lineage[-2], job) if len(lineage) > 1 else None
        reason = self._reasons.reason(Miss(row.why, row.compared, call.task, call.args, row.stale, off_by, site))
        carries = any(change.what == "carried" for change in reason.code)
        return self._with_carried_code(reason, self._before(table.run), table.run) if carries else reason

    def _site(self, caller: Job, job: Job) -> Site | None:
        """Where a job is called, and the earlier call of its caller: the one that it is compared with where it ran too,
        else one of the same task and arguments."""
        call = self._graph.call(caller.call)
        if call is None or caller.call is None or job.call is None:
            return None
        earlier = caller.row.compared
        if caller.row.how is not How.RAN:
            if caller.call not in self._earlier:
                known = self._known(call.task, call.args)
                self._earlier[caller.call] = next((other for other in known if other != caller.call), None)
            earlier = self._earlier[caller.call]
        if earlier is None:
            return None
        if caller.call not in self._places:
            places: dict[Digest, int] = {}
            for numbers in called(self._graph.payload(call.reduction, "expr"), call).values():
                children = enumerate(call.children[number] for number in numbers)
                places |= {child: place for place, child in children if child is not None}
            self._places[caller.call] = places
        place = self._places[caller.call].get(job.call)
        return None if place is None else Site(earlier, place)

    def ran(self, table: JobTable) -> Iterator[tuple[Job, Reason]]:
        """Yields the jobs of an execution that ran, and why."""
        return self._ran(table, table.walk(), [])

    def ran_below(self, place: Place) -> Iterator[tuple[Job, Reason]]:
        """Yields the jobs below a job that ran, and why, as far as they are looked at."""
        table, lineage = place
        return self._ran(table, islice(table.below(lineage), 1, _BELOW), lineage)

    def _ran(self, table: JobTable, jobs: Iterator[tuple[int, Job]], above: list[Job]) -> Iterator[tuple[Job, Reason]]:
        path: list[Job] = []
        offset = 1 if above else 0
        for depth, job in jobs:
            path[depth - offset :] = [job]
            near = path[-2:] if len(path) > 1 else [*above[-1:], job]
            reason = None if job.inner else self.reason((table, near))
            if reason is not None:
                yield job, reason

    def _with_carried_code(self, reason: Reason, earlier: Run | None, run: Run) -> Reason:
        """The reason, with those of the classes that its arguments are made of which changed since an execution."""
        if earlier is None or all(change.what != "carried" for change in reason.code):
            return reason
        before, after = self._uses(earlier), self._uses(run)
        return reason._replace(code=carried_changes(reason.code, before, after, self._graph.fetch))

    def _uses(self, run: Run) -> dict[str, Use]:
        if run.uuid not in self._used:
            tasks = (self._graph.task(task) for task, _ in run.sources)
            self._used[run.uuid] = class_uses(task for task in tasks if task is not None)
        return self._used[run.uuid]

    def _before(self, run: Run) -> Run | None:
        """The execution before another."""
        if run.uuid not in self._previous:
            pairs = pairwise(runs(self._graph.store))
            self._previous[run.uuid] = next((older for newer, older in pairs if newer.uuid == run.uuid), None)
        return self._previous[run.uuid]

    # -- finding jobs -------------------------------------------------------------------------------------------------

    def _made_by(self, call: Digest | None, later: Run) -> Place | None:
        """The job that ran a call, in the newest execution before `later` in which one did."""
        return None if call is None else made_by(self._graph, call, later)

    def _leader(self, table: JobTable, job: Job) -> Place | None:
        for number in _numbers_of(self._graph, table.run, job.call):
            if table.row(number).how is not How.JOINED:
                return table, table.lineage(number)
        return None

    def _switch(self, place: Place) -> str:
        """Which option switched the cache off: of the call, of the command line, or else of the task."""
        table, lineage = place
        frame = frame_of(self._graph, (table, lineage[-2:]))
        caller = None if frame is None or frame.parent is None else self._graph.call(frame.parent.call)
        expression = self._graph.table(caller)
        if frame is not None and expression is not None and frame.node is not None:
            options = expression.node(frame.node)[4]
            written = switched_off({name: item for name, item in options.items() if type(item) in (bool, str)})
            if written:
                return off_at_call(written)
        if len(lineage) == 1:
            pairs = pairwise(table.run.argv)
            if any(
                word in ("-o", "--option") and after.startswith(("cache=", "cache_scope=")) for word, after in pairs
            ):
                return "an option on the command line"
        return "an option of the task"


def _remote(place: Place | None) -> str:
    return "" if place is None else place[0].run.remote


def made_by(graph: Graph, call: Digest, later: Run | None = None) -> Place | None:
    """Returns the job that ran a call, in the newest execution (before `later`) in which one did."""
    read = 0
    older = later is None
    for run in runs(graph.store):
        if not older:
            older = later is not None and run.uuid == later.uuid
            continue
        numbers = list(_numbers_of(graph, run, call))
        read += run.rows
        if numbers:
            table = JobTable(graph, run)
            for number in numbers:
                if table.row(number).how is How.RAN:
                    return table, table.lineage(number)
        if read > _JOBS:
            break
    return None


def _numbers_of(graph: Graph, run: Run, call: Digest | None) -> Iterator[int]:
    """The numbers of the rows of an execution that have a call."""
    if call is None:
        return
    yield from (row.number for row in (*run.tail, *run.running) if row.call == call)
    for payload in page_payloads(graph.store, run.pages):
        if payload.find(call) >= 0:  # a quick no: most pages do not have its bytes
            links = JobLinks.parse(payload)
            yield from (number for number, made in zip(links.numbers, links.calls, strict=True) if made == call)
