"""The records of what happened: job rows, executions, tracebacks and notes.

They alone may hold times, hosts, paths and execution ids; what was computed is in `objects`.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import enum
from itertools import accumulate, islice
from typing import Any, Final, NamedTuple, Self

from redun.core import limits
from redun.core.codec import array_header, pack, pointer_bytes
from redun.core.digest import Digest
from redun.core.shapes import (
    SCHEMA,
    ascending,
    identity,
    integer,
    many,
    maybe,
    member,
    natural,
    of_optional,
    of_pointer,
    of_pointers,
    of_weak,
    pointer,
    raw,
    read_record,
    row,
    text,
    to_pointer,
    to_pointers,
    weak,
)


class Status(enum.IntEnum):
    """State of a job or of an execution in the history."""

    RUNNING = 0
    DONE = 1
    FAILED = 2
    CANCELLED = 3
    INTERRUPTED = 4


class How(enum.IntEnum):
    """How a job was answered."""

    RAN = 0
    STEP = 1
    WHOLE = 2
    JOINED = 3


class Why(enum.IntEnum):
    """Why a job ran, decided when it happened. NONE for a job that was answered from the cache."""

    NONE = 0
    FIRST = 1
    CODE = 2
    ARGUMENT = 3
    EXTERNAL = 4
    MISSING = 5
    UNDECODABLE = 6
    OFF_TASK = 7
    OFF_RUN = 8
    UNKNOWN_CODE = 9
    SUPERSEDED = 10
    CONTEXT = 11
    ERROR = 12
    AWAITED = 13


_TEXT_PAIR: Final = row(text, text)


# -- jobs -------------------------------------------------------------------------------------------------------------


class JobRow(NamedTuple):
    """One job of one execution.

    Attributes:
        number: its row number; the job's id is `job_id(uuid, number)`.
        call: its call; a partial one where it has not ended.
        parent: row number of the job that called it, or -1.
        start, duration: microseconds since the execution's start, and from then to its end (-1: has not ended).
        compared: the earlier call of the same task that `why` speaks of. It is not kept for that: it may be gone.
        head: its footprint's head.
        trace: traceback of the error it raised.
        counts: for a whole replay, (full name, jobs) of everything below and including it.
        stale: where `why` is EXTERNAL, the first things of the earlier result that were not as it has them: the value
            there, and the value of the same thing as it was then (None: it could not be told).
    """

    number: int
    call: Digest | None
    parent: int
    status: Status
    how: How
    why: Why
    start: int
    duration: int
    executor: str = "default"
    attempt: int = 1
    compared: Digest | None = None
    head: Digest | None = None
    trace: Digest | None = None
    remote: str = ""
    counts: tuple[tuple[str, int], ...] = ()
    stale: tuple[tuple[Digest, Digest | None], ...] = ()


#: Columns of a page, and last the rows (by offset) that have something which few rows have.
_PAGE: Final = {
    "uuid": identity,
    "numbers": many(integer, limits.PAGE_ROWS),
    "calls": many(maybe(pointer)),
    "parents": many(integer),
    "statuses": raw,
    "hows": raw,
    "whys": raw,
    "starts": many(integer),
    "durations": many(integer),
    "executors": many(text),
    "executor": many(natural),
    "heads": many(pointer),
    "head": many(natural),
    "rare": many(
        row(
            natural,
            natural,
            maybe(weak),
            maybe(pointer),
            text,
            many(row(text, natural)),
            many(row(pointer, maybe(pointer))),
        )
    ),
}
_STATUSES: Final = {status.value: status for status in Status}
_HOWS: Final = {how.value: how for how in How}
_WHYS: Final = {why.value: why for why in Why}
#: What `rare` says of a row that it does not name.
_COMMON: Final = (1, None, None, "", (), ())


class JobsRecord(NamedTuple):
    """A page of at most 512 job rows of one execution, in the order in which the jobs ended, kept by columns."""

    uuid: bytes
    rows: tuple[JobRow, ...]

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        rows = self.rows
        heads: dict[Digest | None, int] = {None: 0}
        executors: dict[str, int] = {}
        rare: list[list[Any]] = []
        numbers, last = [], 0
        head_column, executor_column = [], []
        for offset, job in enumerate(rows):
            numbers.append(job.number - last)
            last = job.number
            head_column.append(heads.setdefault(job.head, len(heads)))
            executor_column.append(executors.setdefault(job.executor, len(executors)))
            if (job.attempt, job.compared, job.trace, job.remote, job.counts, job.stale) != _COMMON:
                rare.append([offset, *_rare(job)])
        columns = [
            [job.parent for job in rows],
            bytes([job.status for job in rows]),
            bytes([job.how for job in rows]),
            bytes([job.why for job in rows]),
            [job.start for job in rows],
            [job.duration for job in rows],
            list(executors),
            executor_column,
            [to_pointer(head) for head in heads][1:],
            head_column,
            rare,
        ]
        # The column of calls is joined by hand: a packer would call back for each.
        calls = [b"\xc0" if job.call is None else pointer_bytes(job.call) for job in rows]
        first = [pack(SCHEMA), pack(self.uuid), pack(numbers), array_header(len(calls))]
        return b"".join([array_header(4 + len(columns)), *first, *calls, *map(pack, columns)])

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> Self:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a page of jobs.
        """
        return read_record(payload, "jobs", _PAGE, cls._of, strict=strict)

    @classmethod
    def _of(cls, f: list[Any]) -> Self:
        return cls(f[1], _job_rows(f))


