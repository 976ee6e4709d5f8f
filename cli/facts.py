"""What `redun show` tells of jobs, calls and values: what they are, who made them, who used them, what they depend on.

Facts are records of text and ids: JSON is made of them as they are, lines by `show_view`.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from redun.cli.answers import TITLES, Answers, made_by
from redun.cli.backlinks import Holder, holders
from redun.cli.dependencies import Dependencies, dependencies
from redun.cli.graph import Graph
from redun.cli.history_view import full_uuid
from redun.cli.job_lines import state_name
from redun.cli.job_table import Place
from redun.cli.search import jobs_of_call
from redun.core.codec import unpack
from redun.core.digest import Digest
from redun.core.display import pretty
from redun.core.errors import MalformedObject
from redun.core.forms import printable, type_name
from redun.core.objects import CallRecord, How
from redun.store.indexes.held_files import HeldSet, held

#: Jobs and calls named in a list, lines of a value, and characters of a line.
_LISTED: Final = 8
_LINES: Final = 16
_LINE: Final = 160
#: Holders of an object that are looked at.
_HOLDERS: Final = 1000


class JobFact(NamedTuple):
    """A job: its id, that of its execution, when it began (µs since the epoch), its state, its call and task, and the
    call as text. `note`: what it has to do with what is shown."""

    job: str
    execution: str
    start: int
    status: str
    task: str | None
    call: Digest | None
    text: str
    note: str = ""


class NodeFact(NamedTuple):
    """A call or a task: its kind, its id, and its text."""

    kind: str
    id: Digest
    text: str


class ArgumentFact(NamedTuple):
    """An argument: the parameter's name, the value's id and text."""

    name: str
    value: Digest
    text: str


class Listed(NamedTuple):
    """The first of several, and how many there are in all, as far as was looked."""

    items: tuple[JobFact | NodeFact, ...] = ()
    total: int = 0


class JobFacts(NamedTuple):
    """A job: how it was answered, what it computed, what it called."""

    kind: str
    job: JobFact
    lineage: tuple[JobFact, ...]
    how: str
    answer: str
    arguments: tuple[ArgumentFact, ...]
    outcome: str
    result: Digest | None
    result_text: str
    started: float
    duration: float | None
    executor: str
    attempt: int
    calls: Listed
    depends: Dependencies | None


class CallFacts(NamedTuple):
    """A call: what it computed, the job that ran it, the jobs that were answered with it, the calls above and below."""

    kind: str
    id: Digest
    task: Digest
    fullname: str
    arguments: tuple[ArgumentFact, ...]
    outcome: str
    result: Digest | None
    result_text: str
    made_by: JobFact | None
    answered: Listed
    called_by: Listed
    calls: Listed
    depends: Dependencies | None


class FileFact(NamedTuple):
    """A file that a value holds: its path, what it is compared by (None: it was missing), and the blob that keeps its
    bytes."""

    path: str
    hash: str | None
    archive: str | None


class ValueFacts(NamedTuple):
    """A value: its type and text, the first files in it, the jobs that gave it, those that took it."""

    kind: str
    id: Digest
    type: str
    size: int
    lines: tuple[str, ...]
    more_lines: int
    files: tuple[FileFact, ...]
    more_files: int
    made_by: Listed
    used_by: Listed
    depends: Dependencies | None


def job_fact(graph: Graph, place: Place, note: str = "") -> JobFact:
    """Returns a job as a fact."""
    table, lineage = place
    job = lineage[-1]
    return JobFact(
        table.id(job),
        full_uuid(table.run),
        table.run.start + job.row.start,
        state_name(job),
        graph.task_name(job.call),
        job.call,
        graph.call_text(job.call, _LINE),
        note,
    )


def call_fact(graph: Graph, call: Digest) -> NodeFact:
    """Returns a call as a fact."""
    return NodeFact("call", call, graph.call_text(call, _LINE))


# -- jobs -------------------------------------------------------------------------------------------------------------


def job_facts(graph: Graph, place: Place) -> JobFacts:
    """Returns what there is to show of a job."""
    table, lineage = place
    job = lineage[-1]
    answer = Answers(graph).answer(place)
    call = graph.call(job.call)
    below = [(table, [inner]) for depth, inner in islice(table.below(lineage), 1, _HOLDERS) if depth == 1]
    reason = "" if answer.reason is None else f": {answer.reason.text()}"
    return JobFacts(
        kind="job",
        job=job_fact(graph, place),
        lineage=tuple([job_fact(graph, (table, [above])) for above in lineage[-1 - _LISTED : -1]]),
        how=answer.how,
        answer=TITLES[answer.how] + reason,
        arguments=_arguments(graph, call),
        outcome=job.status.name.lower() if call is None else call.outcome.name.lower(),
        result=None if call is None else call.result,
        result_text="" if call is None else graph.value(call.result, _LINE),
        started=(table.run.start + job.row.start) / 1_000_000,
        duration=None if job.inner or job.row.duration < 0 else job.row.duration / 1_000_000,
        executor=job.row.executor,
        attempt=1 if job.inner else job.row.attempt,
        calls=Listed(tuple([job_fact(graph, child) for child in below[:_LISTED]]), len(below)),
        depends=None if job.inner else dependencies(graph, job.row.head),
    )


def _arguments(graph: Graph, call: CallRecord | None) -> tuple[ArgumentFact, ...]:
    given = [] if call is None else graph.arguments(call)
    return tuple([ArgumentFact(printable(a.name), a.value, graph.value(a.value, _LINE)) for a in given])


# -- calls ------------------------------------------------------------------------------------------------------------


def call_facts(graph: Graph, digest: Digest, call: CallRecord) -> CallFacts:
    """Returns what there is to show of a call."""
    maker = made_by(graph, digest)
    places = jobs_of_call(graph, digest, _HOLDERS)
    answered = [place for place in places if place[1][-1].row.how is not How.RAN]
    above = [holder for holder in islice(holders(graph, digest), _HOLDERS) if digest in _called(holder.record)]
    below = _called(call)
    head = next((place[1][-1].row.head for place in [*([maker] if maker else []), *places]), None)
    return CallFacts(
        kind="call",
        id=digest,
        task=call.task,
        fullname=graph.fullname(call),
        arguments=_arguments(graph, call),
        outcome=call.outcome.name.lower(),
        result=call.result,
        result_text=graph.value(call.result, _LINE),
        made_by=None if maker is None else job_fact(graph, maker),
        answered=Listed(tuple([job_fact(graph, place) for place in answered[:_LISTED]]), len(answered)),
        called_by=Listed(tuple([call_fact(graph, holder.call) for holder in above[:_LISTED]]), len(above)),
        calls=Listed(tuple([call_fact(graph, child) for child in below[:_LISTED]]), len(below)),
        depends=dependencies(graph, head),
    )


def _called(call: CallRecord) -> list[Digest]:
    return [*(child for child in call.children if child is not None), *call.extras]


# -- values -----------------------------------------------------------------------------------------------------------


def value_facts(graph: Graph, digest: Digest, payload: bytes) -> ValueFacts:
    """Returns what there is to show of a value."""
    found = list(islice(holders(graph, digest), _HOLDERS))
    gave = [holder for holder in found if holder.record.result == digest]
    took = [holder for holder in found if any(a.value == digest for a in graph.arguments(holder.record))]
    # a caller whose result is its callee's has made nothing: those that called least come first
    makers = sorted(gave, key=lambda holder: len(_called(holder.record)))
    places = _jobs_of(graph, makers[:_LISTED])
    lines = pretty(payload).split("\n")
    files = list(_files(graph, payload))
    return ValueFacts(
        kind="value",
        id=digest,
        type=_type(payload),
        size=len(payload),
        lines=tuple([line if len(line) <= _LINE else f"{line[: _LINE - 3]}..." for line in lines[:_LINES]]),
        more_lines=max(len(lines) - _LINES, 0),
        files=tuple(files[:_LISTED]),
        more_files=max(len(files) - _LISTED, 0),
        made_by=Listed(tuple([job_fact(graph, place) for place in places]), len(gave)),
        used_by=Listed(tuple(_takers(graph, took[:_LISTED], digest)), len(took)),
        depends=dependencies(graph, places[0][1][-1].row.head) if places else None,
    )


def _files(graph: Graph, payload: bytes) -> Iterator[FileFact]:
    """The files that a value holds, those in sets among them."""
    for found in held(payload):
        files = found.files(lambda digest: graph.payload(digest, "value")) if isinstance(found, HeldSet) else [found]
        for file in files:
            state, archive = (None if part is None else part.hex() for part in (file.state, file.archive))
            yield FileFact(printable(file.path), state, archive)


def _type(payload: bytes) -> str:
    try:
        return type_name(unpack(payload))
    except MalformedObject:
        return "malformed"


def _jobs_of(graph: Graph, found: Iterable[Holder]) -> list[Place]:
    """The jobs that ran these calls; of one whose job is not in the history, a job that was answered with it."""
    places = [made_by(graph, holder.call) or next(iter(jobs_of_call(graph, holder.call, 1)), None) for holder in found]
    return [place for place in places if place is not None]


def _takers(graph: Graph, found: Iterable[Holder], value: Digest) -> Iterator[JobFact]:
    for holder in found:
        names = ", ".join(printable(a.name) for a in graph.arguments(holder.record) if a.value == value)
        yield from (job_fact(graph, place, f"as {names}") for place in _jobs_of(graph, [holder]))
