"""Names that people type: prefixes of ids, `-`, `~N`, and task names, each resolved to what it means in a store.

An execution answers to the start of its uuid (with or without dashes) or of its digest, a job to the start of its id,
an object to the start of its digest, a task also to its name. Executions and objects are looked up first, then task
names, then jobs: the ids of jobs are stored nowhere, they are computed.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from redun.core import limits
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import AmbiguousPrefix, NotFound
from redun.core.objects import ExecRecord, JobRow, Status, TaskCount, TaskRecord, job_id
from redun.store.journal import LiveInfo
from redun.store.refs import EXECUTIONS, TRACKING
from redun.store.store import Store

if TYPE_CHECKING:
    from redun.store.tags import Thing

LATEST: Final = "-"
_HEX: Final = frozenset("0123456789abcdef")
#: Characters of an id as printed in lists. A prefix of that length is looked for in the newest executions first, and
#: the search ends with the first that has such a job; a shorter one is compared with all jobs, to tell when it is
#: ambiguous.
_PRINTED: Final = 8
#: Jobs of an execution of which it is worth asking the index, where that has it.
_MANY: Final = 2_000
#: Candidates named in an error.
_NAMED: Final = 4
_LISTED: Final = 20


class Run(NamedTuple):
    """An execution, sealed or not.

    Attributes:
        uuid, argv, info, start, root, rows, counts, sources, pages: as in `ExecRecord`.
        digest: id of the execution; None while it is not sealed.
        status: RUNNING while its process lives, INTERRUPTED when that has died before the seal.
        end: microseconds since the epoch; None while it is not sealed.
        trace: traceback of what ended it.
        tags: text pairs, those given and taken after it was run included.
        tail, running: rows that are on no page, of jobs that have ended and that have not; empty once sealed.
        remote: whence it came: the name of a remote; empty where it was run here.
    """

    uuid: bytes
    digest: Digest | None
    status: Status
    start: int
    end: int | None
    argv: tuple[str, ...]
    info: tuple[tuple[str, str], ...]
    root: Digest | None
    pages: tuple[Digest, ...]
    rows: int
    counts: tuple[TaskCount, ...]
    sources: tuple[tuple[Digest, Digest], ...]
    trace: Digest | None = None
    tags: tuple[tuple[str, str], ...] = ()
    tail: tuple[JobRow, ...] = ()
    running: tuple[JobRow, ...] = ()
    remote: str = ""


class JobName(NamedTuple):
    """A job: its execution and its row number there."""

    run: Run
    number: int


class ObjectName(NamedTuple):
    """An object that is not an execution: its kind and id."""

    kind: str
    digest: Digest


class TaskName(NamedTuple):
    """A task by its full name: ids of its fingerprints in the history, newest first."""

    fullname: str
    versions: tuple[Digest, ...]


Named: TypeAlias = Run | JobName | ObjectName | TaskName


# -- the history, live runs among it ----------------------------------------------------------------------------------


def runs(store: Store) -> Iterator[Run]:
    """Returns every execution, newest first, those that run now and those that died unsealed included.

    Raises:
        StoreDamaged: if the history cannot be read.
    """
    changed = store.tags_of_executions()
    for run in _runs(store):
        yield _with_tags(run, changed)


def _runs(store: Store) -> Iterator[Run]:
    waiting = [_of_live(info) for info in store.live_runs()]  # oldest first
    shown: set[bytes] = set()
    remotes = Remotes(store)
    for chain, digest, record in store.chained_executions():
        while waiting and waiting[-1].start >= record.start:
            shown.add(waiting[-1].uuid)
            yield waiting.pop()
        if record.uuid not in shown:  # it may have been sealed since the live ones were read
            shown.add(record.uuid)
            yield of_record(digest, record, remotes.name(chain))
    yield from (run for run in reversed(waiting) if run.uuid not in shown)


def _with_tags(run: Run, changed: dict[bytes, dict[tuple[str, str], bool]]) -> Run:
    noted = changed.get(run.uuid)
    if not noted:
        return run
    from redun.store.tags import effective

    return run._replace(tags=effective(run.tags, noted))


class Remotes:
    """Tells by which remote the executions of a chain came."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._own = store.id.hex()
        self._names: dict[str, str] | None = None

    def name(self, chain: str) -> str:
        """Returns the name of the remote that has a chain; nothing for the chains of this store, and for those that are
        here without a remote, as after a backup was restored."""
        made_by = chain.removeprefix(EXECUTIONS)
        if made_by.startswith(self._own):
            return ""
        if self._names is None:
            refs = (ref.removeprefix(TRACKING) for ref in self._store.refs(TRACKING))
            self._names = {made: name for name, _, made in (ref.partition(f"/{EXECUTIONS}") for ref in refs)}
        # a chain that has gone another way is kept under a name that goes on after a hyphen
        return self._names.get(made_by) or self._names.get(made_by.partition("-")[0], "")


