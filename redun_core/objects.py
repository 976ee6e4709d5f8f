"""The records: what each structural kind of object holds, as frozen dataclasses with their canonical bytes.

Every record is an array whose first item is the schema version. Fields are fixed; an unknown version or another
number of fields is refused, never guessed at. `store/FORMAT.md` says the same in prose.

A record holds no time, host, path or execution id unless it is a `jobs` page, an `exec`, a `trace`, a `source` or a
`note`: equal computations are one object, whoever made them and when.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from redun.core.codec import Pointer, pack, references, unpack, unpack_strict
from redun.core.digest import Digest
from redun.core.errors import MalformedObject

SCHEMA: Final = 1


def _fields(payload: bytes, kind: str, count: int, *, strict: bool) -> list[Any]:
    record = unpack_strict(payload) if strict else unpack(payload)
    if not isinstance(record, list) or not record:
        raise MalformedObject(f"a {kind} is an array")
    if record[0] != SCHEMA:
        raise MalformedObject(f"{kind} of schema {record[0]!r}", hint="a newer redun wrote this store; upgrade")
    if len(record) != count:
        raise MalformedObject(f"a {kind} has {count} fields, this one {len(record)}")
    return record


def _optional(digest: Digest | None) -> Pointer | None:
    return None if digest is None else Pointer(digest)


def _pointers(digests: tuple[Digest, ...]) -> list[Pointer]:
    return [Pointer(d) for d in digests]


def _digest(item: Any, kind: str) -> Digest:
    if type(item) is not Pointer:
        raise MalformedObject(f"a {kind} wants a pointer where it has {type(item).__name__}")
    return item.digest


def _digest_or_none(item: Any, kind: str) -> Digest | None:
    return None if item is None else _digest(item, kind)


def _digests(items: Any, kind: str) -> tuple[Digest, ...]:
    return tuple(_digest(item, kind) for item in items)


# -- task and source --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that the code of a task uses.

    `how`: `function` and `class` (target: a `source` of normalised text), `constant` (target: a `value`), `task` (a task
    that is only called; detail: its interface), `text` (a constant that has no encoding; target: a `source` of its
    assignment), `distribution` (detail: its version), `untracked` (detail: why).
    """

    how: str
    name: str
    target: Digest | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """The fingerprint of a task. Its id is the task's identity in keys, calls and footprints.

    Attributes:
        fullname: namespace and name, joined by a dot.
        code: what of the code counts: `closure`, `function`, `version`, or `unknown` (its source cannot be trusted, so it
            is never answered from the cache).
        version: the user's own version, which then stands for all code.
        text: a `source` object with the normalised text of the function itself.
        params: (name, kind) of each parameter; kind as in `inspect.Parameter.kind` (0 to 4).
        interface: options that change what a call of it means (`nout`, `script`, ...), as canonical text pairs.
        uses: everything else of the user's own that the code uses, sorted by name.
        includes: ids of the values in `hash_includes`, sorted.
    """

    fullname: str
    code: str
    version: str | None = None
    text: Digest | None = None
    params: tuple[tuple[str, int], ...] = ()
    interface: tuple[tuple[str, str], ...] = ()
    uses: tuple[Use, ...] = ()
    includes: tuple[Digest, ...] = ()

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        return pack(
            [
                SCHEMA,
                self.fullname,
                self.code,
                self.version,
                _optional(self.text),
                [[name, kind] for name, kind in self.params],
                [[name, value] for name, value in self.interface],
                [[u.how, u.name, _optional(u.target), u.detail] for u in self.uses],
                _pointers(self.includes),
            ]
        )

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> TaskRecord:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a task.
        """
        f = _fields(payload, "task", 9, strict=strict)
        return cls(
            fullname=f[1],
            code=f[2],
            version=f[3],
            text=_digest_or_none(f[4], "task"),
            params=tuple((name, kind) for name, kind in f[5]),
            interface=tuple((name, value) for name, value in f[6]),
            uses=tuple(Use(how, name, _digest_or_none(t, "task"), detail) for how, name, t, detail in f[7]),
            includes=_digests(f[8], "task"),
        )


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """Text of code: as written (with file and first line), or normalised (file empty, line 0)."""

    text: str
    file: str = ""
    line: int = 0

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        return pack([SCHEMA, self.text, self.file, self.line])

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> SourceRecord:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a source.
        """
        f = _fields(payload, "source", 4, strict=strict)
        return cls(f[1], f[2], f[3])


