"""What `redun show` tells of tasks, executions and any other object."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections import Counter
from itertools import islice
from typing import Final, NamedTuple

from redun.cli.answers import Answers
from redun.cli.backlinks import holders
from redun.cli.colors import painter
from redun.cli.dependencies import Dependencies, dependencies
from redun.cli.facts import JobFact, Listed, NodeFact, call_fact, job_fact
from redun.cli.graph import Graph
from redun.cli.history_view import full_uuid, run_duration
from redun.cli.job_table import JobTable
from redun.cli.object_view import content_lines
from redun.core.digest import Digest
from redun.core.errors import NotFound
from redun.core.forms import printable, printable_lines
from redun.core.objects import SourceRecord, TaskRecord, TraceRecord, Use, pointers
from redun.core.uses import signature_text
from redun.executor.code_changes import use_name
from redun.store.lookup_names import Run, runs

#: Reasons, holders and versions in a list, lines of content, and characters of a value.
_LISTED: Final = 8
_LINES: Final = 24
_LINE: Final = 160
#: Jobs of an execution whose reasons are looked at.
_RAN: Final = 2_000
#: Calls that hold an object, and pointers of one, that are looked at.
_HOLDERS: Final = 100
_POINTERS: Final = 200


class UseFact(NamedTuple):
    """Something that a task's code uses, and what is tracked of it: the id of its text or value, its text."""

    how: str
    name: str
    target: Digest | None
    text: str


class VersionFact(NamedTuple):
    """A fingerprint of a task: the first and the last execution that used it, when (µs), and how many did."""

    task: Digest
    first: str
    last: str
    began: int
    ended: int
    executions: int


class TaskFacts(NamedTuple):
    """A task: what of its code is tracked, which versions there are, how often it was used."""

    kind: str
    id: Digest
    fullname: str
    code: str
    version: str | None
    parameters: str
    text: Digest | None
    uses: tuple[UseFact, ...]
    untracked: tuple[UseFact, ...]
    versions: tuple[VersionFact, ...]
    jobs: int
    executions: int
    source: tuple[str, ...]
    more_lines: int


class RanFact(NamedTuple):
    """Jobs of a task that ran for the same reason: the first, and how many."""

    job: str
    task: str | None
    reason: str
    jobs: int


class RunFacts(NamedTuple):
    """An execution: who made it, what came of it, what ran and why. `cut`: more jobs ran than were looked at."""

    kind: str
    execution: str
    id: Digest | None
    before: str | None
    status: str
    start: float
    duration: float
    argv: tuple[str, ...]
    info: tuple[tuple[str, str], ...]
    root: JobFact | None
    result: str
    error: str
    counts: tuple[tuple[str, int], ...]
    reasons: tuple[tuple[str, int], ...]
    ran: tuple[RanFact, ...]
    cut: bool
    depends: Dependencies | None


class ObjectFacts(NamedTuple):
    """An object of a kind that has no view of its own: its content, how many objects it points to and of which kinds
    the first are, and which calls or tasks point to it."""

    kind: str
    id: Digest
    size: int
    lines: tuple[str, ...]
    more_lines: int
    pointers: int
    points_to: tuple[tuple[str, int], ...]
    held_by: Listed


# -- tasks ------------------------------------------------------------------------------------------------------------


def task_facts(graph: Graph, digest: Digest, task: TaskRecord) -> TaskFacts:
    """Returns what there is to show of one fingerprint of a task."""
    versions: dict[Digest, VersionFact] = {}
    jobs = executions = 0
    for run in runs(graph.store):
        counts = [count.total for count in run.counts if count.fullname == task.fullname]
        jobs += sum(counts)
        executions += bool(counts)
        for used, _ in run.sources if counts else ():
            record = graph.task(used)
            if record is not None and record.fullname == task.fullname:
                name = full_uuid(run)
                known = versions.get(used) or VersionFact(used, name, name, run.start, run.start, 0)
                versions[used] = known._replace(first=name, began=run.start, executions=known.executions + 1)
    payload = graph.payload(graph.source_of(digest) or task.text, "source")
    lines = [] if payload is None else printable_lines(SourceRecord.parse(payload).text).rstrip("\n").split("\n")
    uses = [_use(graph, use) for use in task.uses]
    return TaskFacts(
        kind="task",
        id=digest,
        fullname=printable(task.fullname),
        code=task.code,
        version=None if task.version is None else printable(task.version),
        parameters=signature_text(task.params, task.interface),
        text=task.text,
        uses=tuple([use for use in uses if use.how != "untracked"]),
        untracked=tuple([use for use in uses if use.how == "untracked"]),
        versions=tuple(versions.values()),
        jobs=jobs,
        executions=executions,
        source=tuple(lines[:_LINES]),
        more_lines=max(len(lines) - _LINES, 0),
    )


