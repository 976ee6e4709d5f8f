"""A file by its path: the states that it was recorded in, who wrote and who read each, and how that in place now came
about."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from redun.cli import details
from redun.cli.colors import Paint
from redun.cli.file_lines import state_document, state_text
from redun.cli.file_names import FileName
from redun.cli.graph import Graph
from redun.cli.history_view import SHORT, uuid_text
from redun.cli.parts import indented
from redun.cli.queries import as_job, found_job_line
from redun.core.digest import Digest
from redun.core.errors import RedunError
from redun.core.files.filesystems import filesystem_of
from redun.core.forms import printable
from redun.core.objects import ExecRecord
from redun.store.file_history import FileHistory, FileState
from redun.store.indexes.held_files import compared_by
from redun.store.indexes.index import FoundJob
from redun.store.lookup_names import JobName, of_record

#: States that are shown, and jobs of each that are named, where the user gives no number.
_STATES: Final = 10
_JOBS: Final = 10


def start_of(file: FileName) -> Digest:
    """Returns where the lineage of a file starts, as it is now or else as it was last: the call that wrote it, or a
    value that holds it."""
    state = _shown_state(file, _look(file)[1])
    return next(iter(file.history.calls(state).wrote), state.values[0])


def _look(file: FileName) -> tuple[str, bytes | None]:
    """(what is to be said of the file as it is now, its state; which is None also where it cannot be read)."""
    newest = file.states[0]
    by = compared_by(newest.kind)
    if by == "path":
        return "not compared: its path says all", newest.state
    try:
        now = filesystem_of(file.place).state(file.place, by)
    except (OSError, RedunError) as error:
        return f"cannot be read: {printable(str(error))}", None
    if now is None:
        return ("missing, as it was last seen" if newest.state is None else "gone"), None
    known = [state.state for state in file.states if compared_by(state.kind) == by]
    what = "as it was last seen" if now == newest.state else "as it was before" if now in known else "changed"
    return f"{what}, {now.hex()[:SHORT]}", now


def _shown_state(file: FileName, now: bytes | None) -> FileState:
    return next((state for state in file.states if now is not None and state.state == now), file.states[0])


def file_view(graph: Graph, file: FileName, most: int | None, paint: Paint) -> Iterator[str]:
    """Yields the lines of a file, the state that it is in now, or was in last, with the job that wrote it."""
    told, now = _look(file)
    yield f"File {printable(file.path)}"
    yield f"Now: {told}"
    number = _STATES if most is None else most or len(file.states)
    for state in file.states[:number]:
        yield ""
        yield from _state_lines(graph, file, state, paint, most)
    if len(file.states) > number:
        yield ""
        yield f"... {len(file.states) - number:,} earlier states: -n 0 shows all"
    shown = _shown_state(file, now)
    for call in file.history.calls(shown).wrote[:1]:
        job = file.history.job(call)
        yield ""
        yield "Written by" if job is None else f"Written by Job {paint(job.id.hex()[:SHORT], 'id')}"
        yield ""
        yield from indented(_maker_lines(graph, call, job, paint))


def _state_lines(graph: Graph, file: FileName, state: FileState, paint: Paint, most: int | None) -> Iterator[str]:
    archived = "" if state.archive is None else f", archived as {paint(state.archive.hex()[:SHORT], 'id')}"
    yield f"State {state_text(state)}{archived}"
    calls = file.history.calls(state)
    for title, listed in (("Written by", calls.wrote), ("Read by", calls.read)):
        jobs = _jobs(file.history, listed)
        number = _JOBS if most is None else most or len(jobs)
        if jobs:
            yield f"  {title}:"
        yield from (f"    {found_job_line(graph, as_job(job), paint)}" for job in jobs[:number])
        if len(jobs) > number:
            yield f"    ... {len(jobs) - number:,} more: -n 0 shows all"
    if not calls.wrote and calls.read:
        yield "  Written by no job: it was there"


def _jobs(history: FileHistory, calls: tuple[Digest, ...]) -> list[FoundJob]:
    """The jobs of some calls, the newest first."""
    found = {job.id: job for job in map(history.job, calls) if job is not None}
    return sorted(found.values(), key=lambda job: (-job.start, job.uuid, -job.row.start))


def _maker_lines(graph: Graph, call: Digest, job: FoundJob | None, paint: Paint) -> Iterator[str]:
    if job is None or job.row.call != call:  # only a job that was answered whole stands for it
        return details.call_view(graph, call, paint)
    record = ExecRecord.parse(graph.store.get(job.execution)[1])
    return details.job_view(graph, JobName(of_record(job.execution, record), job.row.number), paint)


# -- documents --------------------------------------------------------------------------------------------------------


def file_document(graph: Graph, file: FileName, most: int | None) -> dict[str, Any]:
    """Returns the document of a file."""
    told, now = _look(file)
    number = _STATES if most is None else most or len(file.states)
    return {
        "kind": "file",
        "path": file.path,
        "now": {"hash": None if now is None else now.hex(), "told": told},
        "states": [_state_document(graph, file.history, state) for state in islice(file.states, number)],
        "total": len(file.states),
    }


def _state_document(graph: Graph, history: FileHistory, state: FileState) -> dict[str, Any]:
    calls, when = history.calls(state), history.when(state)
    return {
        **state_document(state, calls.mode),
        "seen": None if when is None else when / 1_000_000,
        "written_by": _call_documents(graph, history, calls.wrote),
        "read_by": _call_documents(graph, history, calls.read),
    }


def _call_documents(graph: Graph, history: FileHistory, calls: tuple[Digest, ...]) -> list[dict[str, Any]]:
    found = [_call_document(graph, history, call) for call in calls]
    return sorted(found, key=lambda call: -(call["start"] or 0))


def _call_document(graph: Graph, history: FileHistory, call: Digest) -> dict[str, Any]:
    job = history.job(call)
    return {
        "call": call.hex(),
        "task": graph.task_name(call),
        "job": None if job is None else job.id.hex(),
        "execution": None if job is None else uuid_text(job.uuid),
        "start": None if job is None else (job.start + job.row.start) / 1_000_000,
    }