# -- call -------------------------------------------------------------------------------------------------------------


class Outcome(enum.IntEnum):
    """How a call ended. PARTIAL: its body has returned an expression that is not evaluated yet, or has not run."""

    VALUE = 0
    RAISED = 1
    PARTIAL = 2


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One computation: (task, arguments, reduction, result, child calls). No time, no host, no footprint.

    Attributes:
        task: id of the `task`.
        args: ids of the bound arguments in the order of the parameters, or the one `tree` that lists them when there are
            more than 1,024.
        reduction: the `expr` that the body returned; None when it returned a plain value (then `result` is it) or raised.
        outcome: whether `result` is a value or an error value that was raised, or there is none yet.
        result: id of the `value`.
        children: for each call in the reduction, in its order, the call that answered it; None where none was evaluated.
        extras: calls that default arguments and options made.
    """

    task: Digest
    args: tuple[Digest, ...]
    reduction: Digest | None
    outcome: Outcome
    result: Digest | None
    children: tuple[Digest | None, ...] = ()
    extras: tuple[Digest, ...] = ()

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        return pack(
            [
                SCHEMA,
                Pointer(self.task),
                _pointers(self.args),
                _optional(self.reduction),
                int(self.outcome),
                _optional(self.result),
                [_optional(c) for c in self.children],
                _pointers(self.extras),
            ]
        )

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> CallRecord:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a call.
        """
        f = _fields(payload, "call", 8, strict=strict)
        try:
            outcome = Outcome(f[4])
        except ValueError:
            raise MalformedObject(f"a call with outcome {f[4]!r}") from None
        return cls(
            task=_digest(f[1], "call"),
            args=_digests(f[2], "call"),
            reduction=_digest_or_none(f[3], "call"),
            outcome=outcome,
            result=_digest_or_none(f[5], "call"),
            children=tuple(_digest_or_none(c, "call") for c in f[6]),
            extras=_digests(f[7], "call"),
        )


@dataclass(frozen=True, slots=True)
class TreeRecord:
    """A list too long for one object. At level 0 the children are segments (`value` objects) or arguments."""

    level: int
    count: int
    children: tuple[Digest, ...]

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        return pack([SCHEMA, self.level, self.count, _pointers(self.children)])

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> TreeRecord:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a tree.
        """
        f = _fields(payload, "tree", 4, strict=strict)
        return cls(f[1], f[2], _digests(f[3], "tree"))


# -- footprint --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flag:
    """Why a footprint can never be replayed whole: `volatile` or `unsatisfiable`, and which call said so."""

    name: str
    reason: str
    call: Digest | None = None


@dataclass(frozen=True, slots=True)
class HeadRecord:
    """The head of a footprint: all that a call's whole subtree depended on.

    Attributes:
        flags: reasons that forbid a whole replay.
        tasks: the `footprint` object that holds the task set.
        context: (path, id of the value read or None where it was absent), sorted by path, relative to the job's context.
        ext: the `footprint` object that is the root of the external values' DAG, or None where there is none.
    """

    tasks: Digest
    flags: tuple[Flag, ...] = ()
    context: tuple[tuple[str, Digest | None], ...] = ()
    ext: Digest | None = None

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        return pack(
            [
                SCHEMA,
                "head",
                [[f.name, f.reason, _optional(f.call)] for f in self.flags],
                Pointer(self.tasks),
                [[path, _optional(value)] for path, value in self.context],
                _optional(self.ext),
            ]
        )


@dataclass(frozen=True, slots=True)
class TaskSetRecord:
    """The tasks of a footprint: (full name, task id, ((parameter, id of its applied default), ...)), sorted."""

    tasks: tuple[tuple[str, Digest, tuple[tuple[str, Digest], ...]], ...]

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        rows = [[name, Pointer(task), [[p, Pointer(v)] for p, v in defaults]] for name, task, defaults in self.tasks]
        return pack([SCHEMA, "tasks", rows])


@dataclass(frozen=True, slots=True)
class ExtRecord:
    """A node of the external values' DAG: own values, child nodes, and child nodes behind a `shallow` barrier."""

    own: tuple[Digest, ...] = ()
    children: tuple[Digest, ...] = ()
    barriers: tuple[Digest, ...] = ()

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        return pack([SCHEMA, "ext", _pointers(self.own), _pointers(self.children), _pointers(self.barriers)])