def _use(graph: Graph, use: Use) -> UseFact:
    text = graph.value(use.target, _LINE) if use.how == "constant" else printable(use.detail)
    return UseFact(use.how, use_name(use), use.target, text)


# -- executions -------------------------------------------------------------------------------------------------------


def run_facts(graph: Graph, run: Run) -> RunFacts:
    """Returns what there is to show of an execution."""
    table = JobTable(graph, run)
    first = next((job for _, job in table.walk()), None)
    call = graph.call(run.root)
    ran = [(job, reason) for job, reason in islice(Answers(graph).ran(table), _RAN)]
    titles = Counter(reason.why.name.lower() for _, reason in ran)
    alike: dict[tuple[str | None, str], RanFact] = {}
    for job, reason in ran:
        name, text = graph.task_name(job.call), reason.text()
        first_of = alike.get((name, text)) or RanFact(table.id(job), name, text, 0)
        alike[name, text] = first_of._replace(jobs=first_of.jobs + 1)
    trace = graph.payload(run.trace, "trace")
    columns = ("done", "cached", "failed", "running", "pending")
    return RunFacts(
        kind="exec",
        execution=full_uuid(run),
        id=run.digest,
        before=_before(graph, run),
        status=run.status.name,
        start=run.start / 1_000_000,
        duration=run_duration(run) / 1_000_000,
        argv=run.argv,
        info=run.info,
        root=None if first is None else job_fact(graph, (table, [first])),
        result="" if call is None or call.result is None else graph.outcome_text(call, _LINE),
        error="" if trace is None else printable(TraceRecord.parse(trace).summary),
        counts=tuple([(name, sum(getattr(count, name) for count in run.counts)) for name in columns]),
        reasons=tuple(titles.most_common()),
        ran=tuple(islice(alike.values(), _LISTED)),
        cut=len(ran) == _RAN,
        depends=None if first is None else dependencies(graph, first.row.head),
    )


def _before(graph: Graph, run: Run) -> str | None:
    """The execution before this one."""
    found = False
    for other in runs(graph.store):
        if found:
            return full_uuid(other)
        found = other.uuid == run.uuid
    return None


# -- other objects ----------------------------------------------------------------------------------------------------


def object_facts(graph: Graph, kind: str, digest: Digest) -> ObjectFacts:
    """Returns what there is to show of any other object."""
    content = graph.store.open_blob(digest)
    text = islice(content_lines(graph, kind, digest, painter(False)), _LINES + 1)
    lines = [line for block in text for line in block.split("\n")]
    found = list(dict.fromkeys(pointers(kind, content)))
    held = _tasks_of(graph, digest) if kind == "source" else _calls_of(graph, digest)
    return ObjectFacts(
        kind=kind,
        id=digest,
        size=content.nbytes,
        lines=tuple([line if len(line) <= _LINE else f"{line[: _LINE - 3]}..." for line in lines[:_LINES]]),
        more_lines=max(len(lines) - _LINES, 0),
        pointers=len(found),
        points_to=tuple(Counter(_kind(graph, pointer) for pointer in found[:_POINTERS]).most_common()),
        held_by=Listed(tuple(held[:_LISTED]), len(held)),
    )


def _calls_of(graph: Graph, digest: Digest) -> list[NodeFact]:
    return [call_fact(graph, holder.call) for holder in islice(holders(graph, digest), _HOLDERS)]


def _tasks_of(graph: Graph, source: Digest) -> list[NodeFact]:
    """The tasks whose text a source is, exact or normalised, or that use it."""
    found: dict[Digest, NodeFact] = {}
    for run in runs(graph.store):
        for digest, exact in run.sources:
            task = graph.task(digest)
            if task is not None and digest not in found:
                used = any(use.target == source for use in task.uses)
                if used or source in (exact, task.text):
                    text = f"{printable(task.fullname)}{', which uses it' if used else ''}"
                    found[digest] = NodeFact("task", digest, text)
    return list(found.values())


def _kind(graph: Graph, digest: Digest) -> str:
    try:
        return graph.fetch(digest)[0]
    except NotFound:
        return "missing"