def _rare(job: JobRow) -> list[Any]:
    counts = [[name, jobs] for name, jobs in job.counts]
    stale = [[to_pointer(before), to_pointer(then)] for before, then in job.stale]
    return [job.attempt, job.compared, to_pointer(job.trace), job.remote, counts, stale]


def _job_rows(f: list[Any]) -> tuple[JobRow, ...]:
    executors = f[10]
    heads: list[Digest | None] = [None, *of_pointers(f[12])]
    rare = {item[0]: item[1:] for item in f[14]}
    columns = zip(
        islice(accumulate(f[2], initial=0), 1, None),
        map(of_optional, f[3]),
        f[4],
        map(_STATUSES.__getitem__, f[5]),
        map(_HOWS.__getitem__, f[6]),
        map(_WHYS.__getitem__, f[7]),
        f[8],
        f[9],
        map(executors.__getitem__, f[11]),
        map(heads.__getitem__, f[13]),
        strict=True,
    )
    rows: list[JobRow] = []
    new = tuple.__new__  # there are pages by the thousand
    for *front, executor, head in columns:
        found = rare.get(len(rows)) if rare else None
        attempt, compared, *back = _COMMON if found is None else _of_rare(*found)
        rows.append(new(JobRow, (*front, executor, attempt, compared, head, *back)))
    return tuple(rows)


def _of_rare(attempt: Any, compared: Any, trace: Any, remote: Any, counts: Any, stale: Any) -> tuple[Any, ...]:
    return (
        attempt,
        of_weak(compared),
        of_optional(trace),
        remote,
        tuple([(name, jobs) for name, jobs in counts]),
        tuple([(of_pointer(before), of_optional(then)) for before, then in stale]),
    )


# -- executions -------------------------------------------------------------------------------------------------------


class TaskCount(NamedTuple):
    """Jobs of one task in one execution, by how they ended: the columns of the status table."""

    fullname: str
    pending: int = 0
    running: int = 0
    failed: int = 0
    cached: int = 0
    done: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.pending + self.running + self.failed + self.cached + self.done


_EXEC: Final = {
    "uuid": identity,
    "store": identity,
    "parent": maybe(pointer),
    "root": maybe(pointer),
    "status": member(Status),
    "start": integer,
    "end": integer,
    "argv": many(text),
    "info": ascending(_TEXT_PAIR),
    "pages": many(pointer, limits.TREE_FANOUT),
    "rows": natural,
    "counts": many(row(text, natural, natural, natural, natural, natural)),
    "sources": ascending(row(pointer, pointer)),
    "trace": maybe(pointer),
    "tags": many(_TEXT_PAIR),
}


