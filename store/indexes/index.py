"""The questions that the indexes answer. Every answer is looked at before it is given: a row alone is not believed."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import groupby
from typing import Final, NamedTuple

from redun.core.digest import Digest
from redun.core.objects import (
    CallRecord,
    ExecRecord,
    JobRow,
    JobsRecord,
    Status,
    TaskRecord,
    TreeRecord,
    call_task,
    job_id,
)
from redun.store.gc.shallow import Missing, declared
from redun.store.indexes import layout
from redun.store.indexes.catch_up import known_run
from redun.store.indexes.extract import inner_calls, pointers_of
from redun.store.indexes.gather import LISTED, Source
from redun.store.indexes.held_files import HeldFile, HeldSet, fits, held_files, held_sets
from redun.store.indexes.layout import ALL, CALL_START, ID_START, JOB, NO_JOB, PAGE_NUMBERS, START, IndexedRun
from redun.store.ports import SETS, Backend

#: Rows of the first look, and of the largest: who asks for twenty answers reads no thousands.
_FIRST, _MOST = 64, 4096
#: Pages of jobs, executions, and calls with what they made, that are kept while one asks on.
_PAGES_KEPT: Final = 16
_RUNS_KEPT: Final = 256
_MAKERS_KEPT: Final = 2
_ABOVE: Final = b"\xff" * JOB


class FoundJob(NamedTuple):
    """A job of an execution.

    Attributes:
        id: the job's.
        execution, uuid, start: of its execution; microseconds since the epoch.
        row: what its page says of it; its times count from the start of the execution.
    """

    id: bytes
    execution: Digest
    uuid: bytes
    start: int
    row: JobRow


class FoundFile(NamedTuple):
    """A value that holds a file."""

    value: Digest
    file: HeldFile


class IndexSize(NamedTuple):
    """How many rows the tables have, and their bytes; the pages that hold them are filled by two thirds or more."""

    rows: int
    stored: int


class _Run(NamedTuple):
    """An execution whose jobs are shown."""

    digest: Digest
    uuid: bytes
    start: int
    first: int
    rows: int
    pages: tuple[Digest, ...]


class Index:
    """Answers from tables that are up to date as of when it was made. See `Store.index`.

    Answers are iterators that read as they go, in short transactions: one may take some and leave the rest. Jobs are
    those of sealed executions that were not pruned, calls and values those that are in the store, or were swept and can
    be had back.

    Args:
        layers: backends with tables, that with the newest jobs first.
    """

    def __init__(self, source: Source, layers: Sequence[Backend]) -> None:
        self._source = source
        self._layers = layers
        self._runs: OrderedDict[int, _Run | None] = OrderedDict()
        self._pages: OrderedDict[Digest, tuple[JobRow, ...]] = OrderedDict()
        self._names: dict[Digest, str] = {}
        self._made: OrderedDict[bytes, list[tuple[Digest, frozenset[Digest]]]] = OrderedDict()

    def size(self) -> IndexSize:
        """Returns how large the tables are."""
        counts = {table: sum(layer.read(lambda txn, t=table: txn.count(t)) for layer in self._layers) for table in SETS}  # type: ignore[misc]
        return IndexSize(sum(counts.values()), sum(number * SETS[table] for table, number in counts.items()))

    # -- tasks --------------------------------------------------------------------------------------------------------

    def tasks(self) -> list[str]:
        """Returns the full names of all tasks of which there were calls, in order."""
        found: set[str] = set()
        for layer in self._layers:
            found.update(name.decode() for _, name in _pairs_from(layer, layout.NAMES, b""))
        return sorted(found)

    def jobs_of_task(self, fullname: str) -> Iterator[FoundJob]:
        """Yields the jobs of a task, newest first."""
        for layer, row in self._task_rows(fullname):
            job = self._job(layer, row[:JOB])
            if job is not None and job.row.call is not None and job.row.call[:START] == row[JOB:]:
                yield job

    def calls_of_task(self, fullname: str) -> Iterator[Digest]:
        """Yields the calls of a task, each once, that of the newest job first; last those inside of what was answered
        whole and no longer has jobs of its own."""
        for _, row in self._task_rows(fullname):
            for call, payload in self._found(row[JOB:], "call"):
                if self._newest_job(call) == row[:JOB] and self._name(call_task(payload)) == fullname:
                    yield call

    def _task_rows(self, fullname: str) -> Iterator[tuple[Backend, bytes]]:
        key = layout.task_key(self._source.format.hash, fullname)
        for layer in self._layers:
            yield from ((layer, row) for row in _down(layer, layout.TASKS, key))

    def _newest_job(self, call: Digest) -> bytes:
        newest = NO_JOB
        for layer in self._layers:
            above = call[:CALL_START] + _ABOVE
            rows = layer.read(lambda txn, at=above: txn.rows(layout.CALLS, ALL, at, 1, back=True))  # type: ignore[misc]
            if rows and rows[0][:CALL_START] == call[:CALL_START]:
                newest = max(newest, rows[0][CALL_START:])
        return newest

    def _name(self, task: Digest) -> str:
        if task not in self._names:
            found = self._read(task)
            self._names[task] = TaskRecord.parse(found[1]).fullname if found and found[0] == "task" else ""
        return self._names[task]

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def jobs_of_call(self, call: Digest) -> Iterator[FoundJob]:
        """Yields the jobs that a call answered, newest first."""
        for layer in self._layers:
            for row in _starting(layer, layout.CALLS, call[:CALL_START], back=True):
                job = self._job(layer, row[CALL_START:])
                if job is not None and job.row.call == call:
                    yield job

    def jobs_by_status(self, status: Status) -> Iterator[FoundJob]:
        """Yields the jobs that failed, were cancelled or were interrupted, newest first.

        Raises:
            ValueError: for another status: nearly all jobs are done.
        """
        if status not in LISTED:
            raise ValueError(f"jobs that are {status.name} are not listed")
        for layer in self._layers:
            for row in _down(layer, layout.STATUS, bytes((status,))):
                job = self._job(layer, row)
                if job is not None and job.row.status == status:
                    yield job

    def job_prefix(self, prefix: str) -> Iterator[FoundJob]:
        """Yields the jobs whose id in hexadecimal starts so, in no order. Those inside a job that was answered whole
        have ids too, and are not among them."""
        prefix = prefix.lower()
        try:
            start = bytes.fromhex(prefix[: len(prefix) & ~1])[:ID_START]
        except ValueError:
            return
        for layer in self._layers:
            for row in _starting(layer, layout.IDS, start):
                job = self._job(layer, row[ID_START:])
                if job is not None and job.id.hex().startswith(prefix):
                    yield job

    def numbers(self, execution: Digest, prefix: str) -> list[int] | None:
        """Returns the row numbers of an execution's jobs whose ids start so; None where the tables cannot tell: it is
        not in them, or has jobs inside of those that were answered whole."""
        for layer in self._layers:
            indexed = known_run(layer, execution, b"")
            run = self._shown(indexed) if indexed is not None and indexed.complete else None
            if run is not None and run.pages:
                written = (len(run.pages) - 1) * PAGE_NUMBERS + len(self._page(run.pages[-1]))
                if written == run.rows:
                    return [job.row.number for job in self.job_prefix(prefix) if job.execution == execution]
        return None

    def _job(self, layer: Backend, number: bytes) -> FoundJob | None:
        """The job of a number, None where its execution is not shown."""
        place = int.from_bytes(number, "big")
        run = self._run(layer, place) if place else None
        if run is None:
            return None
        page, offset = divmod(place - run.first, PAGE_NUMBERS)
        rows = self._page(run.pages[page]) if page < len(run.pages) else ()
        if offset >= len(rows):
            return None
        row = rows[offset]
        return FoundJob(job_id(self._source.format.hash, run.uuid, row.number), run.digest, run.uuid, run.start, row)

    def _run(self, layer: Backend, place: int) -> _Run | None:
        key = IndexedRun.key_of(place)
        found = layer.read(lambda txn: txn.scan(layout.RUNS, key, 1))
        indexed = IndexedRun.of_run(*found[0]) if found else None
        if indexed is None:
            return None
        if indexed.first not in self._runs:
            if len(self._runs) >= _RUNS_KEPT:
                self._runs.popitem(last=False)
            self._runs[indexed.first] = self._shown(indexed)
        return self._runs[indexed.first]

    def _shown(self, indexed: IndexedRun) -> _Run | None:
        """The execution as far as its jobs can be shown: not if it was pruned."""
        digest, backend = indexed.digest, self._source.backend
        if backend.read(lambda txn: declared(txn, digest) & Missing.CONTENTS or not txn.present("objects", [digest])):
            return None
        found = self._read(digest)
        if found is None or found[0] != "exec":
            return None
        record = ExecRecord.parse(found[1])
        return _Run(digest, record.uuid, record.start, indexed.first, record.rows, tuple(self._leaves(record.pages)))

    def _leaves(self, pages: Sequence[Digest]) -> Iterator[Digest]:
        if len(pages) != 1:
            yield from pages
        else:
            found = self._read(pages[0])
            if found is not None and found[0] == "tree":
                for child in TreeRecord.parse(found[1]).children:
                    yield from self._leaves((child,))
            else:
                yield pages[0]

    def _page(self, digest: Digest) -> tuple[JobRow, ...]:
        rows = self._pages.get(digest)
        if rows is None:
            found = self._read(digest)
            rows = JobsRecord.parse(found[1]).rows if found is not None and found[0] == "jobs" else ()
            if len(self._pages) >= _PAGES_KEPT:
                self._pages.popitem(last=False)
            self._pages[digest] = rows
        return rows

    # -- values -------------------------------------------------------------------------------------------------------

    def producers(self, value: Digest) -> Iterator[Digest]:
        """Yields the calls whose result a value is, the error values of those that raised among them."""
        for start in self._others(layout.RESULTS, value):
            for call, payload in self._found(start, "call"):
                if CallRecord.parse(payload).result == value:
                    yield call

    def consumers(self, value: Digest) -> Iterator[tuple[Digest, int]]:
        """Yields (call, place) of the calls that took a value as an argument, once for each place, from 0 on."""
        found = self._read(value)
        if found is not None and found[0] == "tree":
            return  # it lists arguments, and is none
        for start in self._others(layout.ARGUMENTS, value):
            for call, payload in self._found(start, "call"):
                args = CallRecord.parse(payload).args
                listed = self._listed(args[0]) if len(args) == 1 and args[0] != value else args
                yield from ((call, place) for place, arg in enumerate(listed) if arg == value)

    def _listed(self, digest: Digest) -> Iterator[Digest]:
        """The arguments that a tree lists, where it is one."""
        found = self._read(digest)
        if found is not None and found[0] == "tree":
            for child in TreeRecord.parse(found[1]).children:
                yield from self._listed(child)
        else:
            yield digest

    def callers(self, call: Digest) -> Iterator[Digest]:
        """Yields the calls that made a call, each once."""
        for start in self._others(layout.HOLDERS, call):
            yield from (caller for caller, made in self._making(start) if call in made)

    def _making(self, start: bytes) -> list[tuple[Digest, frozenset[Digest]]]:
        """The calls whose ids start so, and what each made. They are kept: who asks for the caller of one of 100,000
        asks for that of the next."""
        found = self._made.get(start)
        if found is None:
            found = [(caller, frozenset(inner_calls(payload))) for caller, payload in self._found(start, "call")]
            if len(self._made) >= _MAKERS_KEPT:
                self._made.popitem(last=False)
            self._made[start] = found
        return found

    def containers(self, digest: Digest) -> Iterator[Digest]:
        """Yields the values and trees that point to an object. Small values inside others are no objects there."""
        for start in self._others(layout.HOLDERS, digest):
            for holder, payload in self._found(start, "value", "tree"):
                if digest in pointers_of(payload):
                    yield holder

    def files(self, pattern: str) -> Iterator[FoundFile]:
        """Yields the values that hold a file whose path fits a pattern, in the order of paths; files in sets are left
        out. In the pattern `*` stands for any characters, slashes too, `?` for one and `[...]` for one of some;
        `producers` and `consumers` of the value, and of its `containers`, are the calls that wrote or read the file."""
        fixed = pattern[: min([len(pattern), *(pattern.find(wild) for wild in "*?[" if wild in pattern)])]
        start = fixed.encode("utf-8", "surrogatepass")
        start = start[: len(layout.file_key(start, b"")) - 1]
        every = merge(*[_pairs_from(layer, layout.FILES, start, layout.ABOVE_SETS) for layer in self._layers])
        for (key, name), _ in groupby(every):
            path = name.decode("utf-8", "surrogatepass")
            if fits(path, pattern):
                for value, payload in self._found(key[-START:], "value"):
                    yield from (FoundFile(value, file) for file in held_files(payload) if file.path == path)

    def sets(self, wanted: Callable[[str], bool]) -> Iterator[tuple[Digest, HeldSet]]:
        """Yields (value, set) of the values that hold a set of files whose directory is wanted. Its members may be in
        values that it points to, which `containers` leads back from."""
        every = merge(*[_pairs_from(layer, layout.FILES, layout.SET) for layer in self._layers])
        for (key, name), _ in groupby(every):
            if wanted(name.decode("utf-8", "surrogatepass")):
                for value, payload in self._found(key[-START:], "value"):
                    yield from ((value, found) for found in held_sets(payload) if wanted(found.base))

    def payload(self, digest: Digest) -> bytes | None:
        """Returns the payload of a value, None where it is missing."""
        found = self._read(digest)
        return found[1] if found is not None and found[0] == "value" else None

    # -- within -------------------------------------------------------------------------------------------------------

    def _others(self, table: str, digest: Digest) -> Iterator[bytes]:
        """The starts of the ids that a table has for an id."""
        every = merge(*[_starting(layer, table, digest[:START]) for layer in self._layers])
        return (row[START:] for row, _ in groupby(every))

    def _found(self, start: bytes, *kinds: str) -> list[tuple[Digest, bytes]]:
        """The objects of some kinds whose ids start so: nearly always one, and as good as always at most two."""
        backend = self._source.backend
        digests = backend.read(
            lambda txn: [
                key for table in ("objects", "trash") for key in txn.scan_keys(table, start, 4) if key.startswith(start)
            ]
        )
        found = []
        for digest in dict.fromkeys(digests):
            opened = self._read(Digest(digest))
            if opened is not None and opened[0] in kinds:
                found.append((Digest(digest), opened[1]))
        return found

    def _read(self, digest: Digest) -> tuple[str, bytes] | None:
        """(kind, payload) of an object whose bytes fit its id, None if there is none."""
        for found, kind, payload in self._source.checked([digest]):
            if found == digest:
                return kind, payload
        return None


def _pairs_from(layer: Backend, table: str, prefix: bytes, least: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """The pairs of a table whose keys start so and are not below the least."""
    start = max(prefix, least)
    while page := layer.read(lambda txn, at=start: txn.scan(table, at, _MOST)):  # type: ignore[misc]
        for pair in page:
            if not pair[0].startswith(prefix):
                return
            yield pair
        start = page[-1][0] + b"\0"


def _down(layer: Backend, table: str, key: bytes) -> Iterator[bytes]:
    """All rows of a key, from the last to the first."""
    start, limit = b"", _FIRST
    while page := layer.read(lambda txn, at=start, n=limit: txn.rows(table, key, at, n, back=True)):  # type: ignore[misc]
        yield from page
        start, limit = page[-1], min(4 * limit, _MOST)


def _starting(layer: Backend, table: str, prefix: bytes, *, back: bool = False) -> Iterator[bytes]:
    """The rows of the one key of a table that start so."""
    start, limit = (prefix + _ABOVE + b"\xff" if back else prefix), _FIRST
    while page := layer.read(lambda txn, at=start, n=limit: txn.rows(table, ALL, at, n, back=back)):  # type: ignore[misc]
        for row in page:
            if not row.startswith(prefix):
                return
            yield row
        start, limit = page[-1] if back else page[-1] + b"\0", min(4 * limit, _MOST)