def parse_footprint(payload: bytes, *, strict: bool = False) -> HeadRecord | TaskSetRecord | ExtRecord:
    """Returns the part of a footprint that the bytes hold.

    Raises:
        MalformedObject: if the bytes are not a footprint.
    """
    record = unpack_strict(payload) if strict else unpack(payload)
    part = record[1] if isinstance(record, list) and len(record) > 1 else None
    if part == "head":
        f = _fields(payload, "footprint", 6, strict=False)
        return HeadRecord(
            flags=tuple(Flag(name, reason, _digest_or_none(call, "footprint")) for name, reason, call in f[2]),
            tasks=_digest(f[3], "footprint"),
            context=tuple((path, _digest_or_none(value, "footprint")) for path, value in f[4]),
            ext=_digest_or_none(f[5], "footprint"),
        )
    if part == "tasks":
        f = _fields(payload, "footprint", 3, strict=False)
        return TaskSetRecord(
            tuple(
                (name, _digest(task, "footprint"), tuple((p, _digest(v, "footprint")) for p, v in defaults))
                for name, task, defaults in f[2]
            )
        )
    if part == "ext":
        f = _fields(payload, "footprint", 5, strict=False)
        return ExtRecord(*(_digests(items, "footprint") for items in f[2:]))
    raise MalformedObject("a footprint is a head, a set of tasks or a node of external values")


# -- history ----------------------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job of one execution.

    Attributes:
        number: its row number; the job's id is `job_id(uuid, number)`.
        call: its call; a partial one where it has not ended.
        parent: row number of the job that called it, or -1.
        start, duration: microseconds since the execution's start, and from then to its end (-1: has not ended).
        compared: the earlier call of the same task that `why` speaks of.
        head: its footprint's head.
        trace: traceback of the error it raised.
        counts: for a whole replay, (full name, jobs) of everything below and including it.
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


@dataclass(frozen=True, slots=True)
class JobsRecord:
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
        for offset, row in enumerate(rows):
            numbers.append(row.number - last)
            last = row.number
            head_column.append(heads.setdefault(row.head, len(heads)))
            executor_column.append(executors.setdefault(row.executor, len(executors)))
            if row.attempt != 1 or row.compared or row.trace or row.remote or row.counts:
                counts = [[name, n] for name, n in row.counts]
                rare.append(
                    [offset, row.attempt, _optional(row.compared), _optional(row.trace), row.remote, counts]
                )
        return pack(
            [
                SCHEMA,
                self.uuid,
                numbers,
                [_optional(row.call) for row in rows],
                [row.parent for row in rows],
                bytes(row.status for row in rows),
                bytes(row.how for row in rows),
                bytes(row.why for row in rows),
                [row.start for row in rows],
                [row.duration for row in rows],
                list(executors),
                executor_column,
                [_optional(head) for head in heads][1:],
                head_column,
                rare,
            ]
        )

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> JobsRecord:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a page of jobs.
        """
        f = _fields(payload, "jobs", 15, strict=strict)
        try:
            return cls(f[1], _job_rows(f))
        except (ValueError, IndexError, TypeError) as error:
            raise MalformedObject(f"a page of jobs whose columns do not fit: {error}") from None


def _job_rows(f: list[Any]) -> tuple[JobRow, ...]:
    heads: list[Digest | None] = [None, *_digests(f[12], "jobs")]
    rare = {item[0]: item[1:] for item in f[14]}
    nothing = [1, None, None, "", []]
    rows, number = [], 0
    columns = zip(f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[11], f[13], strict=True)
    for offset, (step, call, parent, status, how, why, start, duration, executor, head) in enumerate(columns):
        number += step
        attempt, compared, trace, remote, counts = rare.get(offset, nothing)
        rows.append(
            JobRow(
                number=number,
                call=_digest_or_none(call, "jobs"),
                parent=parent,
                status=Status(status),
                how=How(how),
                why=Why(why),
                start=start,
                duration=duration,
                executor=f[10][executor],
                attempt=attempt,
                compared=_digest_or_none(compared, "jobs"),
                head=heads[head],
                trace=_digest_or_none(trace, "jobs"),
                remote=remote,
                counts=tuple((name, n) for name, n in counts),
            )
        )
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class TaskCount:
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


@dataclass(frozen=True, slots=True)
class ExecRecord:
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
    tags: tuple[tuple[str, str], ...] = field(default=())

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        return pack(
            [
                SCHEMA,
                self.uuid,
                self.store,
                _optional(self.parent),
                _optional(self.root),
                int(self.status),
                self.start,
                self.end,
                list(self.argv),
                [list(pair) for pair in self.info],
                _pointers(self.pages),
                self.rows,
                [[c.fullname, c.pending, c.running, c.failed, c.cached, c.done] for c in self.counts],
                [_pointers(pair) for pair in self.sources],
                _optional(self.trace),
                [list(pair) for pair in self.tags],
            ]
        )

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> ExecRecord:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not an execution.
        """
        f = _fields(payload, "exec", 16, strict=strict)
        return cls(
            uuid=f[1],
            store=f[2],
            parent=_digest_or_none(f[3], "exec"),
            root=_digest_or_none(f[4], "exec"),
            status=Status(f[5]),
            start=f[6],
            end=f[7],
            argv=tuple(f[8]),
            info=tuple((k, v) for k, v in f[9]),
            pages=_digests(f[10], "exec"),
            rows=f[11],
            counts=tuple(TaskCount(*row) for row in f[12]),
            sources=tuple((_digest(t, "exec"), _digest(s, "exec")) for t, s in f[13]),
            trace=_digest_or_none(f[14], "exec"),
            tags=tuple((k, v) for k, v in f[15]),
        )


