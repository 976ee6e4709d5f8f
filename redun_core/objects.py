"""The records of what was computed: tasks, sources, calls, lists too long for one object, footprints.

Every record is an array whose first item is the schema version. Fields are fixed; an unknown version or another
number of fields is refused, never guessed at. `store/FORMAT.md` says the same in prose.

A record holds no time, host, path or execution id unless it is a `source` or one of those in `history`: equal
computations are one object, whoever made them and when. The records of `history` are handed on from here, so that
`redun.core.objects` has every structural kind.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import enum
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Self

from redun.core import kinds, limits
from redun.core.codec import Pointer, array_header, pack, pointer_bytes, references, unpack_strict
from redun.core.digest import Digest
from redun.core.errors import MalformedObject
from redun.core.frame import KIND_CODES
from redun.core.history import (
    ExecRecord,
    How,
    JobRow,
    JobsRecord,
    NoteRecord,
    Status,
    TaskCount,
    TraceFrame,
    TraceRecord,
    Why,
)
from redun.core.shapes import (
    SCHEMA,
    anything,
    ascending,
    either,
    fit_record,
    many,
    maybe,
    member,
    natural,
    of_optional,
    of_pointer,
    of_pointers,
    open_record,
    pointer,
    read_record,
    row,
    tag,
    text,
    to_pointer,
    to_pointers,
)

__all__ = [
    "SCHEMA",
    "CallRecord",
    "ExecRecord",
    "ExtRecord",
    "Flag",
    "HeadRecord",
    "How",
    "JobRow",
    "JobsRecord",
    "NoteRecord",
    "Outcome",
    "SourceRecord",
    "Status",
    "TaskCount",
    "TaskRecord",
    "TaskSetRecord",
    "TraceFrame",
    "TraceRecord",
    "TreeRecord",
    "Use",
    "Why",
    "check",
    "job_id",
    "parse",
    "parse_footprint",
    "pointers",
]


# -- task and source --------------------------------------------------------------------------------------------------


class Use(NamedTuple):
    """One thing that the code of a task uses.

    `how`: `function` and `class` (target: a `source` of normalised text), `constant` (target: a `value`), `task` (a
    task that is only called; detail: its interface), `text` (a constant that has no encoding; target: a `source` of
    its assignment), `distribution` (detail: its version), `untracked` (detail: why).
    """

    how: str
    name: str
    target: Digest | None = None
    detail: str = ""


_TASK: Final = {
    "fullname": text,
    "code": text,
    "version": maybe(text),
    "text": maybe(pointer),
    "params": many(row(text, natural)),
    "interface": ascending(row(text, text)),
    "uses": ascending(row(text, text, maybe(pointer), text), key=lambda use: use[1]),
    "includes": ascending(pointer),
}


class TaskRecord(NamedTuple):
    """The fingerprint of a task. Its id is the task's identity in keys, calls and footprints.

    Attributes:
        fullname: namespace and name, joined by a dot.
        code: what of the code counts: `closure`, `function`, `version`, or `unknown` (its source cannot be trusted, so
            it is never answered from the cache).
        version: the user's own version, which then stands for all code.
        text: a `source` object with the normalised text of the function itself.
        params: (name, kind) of each parameter; kind as in `inspect.Parameter.kind` (0 to 4).
        interface: options that change what a call of it means (`nout`, `script`, ...), as canonical text pairs, sorted.
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
                to_pointer(self.text),
                [list(param) for param in self.params],
                [list(option) for option in self.interface],
                [[use.how, use.name, to_pointer(use.target), use.detail] for use in self.uses],
                to_pointers(self.includes),
            ]
        )

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> Self:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a task.
        """
        return read_record(payload, "task", _TASK, cls._of, strict=strict)

    @classmethod
    def _of(cls, f: list[Any]) -> Self:
        return cls(
            fullname=f[1],
            code=f[2],
            version=f[3],
            text=of_optional(f[4]),
            params=tuple([(name, kind) for name, kind in f[5]]),
            interface=tuple([(name, value) for name, value in f[6]]),
            uses=tuple([Use(how, name, of_optional(target), detail) for how, name, target, detail in f[7]]),
            includes=of_pointers(f[8]),
        )


_SOURCE: Final = {"text": text, "file": text, "line": natural}


class SourceRecord(NamedTuple):
    """Text of code: as written (with file and first line), or normalised (file empty, line 0)."""

    text: str
    file: str = ""
    line: int = 0

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        return pack([SCHEMA, self.text, self.file, self.line])

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> Self:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a source.
        """
        return read_record(payload, "source", _SOURCE, cls._of, strict=strict)

    @classmethod
    def _of(cls, f: list[Any]) -> Self:
        return cls(f[1], f[2], f[3])