def of_record(digest: Digest, record: ExecRecord, remote: str = "") -> Run:
    """Returns a sealed execution."""
    return Run(
        uuid=record.uuid,
        digest=digest,
        status=record.status,
        start=record.start,
        end=record.end,
        argv=record.argv,
        info=record.info,
        root=record.root,
        pages=record.pages,
        rows=record.rows,
        counts=record.counts,
        sources=record.sources,
        trace=record.trace,
        tags=record.tags,
        remote=remote,
    )


def _of_live(info: LiveInfo) -> Run:
    loose = (*info.tail, *info.running)
    return Run(
        uuid=info.uuid,
        digest=None,
        status=Status.RUNNING if info.alive else Status.INTERRUPTED,
        start=info.start,
        end=None,
        argv=info.argv,
        info=tuple(sorted(info.info.items())),
        root=info.root,
        pages=info.pages,
        rows=max([info.rows, *(row.number + 1 for row in loose)]),
        counts=info.counts,
        sources=info.sources,
        tail=info.tail,
        running=info.running,
    )


# -- resolving --------------------------------------------------------------------------------------------------------


def find(store: Store, text: str) -> Named:
    """Returns what a name that a person typed means.

    Raises:
        AmbiguousPrefix: if it means several things.
        NotFound: if it means nothing.
    """
    if text == LATEST or text.startswith("~"):
        return _nth(store, text)
    prefix = _prefix(text)
    history = list(runs(store))
    if prefix is not None:
        found = _executions_and_objects(store, history, prefix)
        if found:
            return _only(store, text, found)
    if text.replace(".", "_").isidentifier():
        task = _task(store, history, text)
        if task is not None:
            return task
    if prefix is not None:
        for fmt in (store.format, *store.former_formats()):
            jobs: list[Named] = list(_jobs(store, history, prefix, fmt))
            if jobs:
                return _only(store, text, jobs)
    raise _unknown(text, prefix)


def find_object(store: Store, text: str) -> ObjectName:
    """Returns the object that a name means; an execution's uuid, `-` and `~N` mean the execution's own object.

    Raises:
        AmbiguousPrefix: if it means several things.
        NotFound: if it means nothing, or something that is no object.
    """
    found = find(store, text)
    if isinstance(found, ObjectName):
        return found
    if isinstance(found, TaskName):
        return ObjectName("task", found.versions[0])
    if isinstance(found, JobName):
        hint = f"a job is a row of its execution, redun log {text} shows it"
        raise NotFound(f"{text} is a job and no object", hint=hint)
    if found.digest is None:
        raise NotFound(f"execution {text} is not sealed yet", hint=f"redun log {text} shows how far it is")
    return ObjectName("exec", found.digest)


def thing_of(store: Store, named: Named) -> "Thing":
    """Returns what a name means as what can be tagged: a task's name stands for all of its versions."""
    from redun.store.tags import of_execution, of_job, of_object, of_task  # here, as below: few things have tags

    if isinstance(named, Run):
        given = () if named.digest is None else ExecRecord.parse(store.get(named.digest)[1]).tags
        return of_execution(named.uuid, given, author=dict(named.info).get("user", ""), when=named.start)
    if isinstance(named, JobName):
        return of_job(named.run.uuid, named.number)
    return of_task(named.fullname) if isinstance(named, TaskName) else of_object(named.digest)


def _nth(store: Store, text: str) -> Run:
    steps = 0 if text == LATEST else _steps(text)
    for run in runs(store):
        if steps == 0:
            return run
        steps -= 1
    if text == LATEST:
        raise NotFound("there is no execution yet", hint="redun run makes the first")
    raise NotFound(f"there are not so many executions: {text}", hint="redun log lists them")


def _steps(text: str) -> int:
    digits = text[1:]
    if not digits.isascii() or not digits.isdigit():
        raise NotFound(f"{text!r} names nothing", hint="~1 is the execution before the latest, ~2 the one before that")
    return int(digits[:9])


def _prefix(text: str) -> str | None:
    """The hexadecimal digits of a name that can be a prefix of an id."""
    digits = text.replace("-", "").lower()
    return digits if len(digits) >= limits.PREFIX_CHARS and _HEX.issuperset(digits) else None