@dataclass(frozen=True, slots=True)
class TraceFrame:
    """One frame of a traceback: file, line number, function, and the text of the line."""

    file: str
    line: int
    function: str
    text: str


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """The traceback of an error, apart from the error itself, so that moving a line changes no id but this one.

    `summary` is the last line as Python prints it (`ZeroDivisionError: division by zero`); `cause` the trace of the error
    that this one was raised from or while handling.
    """

    summary: str
    frames: tuple[TraceFrame, ...] = ()
    notes: tuple[str, ...] = ()
    cause: Digest | None = None

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        frames = [[f.file, f.line, f.function, f.text] for f in self.frames]
        return pack([SCHEMA, self.summary, frames, list(self.notes), _optional(self.cause)])

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> TraceRecord:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a trace.
        """
        f = _fields(payload, "trace", 5, strict=strict)
        frames = tuple(TraceFrame(*frame) for frame in f[2])
        return cls(f[1], frames, tuple(f[3]), _digest_or_none(f[4], "trace"))


@dataclass(frozen=True, slots=True)
class NoteRecord:
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
        return pack([SCHEMA, self.topic, _optional(self.about), self.subject, pairs, self.time, self.author])

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> NoteRecord:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a note.
        """
        f = _fields(payload, "note", 7, strict=strict)
        return cls(f[1], _digest_or_none(f[2], "note"), f[3], tuple((k, v) for k, v in f[4]), f[5], f[6])


# -- all kinds --------------------------------------------------------------------------------------------------------


def check(kind: str, payload: bytes) -> None:
    """Checks bytes from elsewhere: strict decode for structural kinds, canonical msgpack for values.

    Raises:
        MalformedObject: if they are not an object of that kind.
    """
    if kind == "blob":
        return
    parse = _PARSERS.get(kind)
    if parse is None:
        unpack_strict(payload)
        return
    try:
        again: bytes = parse(payload, strict=True).payload()
    except (TypeError, ValueError, AttributeError, IndexError, KeyError, OverflowError) as error:
        raise MalformedObject(f"a {kind} whose fields do not fit: {error}") from None
    if again != payload:
        raise MalformedObject(f"a {kind} whose fields are not in canonical order")


_PARSERS: Final[dict[str, Callable[..., Any]]] = {
    "tree": TreeRecord.parse,
    "task": TaskRecord.parse,
    "source": SourceRecord.parse,
    "call": CallRecord.parse,
    "footprint": parse_footprint,
    "jobs": JobsRecord.parse,
    "exec": ExecRecord.parse,
    "trace": TraceRecord.parse,
    "note": NoteRecord.parse,
}


def pointers(kind: str, payload: bytes | memoryview) -> list[Digest]:
    """Returns every id that an object points to; a blob points to none."""
    return [] if kind == "blob" else references(payload)


def job_id(hash_function: Callable[[bytes], bytes], uuid: bytes, number: int) -> bytes:
    """Returns the id of a job (16 bytes): it is computed, so inner jobs of a whole replay have one without being written."""
    return hash_function(b"job " + uuid + number.to_bytes(8, "big"))[:16]

