"""Queries over all that was run: executions, jobs and calls, chosen by task, state, time, tag, value and file.

Answers are iterators, newest first: what is not taken is not read. The narrowest index leads, and what it gives is
looked at; where none helps, job pages are read from the newest execution on. Runs that go on are among the answers.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import heapq
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from redun.core.digest import Digest
from redun.core.objects import How, JobRow, JobsRecord, Outcome, Status, TreeRecord, job_id
from redun.store.call_graph import CallGraph
from redun.store.indexes.extract import pointers_of
from redun.store.indexes.held_files import HeldFile, fits, held
from redun.store.indexes.index import FoundJob, Index
from redun.store.indexes.set_members import SetMembers
from redun.store.lookup_names import Run, runs
from redun.store.problems import Progress, no_progress
from redun.store.store import Store

#: The state of a job that was answered without running.
CACHED: Final = "CACHED"
STATES: Final = (*(status.name for status in Status), CACHED)
_LISTED: Final = {status.name: status for status in (Status.FAILED, Status.CANCELLED, Status.INTERRUPTED)}

TagPattern = tuple[str, str | None]
"""A name and a value, or any value of that name."""


class Wanted(NamedTuple):
    """What is asked for; all that is given must be so.

    Attributes:
        task: full name of a task, or the end of one after a dot.
        status: one of `STATES`.
        since, until: when it began, microseconds since the epoch, both included.
        tags: what it is tagged with: an execution by itself, a job by itself or as part of its execution, a call by
            itself.
        argument, result, value: a value that it took, gave, or either.
        file: a path, or a pattern of one, of a file in something that it took or gave.
    """

    task: str | None = None
    status: str | None = None
    since: int | None = None
    until: int | None = None
    tags: tuple[TagPattern, ...] = ()
    argument: Digest | None = None
    result: Digest | None = None
    value: Digest | None = None
    file: str | None = None

    def names(self, fullname: str) -> bool:
        """Returns whether a task of that full name is asked for."""
        return self.task is None or fullname == self.task or fullname.endswith(f".{self.task}")

    @property
    def of_values(self) -> bool:
        """Whether calls are chosen by what they took or gave."""
        return (self.argument, self.result, self.value, self.file) != (None, None, None, None)


class Job(NamedTuple):
    """A job that was found.

    Attributes:
        id: the job's.
        uuid, execution, start: of its execution; the digest is None while that runs.
        row: as recorded; times count from the start of the execution.
        status: as recorded; interrupted where its process died.
    """

    id: bytes
    uuid: bytes
    execution: Digest | None
    start: int
    row: JobRow
    status: Status

    @property
    def state(self) -> str:
        """One of `STATES`."""
        return CACHED if self.row.how is not How.RAN and self.status is Status.DONE else self.status.name

    @property
    def began(self) -> int:
        """When it began, microseconds since the epoch."""
        return self.start + self.row.start


class Queries:
    """Asks one store.

    Args:
        progress: is told how far the index has come, which may have to be brought up to date.
    """

    def __init__(self, store: Store, *, progress: Progress = no_progress) -> None:
        self._store = store
        self._progress = progress
        self._graph = CallGraph(store)

    @cached_property
    def index(self) -> Index:
        """The index of the store, brought up to date when it is asked first."""
        return self._store.index(progress=self._progress)

    # -- executions ---------------------------------------------------------------------------------------------------

    def executions(self, wanted: Wanted) -> Iterator[Run]:
        """Yields executions, newest first. By values and files, those that have a job that took or gave them."""
        chosen: set[bytes] | None = None
        if wanted.of_values:
            by_job = wanted._replace(status=None, since=None, until=None, tags=())
            chosen = {job.uuid for job in self.jobs(by_job)}
        return (
            run for run in runs(self._store) if (chosen is None or run.uuid in chosen) and _is_wanted_run(run, wanted)
        )

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def jobs(self, wanted: Wanted) -> Iterator[Job]:
        """Yields jobs, those of the newest execution first. Those that were answered as part of a whole have no rows of
        their own and are not among them."""
        tagged = _Tagged(self._store, wanted.tags) if wanted.tags else None
        files = None if wanted.file is None else _Files(self._store, self.index, wanted.file)

        def is_wanted(job: Job) -> bool:
            return self._is_wanted_job(job, wanted, files) and (tagged is None or tagged.has_job(job.uuid, job.row))

        live = [run for run in runs(self._store) if run.digest is None] if self._store.live_runs() else []
        shown = {run.uuid for run in live}
        for run in live:
            yield from filter(is_wanted, self._jobs_of(run))
        for job in self._candidates(wanted, files, tagged):
            if job.uuid not in shown and is_wanted(job):
                yield job

    def _candidates(self, wanted: Wanted, files: "_Files | None", tagged: "_Tagged | None") -> Iterator[Job]:
        """Jobs of sealed executions, all that may be wanted among them."""
        if wanted.of_values:
            calls = self._calls_of_values(wanted, files)
            return _merged([_found(self.index.jobs_of_call(call)) for call in calls])
        if wanted.status in _LISTED:
            return _found(self.index.jobs_by_status(_LISTED[wanted.status]))
        if wanted.task is not None and tagged is None:
            return _merged([_found(self.index.jobs_of_task(name)) for name in self._tasks(wanted)])
        return self._walk(wanted, tagged)

    def _walk(self, wanted: Wanted, tagged: "_Tagged | None") -> Iterator[Job]:
        for run in runs(self._store):
            if run.digest is None or (wanted.until is not None and run.start > wanted.until):
                continue
            if wanted.since is not None and run.end is not None and run.end < wanted.since:
                continue
            if tagged is not None and not tagged.may_have(run.uuid):
                continue
            if any(wanted.names(count.fullname) for count in run.counts) or not run.counts:
                yield from self._jobs_of(run)

    def _tasks(self, wanted: Wanted) -> list[str]:
        return [name for name in self.index.tasks() if wanted.names(name)]

    def _is_wanted_job(self, job: Job, wanted: Wanted, files: "_Files | None") -> bool:
        if wanted.status is not None and job.state != wanted.status:
            return False
        if not _is_in_time(job.began, wanted):
            return False
        if wanted.task is not None and not wanted.names(self._graph.task_name(job.row.call) or ""):
            return False
        return not wanted.of_values or self._is_wanted_call(job.row.call, wanted, files)

    def _jobs_of(self, run: Run) -> Iterator[Job]:
        """The jobs of an execution, the last first."""
        function = self._store.format.hash
        for row in self._rows_of(run):
            status = row.status
            if status is Status.RUNNING and run.status is not Status.RUNNING:
                status = Status.INTERRUPTED
            yield Job(job_id(function, run.uuid, row.number), run.uuid, run.digest, run.start, row, status)

    def _rows_of(self, run: Run) -> Iterator[JobRow]:
        yield from sorted((*run.tail, *run.running), key=lambda row: -row.number)
        for page in reversed(list(self._pages(run.pages))):
            kind, payload = self._store.get_many([page])[0] or ("", b"")  # one may be lost
            if kind == "jobs":
                yield from reversed(JobsRecord.parse(payload).rows)

    def _pages(self, pages: Sequence[Digest]) -> Iterator[Digest]:
        if len(pages) != 1:
            yield from pages
            return
        kind, payload = self._store.get(pages[0])
        if kind != "tree":
            yield pages[0]
            return
        for child in TreeRecord.parse(payload).children:
            yield from self._pages((child,))

    # -- calls --------------------------------------------------------------------------------------------------------

    def calls(self, wanted: Wanted) -> Iterator[Digest]:
        """Yields calls, each once; those of the newest jobs first, as far as jobs lead to them. State and time are
        those of their jobs."""
        by_job = wanted._replace(tags=())
        if wanted.status is None and (wanted.since, wanted.until) == (None, None) and self._leads(wanted):
            found: Iterable[Digest | None] = self._calls(wanted)
        else:
            found = (job.row.call for job in self.jobs(by_job))
        tagged = [self._tagged_objects(pattern) for pattern in wanted.tags]
        seen: set[bytes] = set()
        for call in found:
            if call is not None and call not in seen and all(call in objects for objects in tagged):
                seen.add(call)
                yield call

    @staticmethod
    def _leads(wanted: Wanted) -> bool:
        return wanted.of_values or wanted.task is not None or bool(wanted.tags)

    def _calls(self, wanted: Wanted) -> Iterator[Digest]:
        if wanted.of_values:
            files = None if wanted.file is None else _Files(self._store, self.index, wanted.file)
            calls: Iterable[Digest] = (
                call for call in self._calls_of_values(wanted, files) if self._is_wanted_call(call, wanted, files)
            )
        elif wanted.tags:
            calls = sorted(self._tagged_objects(wanted.tags[0]))
        else:
            calls = (call for name in self._tasks(wanted) for call in self.index.calls_of_task(name))
        for call in calls:
            name = self._graph.task_name(call)
            if name is not None and wanted.names(name):
                yield call

    def _calls_of_values(self, wanted: Wanted, files: "_Files | None") -> list[Digest]:
        """Calls, all that took and gave what is wanted among them."""
        if wanted.result is not None:
            calls: Iterable[Digest] = self.index.producers(wanted.result)
        elif wanted.argument is not None:
            calls = self._takers(wanted.argument)
        elif wanted.value is not None:
            calls = (*self.index.producers(wanted.value), *self._takers(wanted.value))
        else:
            calls = () if files is None else files.calls()
        return list(dict.fromkeys(calls))

    def _takers(self, value: Digest) -> Iterator[Digest]:
        return (call for call, _ in self.index.consumers(value))

    def _is_wanted_call(self, call: Digest | None, wanted: Wanted, files: "_Files | None") -> bool:
        record = self._graph.call(call)
        if record is None:
            return False
        took = {argument.value for argument in self._graph.arguments(record)}
        gave = record.result if record.outcome is not Outcome.PARTIAL else None
        if files is not None and not any(files.holds(value) for value in (*took, gave) if value is not None):
            return False
        return (
            (wanted.argument is None or wanted.argument in took)
            and (wanted.result is None or wanted.result == gave)
            and (wanted.value is None or wanted.value in took or wanted.value == gave)
        )

    def _tagged_objects(self, pattern: TagPattern) -> set[Digest]:
        return {thing.about for thing, _ in self._store.tagged(*pattern) if thing.about is not None}


class _Files:
    """Which values hold a file that fits a pattern, also by way of values inside them."""

    def __init__(self, store: Store, index: Index, pattern: str) -> None:
        self._store = store
        self._index = index
        self._pattern = pattern
        self._values: dict[Digest, bool] = {}
        stack = [found.value for found in index.files(pattern)]
        stack += [value for values, _ in SetMembers(index).fitting(pattern) for value in values]
        while stack:
            value = stack.pop()
            if value not in self._values:
                self._values[value] = True
                stack += index.containers(value)

    def calls(self) -> Iterator[Digest]:
        """Yields the calls that took or gave one of them, some several times."""
        for value in list(self._values):
            yield from self._index.producers(value)
            yield from (call for call, _ in self._index.consumers(value))

    def holds(self, value: Digest) -> bool:
        """Returns whether a value is one of them; also one that only a live run has."""
        known = self._values.get(value)
        if known is None:
            found = self._store.get_many([value])[0]
            payload = bytes(found[1]) if found is not None and found[0] in ("value", "tree") else b""
            known = any(fits(file.path, self._pattern) for file in self._files_in(payload))
            self._values[value] = known or any(self.holds(inner) for inner in pointers_of(payload))
        return self._values[value]

    def _files_in(self, payload: bytes) -> Iterator[HeldFile]:
        for found in held(payload):
            if isinstance(found, HeldFile):
                yield found
            else:
                yield from found.files(self._payload)

    def _payload(self, digest: Digest) -> bytes | None:
        found = self._store.get_many([digest])[0]
        return bytes(found[1]) if found is not None and found[0] == "value" else None


class _Tagged:
    """Which executions and jobs have all of some tags."""

    def __init__(self, store: Store, patterns: tuple[TagPattern, ...]) -> None:
        self._runs = {run.uuid for run in runs(store) if has_tags(run.tags, patterns)}
        self._jobs: set[str] | None = None
        for pattern in patterns:
            jobs = {thing.name for thing, _ in store.tagged(*pattern) if thing.kind == "job"}
            self._jobs = jobs if self._jobs is None else self._jobs & jobs
        self._with_jobs = {bytes.fromhex(name.partition(" ")[0]) for name in self._jobs or ()}

    def may_have(self, uuid: bytes) -> bool:
        """Returns whether jobs of an execution may have the tags."""
        return uuid in self._runs or uuid in self._with_jobs

    def has_job(self, uuid: bytes, row: JobRow) -> bool:
        """Returns whether a job or its execution has the tags."""
        return uuid in self._runs or f"{uuid.hex()} {row.number}" in (self._jobs or ())


def has_tags(tags: Iterable[tuple[str, str]], patterns: Iterable[TagPattern]) -> bool:
    """Returns whether for each of some patterns there is a tag."""
    tags = list(tags)
    return all(any(name == tag and value in (None, text) for name, text in tags) for tag, value in patterns)


def _is_wanted_run(run: Run, wanted: Wanted) -> bool:
    return (
        (wanted.status is None or run.status.name == wanted.status)
        and _is_in_time(run.start, wanted)
        and (wanted.task is None or any(wanted.names(count.fullname) for count in run.counts))
        and has_tags(run.tags, wanted.tags)
    )


def _is_in_time(began: int, wanted: Wanted) -> bool:
    return (wanted.since is None or began >= wanted.since) and (wanted.until is None or began <= wanted.until)


def _found(jobs: Iterator[FoundJob]) -> Iterator[Job]:
    return (Job(job.id, job.uuid, job.execution, job.start, job.row, job.row.status) for job in jobs)


def _merged(jobs: Sequence[Iterator[Job]]) -> Iterator[Job]:
    """Jobs of several answers, which have none in common: those of the newest execution first."""
    return heapq.merge(*jobs, key=lambda job: (-job.start, job.uuid, -job.row.start))