class ExecRecord(NamedTuple):
    """One run: the commit of the history.

    Attributes:
        uuid: 16 random bytes, printed at the start of the run; half of every job's id.
        store: id of the store (16 bytes) on whose chain it lies.
        parent: the execution before it on that chain.
        root: call of the root job (a partial one where the run did not get that far), or None.
        status: DONE, FAILED or INTERRUPTED.
        start, end: microseconds since the epoch, UTC.
        argv: the command, as words.
        info: who, where, which version: text pairs, sorted by name.
        pages: ids of the `jobs` pages, or of the one `tree` that lists them when there are more than 1,024.
        rows: row numbers given out, inner jobs of whole replays included.
        counts: the status table.
        sources: (task id, id of the source as it was), sorted.
        trace: traceback of what ended it, where it failed.
        tags: text pairs.
    """

    uuid: bytes
    store: bytes
    parent: Digest | None
    root: Digest | None
    status: Status
    start: int
    end: int
    argv: tuple[str, ...]
    info: tuple[tuple[str, str], ...] = ()
    pages: tuple[Digest, ...] = ()
    rows: int = 0
    counts: tuple[TaskCount, ...] = ()
    sources: tuple[tuple[Digest, Digest], ...] = ()
    trace: Digest | None = None
    tags: tuple[tuple[str, str], ...] = ()

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        return pack(
            [
                SCHEMA,
                self.uuid,
                self.store,
                to_pointer(self.parent),
                to_pointer(self.root),
                int(self.status),
                self.start,
                self.end,
                list(self.argv),
                [list(pair) for pair in self.info],
                to_pointers(self.pages),
                self.rows,
                [list(count) for count in self.counts],
                [to_pointers(pair) for pair in self.sources],
                to_pointer(self.trace),
                [list(pair) for pair in self.tags],
            ]
        )

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> Self:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not an execution.
        """
        return read_record(payload, "exec", _EXEC, cls._of, strict=strict)

    @classmethod
    def _of(cls, f: list[Any]) -> Self:
        return cls(
            uuid=f[1],
            store=f[2],
            parent=of_optional(f[3]),
            root=of_optional(f[4]),
            status=Status(f[5]),
            start=f[6],
            end=f[7],
            argv=tuple(f[8]),
            info=tuple([(name, value) for name, value in f[9]]),
            pages=of_pointers(f[10]),
            rows=f[11],
            counts=tuple([TaskCount(*count) for count in f[12]]),
            sources=tuple([(of_pointer(task), of_pointer(source)) for task, source in f[13]]),
            trace=of_optional(f[14]),
            tags=tuple([(name, value) for name, value in f[15]]),
        )


# -- tracebacks and notes ---------------------------------------------------------------------------------------------


class TraceFrame(NamedTuple):
    """One frame of a traceback: file, line number, function, and the text of the line."""

    file: str
    line: int
    function: str
    text: str


_TRACE: Final = {
    "summary": text,
    "frames": many(row(text, integer, text, text)),
    "notes": many(text),
    "cause": maybe(pointer),
}


class TraceRecord(NamedTuple):
    """The traceback of an error, apart from the error itself, so that moving a line changes no id but this one.

    `summary` is the last line as Python prints it (`ZeroDivisionError: division by zero`); `cause` the trace of the
    error that this one was raised from or while handling.
    """

    summary: str
    frames: tuple[TraceFrame, ...] = ()
    notes: tuple[str, ...] = ()
    cause: Digest | None = None

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        frames = [list(frame) for frame in self.frames]
        return pack([SCHEMA, self.summary, frames, list(self.notes), to_pointer(self.cause)])

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> Self:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a trace.
        """
        return read_record(payload, "trace", _TRACE, cls._of, strict=strict)

    @classmethod
    def _of(cls, f: list[Any]) -> Self:
        return cls(f[1], tuple([TraceFrame(*frame) for frame in f[2]]), tuple(f[3]), of_optional(f[4]))


_NOTE: Final = {
    "topic": text,
    "about": maybe(pointer),
    "subject": text,
    "data": many(_TEXT_PAIR),
    "time": integer,
    "author": text,
}


class NoteRecord(NamedTuple):
    """Something said later about something else: a tag, an accepted change of code.

    `about` is the id of an object or empty, `subject` the name of what is not an object (a task, an execution's uuid).
    """

    topic: str
    about: Digest | None
    subject: str
    data: tuple[tuple[str, str], ...]
    time: int
    author: str

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        pairs = [list(pair) for pair in self.data]
        return pack([SCHEMA, self.topic, to_pointer(self.about), self.subject, pairs, self.time, self.author])

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> Self:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a note.
        """
        return read_record(payload, "note", _NOTE, cls._of, strict=strict)

    @classmethod
    def _of(cls, f: list[Any]) -> Self:
        data = tuple([(name, value) for name, value in f[4]])
        return cls(f[1], of_optional(f[2]), f[3], data, f[5], f[6])