# -- call and tree ----------------------------------------------------------------------------------------------------


class Outcome(enum.IntEnum):
    """How a call ended. PARTIAL: its body has returned an expression that is not evaluated yet, or has not run."""

    VALUE = 0
    RAISED = 1
    PARTIAL = 2


_CALL: Final = {
    "task": pointer,
    "args": many(pointer, limits.TREE_FANOUT),
    "reduction": maybe(pointer),
    "outcome": member(Outcome),
    "result": maybe(pointer),
    "children": many(maybe(pointer)),
    "extras": many(pointer),
}


class CallRecord(NamedTuple):
    """One computation: (task, arguments, reduction, result, child calls). No time, no host, no footprint.

    Attributes:
        task: id of the `task`.
        args: ids of the bound arguments in the order of the parameters, or the one `tree` that lists them when there
            are more than 1,024.
        reduction: the `expr` that the body returned; None when it returned a plain value (then `result` is it) or
            raised.
        outcome: whether `result` is a value or an error value that was raised, or there is none yet.
        result: id of the `value`.
        children: for each call in the reduction, in its order, the call that answered it; None where none was
            evaluated.
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
                to_pointers(self.args),
                to_pointer(self.reduction),
                int(self.outcome),
                to_pointer(self.result),
                [to_pointer(child) for child in self.children],
                to_pointers(self.extras),
            ]
        )

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> Self:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a call.
        """
        return read_record(payload, "call", _CALL, cls._of, strict=strict)

    @classmethod
    def _of(cls, f: list[Any]) -> Self:
        outcome, result = Outcome(f[4]), of_optional(f[5])
        if (result is None) != (outcome is Outcome.PARTIAL):
            raise ValueError("a call has a result exactly when it has ended")
        return cls(
            task=of_pointer(f[1]),
            args=of_pointers(f[2]),
            reduction=of_optional(f[3]),
            outcome=outcome,
            result=result,
            children=tuple([of_optional(child) for child in f[6]]),
            extras=of_pointers(f[7]),
        )


_TREE: Final = {"level": natural, "count": natural, "children": many(pointer, limits.TREE_FANOUT)}


def call_task(payload: bytes) -> Digest:
    """Returns the task of a call without reading the rest of it: it is the second field, a pointer."""
    start, size = (4, 16) if payload[2] == 0xD8 else (5, 32)
    return Digest(payload[start : start + size])


def call_result(payload: bytes | memoryview, task: Digest, args: Sequence[Digest]) -> Digest | None:
    """Returns the value that a call of this task and these arguments gave, without reading its children, of which there
    may be 100,000. None if it is another call, or gave no value."""
    front = b"".join([b"\x98\x01", pointer_bytes(task), array_header(len(args)), *map(pointer_bytes, args)])
    pointer = len(pointer_bytes(task))
    data = bytes(payload[: len(front) + 2 * pointer + 1])
    if not data.startswith(front):
        return None
    at = len(front) + (1 if data[len(front) : len(front) + 1] == b"\xc0" else pointer)  # past the reduction
    end = at + 1 + pointer
    if data[at : at + 2] != bytes((Outcome.VALUE, data[2])):
        return None
    return Digest(data[end - len(task) : end])