def _executions_and_objects(store: Store, history: list[Run], prefix: str) -> list[Named]:
    found: list[Named] = [run for run in history if run.uuid.hex().startswith(prefix)]
    for kind, digest in store.resolve(prefix, _LISTED):
        found.append(_run_of(store, history, digest) if kind == "exec" else ObjectName(kind, digest))
    return list(dict.fromkeys(found))


def _run_of(store: Store, history: list[Run], digest: Digest) -> Run:
    listed = next((run for run in history if run.digest == digest), None)
    if listed is not None:
        return listed
    return _with_tags(of_record(digest, ExecRecord.parse(store.get(digest)[1])), store.tags_of_executions())


def _only(store: Store, text: str, found: list[Named]) -> Named:
    if len(found) == 1:
        return found[0]
    candidates = [_described(store, named) for named in found[:_LISTED]]
    some = ", ".join(f"{kind} {full[: len(text) + 6]}" for kind, full in candidates[:_NAMED])
    more = f" and {len(candidates) - _NAMED} more" if len(candidates) > _NAMED else ""
    raise AmbiguousPrefix(
        f"{text} is the start of several ids: {some}{more}", candidates=candidates, hint="give more characters"
    )


def _described(store: Store, named: Named) -> tuple[str, str]:
    if isinstance(named, Run):
        return "execution", named.uuid.hex()
    if isinstance(named, JobName):
        return "job", job_id(store.format.hash, named.run.uuid, named.number).hex()
    if isinstance(named, ObjectName):
        return named.kind, named.digest.hex()
    return "task", named.fullname


def _unknown(text: str, prefix: str | None) -> NotFound:
    if prefix is None and _HEX.issuperset(text.lower()):
        hint = f"a prefix of an id has at least {limits.PREFIX_CHARS} characters"
    else:
        hint = "redun log lists the executions, redun log ID the jobs of one"
        if "/" in text:
            hint = f"redun log --jobs --file {text} lists the jobs that took or gave such a file"
    return NotFound(f"{text!r} names no execution, job, object or task", hint=hint)


# -- jobs -------------------------------------------------------------------------------------------------------------


def _jobs(store: Store, history: list[Run], prefix: str, fmt: ObjectFormat) -> Iterator[JobName]:
    index = store.index_as_it_is() if fmt == store.format else None
    for run in history:
        numbers: Iterable[int] | None = None
        if run.rows >= _MANY and run.digest is not None and index is not None:
            numbers = index.numbers(run.digest, prefix)
        if numbers is None:
            numbers = _job_numbers(run, prefix, fmt)
        found = [JobName(run, number) for number in numbers]
        yield from found
        if found and len(prefix) >= _PRINTED:
            return


def _job_numbers(run: Run, prefix: str, fmt: ObjectFormat) -> Iterator[int]:
    """The numbers of a run's jobs whose ids start so. Every number is tried, so a million take a second."""
    function, uuid = fmt.hash, run.uuid
    whole = bytes.fromhex(prefix[: len(prefix) & ~1])
    head = b"job " + uuid  # the start of what `job_id` hashes; calling it for each number would double the time
    for number in range(run.rows):
        computed = function(head + number.to_bytes(8, "big"))
        if computed.startswith(whole) and job_id(function, uuid, number).hex().startswith(prefix):
            yield number


# -- tasks ------------------------------------------------------------------------------------------------------------


def _task(store: Store, history: list[Run], text: str) -> TaskName | None:
    """The task of that full name, or the only one of that name in any namespace."""
    suffix = f".{text}"
    versions: dict[str, dict[Digest, None]] = {}
    names: dict[Digest, str] = {}
    for run in history:
        if not any(count.fullname == text or count.fullname.endswith(suffix) for count in run.counts):
            continue
        for digest, fullname in _task_names(store, run, names):
            if fullname == text or fullname.endswith(suffix):
                versions.setdefault(fullname, {})[digest] = None
    chosen = text if text in versions else next(iter(versions), None)
    if chosen is None:
        return None
    if chosen != text and len(versions) > 1:
        candidates = [("task", fullname) for fullname in sorted(versions)]
        listed = ", ".join(fullname for _, fullname in candidates[:_NAMED])
        raise AmbiguousPrefix(
            f"several tasks are named {text}: {listed}", candidates=candidates, hint="give the namespace too"
        )
    return TaskName(chosen, tuple(versions[chosen]))


def _task_names(store: Store, run: Run, names: dict[Digest, str]) -> Iterator[tuple[Digest, str]]:
    unread = [task for task, _ in run.sources if task not in names]
    for digest, found in zip(unread, store.get_many(unread), strict=True):
        names[digest] = TaskRecord.parse(found[1]).fullname if found is not None else ""
    return ((task, names[task]) for task, _ in run.sources)