class TreeRecord(NamedTuple):
    """A list too long for one object. At level 0 the children are segments (`value` objects) or arguments.

    Attributes:
        level: 0 for one whose children are no trees.
        count: items in all of it.
        children: ids, at most 1,024.
    """

    level: int
    count: int  # type: ignore[assignment]  # hides a method of tuples that nobody calls on a record
    children: tuple[Digest, ...]

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        return pack([SCHEMA, self.level, self.count, to_pointers(self.children)])

    @classmethod
    def parse(cls, payload: bytes, *, strict: bool = False) -> Self:
        """Returns the record of canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a tree.
        """
        return read_record(payload, "tree", _TREE, cls._of, strict=strict)

    @classmethod
    def _of(cls, f: list[Any]) -> Self:
        return cls(f[1], f[2], of_pointers(f[3]))


# -- footprint --------------------------------------------------------------------------------------------------------


class Flag(NamedTuple):
    """Why a footprint can never be replayed whole: `volatile` or `unsatisfiable`, and which call said so."""

    name: str
    reason: str
    call: Digest | None = None


_HEAD: Final = {
    "part": tag("head"),
    "flags": many(row(text, text, maybe(pointer))),
    "tasks": pointer,
    "context": ascending(row(text, maybe(pointer)), key=lambda read: read[0]),
    "ext": maybe(pointer),
}


class HeadRecord(NamedTuple):
    """The head of a footprint: all that a call's whole subtree depended on.

    Attributes:
        tasks: the `footprint` object that holds the task set.
        flags: reasons that forbid a whole replay.
        context: (path, id of the value read or None where it was absent), sorted by path, relative to the job's
            context.
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
                [[flag.name, flag.reason, to_pointer(flag.call)] for flag in self.flags],
                Pointer(self.tasks),
                [[path, to_pointer(value)] for path, value in self.context],
                to_pointer(self.ext),
            ]
        )

    @classmethod
    def _of(cls, f: list[Any]) -> Self:
        return cls(
            tasks=of_pointer(f[3]),
            flags=tuple([Flag(name, reason, of_optional(call)) for name, reason, call in f[2]]),
            context=tuple([(path, of_optional(value)) for path, value in f[4]]),
            ext=of_optional(f[5]),
        )


_TASK_SET: Final = {
    "part": tag("tasks"),
    "tasks": ascending(row(text, pointer, many(row(text, pointer)))),
}


class TaskSetRecord(NamedTuple):
    """The tasks of a footprint: (full name, task id, ((parameter, id of its applied default), ...)), sorted."""

    tasks: tuple[tuple[str, Digest, tuple[tuple[str, Digest], ...]], ...]

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        rows = [
            [name, Pointer(task), [[parameter, Pointer(value)] for parameter, value in defaults]]
            for name, task, defaults in self.tasks
        ]
        return pack([SCHEMA, "tasks", rows])

    @classmethod
    def _of(cls, f: list[Any]) -> Self:
        return cls(
            tuple(
                [
                    (name, of_pointer(task), tuple([(parameter, of_pointer(value)) for parameter, value in defaults]))
                    for name, task, defaults in f[2]
                ]
            )
        )


_EXT: Final = {
    "part": tag("ext"),
    "own": many(pointer),
    "children": many(pointer),
    "barriers": many(row(text, pointer)),
}
#: Fields that most nodes do not have.
_EXT_MORE: Final = {**_EXT, "made": natural, "past": many(pointer), "met": many(pointer), "wrote": many(pointer)}


class ExtRecord(NamedTuple):
    """A node of the external values' DAG.

    Attributes:
        own: ids of the call's own external values.
        children: nodes of the calls below it.
        barriers: (full name, node) of calls below it that were `check_valid="shallow"`: not looked at while that task
            still is.
        made: how many of `own`, the first ones, the body has made, whatever there was before.
        past: values in the subtree that others of the same thing came after there: whoever looks at the subtree as a
            whole does not look at them.
        met, wrote: values of calls below it that have one each and nothing else, so that their nodes need not be read;
            those of `wrote` their bodies have made.
    """

    own: tuple[Digest, ...] = ()
    children: tuple[Digest, ...] = ()
    barriers: tuple[tuple[str, Digest], ...] = ()
    made: int = 0
    past: tuple[Digest, ...] = ()
    met: tuple[Digest, ...] = ()
    wrote: tuple[Digest, ...] = ()

    def values(self) -> tuple[Digest, ...]:
        """Returns the external values that it tells of itself."""
        return (*self.own, *self.met, *self.wrote)

    def payload(self) -> bytes:
        """Returns the canonical bytes."""
        barriers = [[name, Pointer(node)] for name, node in self.barriers]
        record = [SCHEMA, "ext", to_pointers(self.own), to_pointers(self.children), barriers]
        if self.made or self.past or self.met or self.wrote:
            record += [self.made, to_pointers(self.past), to_pointers(self.met), to_pointers(self.wrote)]
        return pack(record)

    @classmethod
    def _of(cls, f: list[Any]) -> Self:
        barriers = tuple([(name, of_pointer(node)) for name, node in f[4]])
        if len(f) == len(_EXT) + 1:
            return cls(of_pointers(f[2]), of_pointers(f[3]), barriers)
        if f[5] > len(f[2]):
            raise ValueError("more values are made than there are")
        return cls(of_pointers(f[2]), of_pointers(f[3]), barriers, f[5], *map(of_pointers, f[6:9]))


def parse_footprint(payload: bytes, *, strict: bool = False) -> HeadRecord | TaskSetRecord | ExtRecord:
    """Returns the part of a footprint that the bytes hold.

    Raises:
        MalformedObject: if the bytes are not a footprint.
    """
    record = open_record(payload, "footprint", strict=strict)
    part = record[1] if len(record) > 1 else None
    if part == "head":
        return fit_record(record, "footprint", _HEAD, HeadRecord._of, strict=strict)
    if part == "tasks":
        return fit_record(record, "footprint", _TASK_SET, TaskSetRecord._of, strict=strict)
    if part == "ext":
        shapes = _EXT if len(record) == len(_EXT) + 1 else _EXT_MORE
        return fit_record(record, "footprint", shapes, ExtRecord._of, strict=strict)
    raise MalformedObject("a footprint is a head, a set of tasks or a node of external values")


# -- all kinds --------------------------------------------------------------------------------------------------------

#: An expression is a record as far as its frame of fields goes; what its nodes say is for `reduction` to read.
_EXPR: Final = {"names": many(either(text, row(text, pointer))), "nodes": many(many(anything)), "root": anything}

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


def check(kind: str, payload: bytes) -> None:
    """Checks bytes from elsewhere: strict decode for structural kinds, canonical msgpack for values and other kinds, of
    which the registered parser (`kinds`) has to take them too.

    Raises:
        MalformedObject: if they are not an object of that kind.
    """
    if kind == "blob":
        return
    if kind == "value":
        unpack_strict(payload)
    elif kind == "expr":
        read_record(payload, kind, _EXPR, list, strict=True)
    elif kind not in KIND_CODES:
        kinds.check(kind, payload)
    elif _PARSERS[kind](payload, strict=True).payload() != payload:
        raise MalformedObject(f"a {kind} whose fields are not in canonical order")


def parse(kind: str, payload: bytes) -> Any:
    """Returns the record that an object holds: one of those above, or what the registered parser of its kind returns.

    Raises:
        MalformedObject: if the bytes are not an object of that kind, or it has no records (`value`, `blob`, `expr`, a
            kind that nobody has registered).
    """
    if kind in KIND_CODES:
        parser = _PARSERS.get(kind)
        if parser is None:
            raise MalformedObject(f"a {kind} is no record")
        return parser(payload)
    return kinds.parse(kind, payload)


def pointers(kind: str, payload: bytes | memoryview) -> list[Digest]:
    """Returns every id that an object points to; a blob points to none."""
    return [] if kind == "blob" else references(payload)


def job_id(hash_function: Callable[[bytes], bytes], uuid: bytes, number: int) -> bytes:
    """Returns the id of a job (16 bytes). It is computed, so inner jobs of a whole replay have one unwritten."""
    return hash_function(b"job " + uuid + number.to_bytes(8, "big"))[:16]
