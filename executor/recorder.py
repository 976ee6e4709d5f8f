"""The recorder: from ended jobs to what the store keeps of them, as pure as the evaluator.

It names calls, heads of footprints and tracebacks, and lists memo updates and job rows. Jobs arrive children first, so
the calls that a call points to are named before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from redun.core import codes, limits
from redun.core.classes import UnavailableError
from redun.core.codec import array_header, pointer_bytes
from redun.core.context import is_within
from redun.core.digest import Digest, Key
from redun.core.errors import UNWRITABLE, RedunError
from redun.core.keys import CodeExternal, error_key
from redun.core.objects import CallRecord, ExtRecord, Flag, How, JobRow, JobsRecord, Outcome, Status, TraceRecord
from redun.core.reduction import CALL, Reduction
from redun.core.tasks import Task, registry
from redun.core.values import Encoded, Encoder
from redun.executor.evaluator import Evaluator
from redun.executor.failures import causes, summary, trace_of
from redun.executor.footprints import Footprints, TaskSet
from redun.executor.jobs import Control, Failure, Job, Unit, cache_scope
from redun.executor.memoize import leaf_call
from redun.executor.states import State
from redun.executor.tallies import Tallies
from redun.executor.trails import Trails
from redun.executor.verify import Verifier
from redun.store.memo import MemoUpdate

_STATUS = {
    State.DONE: Status.DONE,
    State.FAILED: Status.FAILED,
    State.CANCELLED: Status.CANCELLED,
}


class Recorder:
    """Turns the jobs of one execution into records.

    Attributes:
        memo: memo updates not yet taken by the scheduler.
        rows: rows of ended jobs that are on no page yet.
        pages: ids of the full pages.
        sources: task id -> id of its source, for every task seen.
        tallies: how many jobs of which task the subtrees of calls have.
    """

    def __init__(self, evaluator: Evaluator, verifier: Verifier, trails: Trails, uuid: bytes) -> None:
        self._evaluator = evaluator
        self._verifier = verifier
        self._trails = trails
        self._encoder: Encoder = evaluator.encoder
        self._uuid = uuid
        self._footprints = Footprints(self._encoder.put)
        #: task -> (set of tasks, head) of its jobs that depended on nothing else.
        self._bare: dict[Digest, tuple[TaskSet, Digest]] = {}
        self._traces: dict[int, tuple[Failure, Digest]] = {}
        #: Code met in values, by its `id`, with the external value that stands for it.
        self._code: dict[int, tuple[Any, Digest | None]] = {}
        self.memo: dict[Key, MemoUpdate] = {}
        self.rows: list[JobRow] = []
        self.pages: list[Digest] = []
        self.sources: dict[Digest, Digest] = {}
        self.tallies = Tallies()
        #: Jobs that have tags by their options, and these.
        self.tagged: list[tuple[Job, Any]] = []

    # -- what the scheduler calls -------------------------------------------------------------------------------------

    def reduced(self, job: Job) -> None:
        """Records that a body has returned an expression, so that this step survives a crash."""
        reduction = job.reduction
        if reduction is None or job.how is not How.RAN or job.key is None or not job.is_recorded:
            return
        expr = self._expr_id(reduction)
        job.partial = self._partial(job, expr)
        if _is_kept(job):
            self.memo[job.joint or job.key] = MemoUpdate(job.key, job.task.fullname, expr, True, None, None, job.caused)

    def ended(self, job: Job) -> None:
        """Records a job that has ended."""
        self.sources.setdefault(job.prepared.digest, job.prepared.source)
        if job.number < 0:
            return  # it never had arguments, so there is no call to speak of
        if job.options:
            if not job.is_recorded:
                self._unrecorded(job)
                return
            if job.options.get("tags"):
                self.tagged.append((job, job.options["tags"]))
        if job.how is How.JOINED and job.leader is not None and job.leader.call is not None:
            self._follow(job, job.leader)
        elif job.how is How.WHOLE:
            self._whole(job)
        elif job.state is State.DONE:
            self._done(job)
        else:
            self._failed(job)
        self._add(self.row(job, _STATUS[job.state]))

    def _unrecorded(self, job: Job) -> None:
        """A job without a row and a call: what it depended on still counts for the one around it."""
        if job.failure is not None and not _keeps_error(job, job.failure.error):
            job.flags = (*job.flags, Flag("volatile", f"{type(job.failure.error).__name__} may not come again"))
        if job.state is not State.CANCELLED:
            self._footprint(job)

    def attempt(self, job: Job, failure: Failure, number: int) -> None:
        """Records an attempt of a job that is tried again: a row of its own, beside that of the job."""
        self.sources.setdefault(job.prepared.digest, job.prepared.source)
        if not job.is_recorded:
            return
        told = self._encoder.identify(failure.told or self._told(failure.error))
        call = self._call(job, None, Outcome.RAISED, told)
        row = self.row(job, Status.FAILED)._replace(number=number, call=call, head=None, trace=self.trace(failure))
        self._add(row)

    def _add(self, row: JobRow) -> None:
        self.rows.append(row)
        if len(self.rows) == limits.PAGE_ROWS:
            self.pages.append(self._encoder.put("jobs", JobsRecord(self._uuid, tuple(self.rows)).payload()))
            self.rows.clear()

    def unfinished(self, jobs: Iterable[Job], status: Status) -> tuple[JobRow, ...]:
        """Returns rows of jobs that have not ended."""
        rows = []
        for job in jobs:
            if not job.is_recorded:
                continue
            if job.partial is None:
                job.partial = self._partial(job, None)
            rows.append(self.row(job, status))
        return tuple(rows)

    def row(self, job: Job, status: Status) -> JobRow:
        """Returns the job's row."""
        return JobRow(
            job.number,
            job.call or job.partial,
            job.parent,
            status,
            job.how,
            job.why,
            job.started,
            job.stopped - job.started if job.stopped >= 0 else -1,
            job.executor,
            job.attempts,
            job.compared,
            job.head,
            job.trace,
            job.remote,
            tuple(sorted(job.tally.items())) if job.how is How.WHOLE and job.tally is not None else (),
            job.stale,
        )

    def trace(self, failure: Failure) -> Digest:
        """Puts the traceback of a failure, with those of its causes, and returns its id."""
        known = self._traces.get(id(failure))
        if known is not None:
            return known[1]
        digest: Digest | None = None
        for record in reversed(failure.traces or [trace_of(error) for error in causes(failure.error)]):
            digest = self._encoder.put(
                "trace", TraceRecord(record.summary, record.frames, record.notes, digest).payload()
            )
        assert digest is not None
        self._traces[id(failure)] = (failure, digest)
        return digest

    # -- calls --------------------------------------------------------------------------------------------------------

    def _follow(self, job: Job, leader: Job) -> None:
        job.call, job.head = leader.call, leader.head
        job.tasks, job.ext, job.flags = leader.tasks, leader.ext, leader.flags
        job.context_reads = leader.context_reads
        if job.tasks is not None and (job.applied or job.node.options or job.node.lazy_options):
            self._add_own(job)
        self._trails.followed(job, leader)
        if job.failure is not None:
            job.trace = leader.trace

    def _whole(self, job: Job) -> None:
        """A whole replay has its call and head already; what is needed is what they add to the caller's footprint."""
        assert job.head is not None
        head = self._verifier.head(job.head)
        job.tasks = self._footprints.known(self._verifier.task_set(head.tasks), head.tasks)
        job.ext, job.flags, job.context_reads = head.ext, head.flags, head.context
        if head.ext is not None:
            self._footprints.known_node(head.ext, self._verifier.node(job.head) or ExtRecord())
        for name, digest, _ in job.tasks.entries:
            if digest not in self.sources:
                self._source(name, digest)
        if job.walked and job.tally is not None:
            self.tallies.keep(job, job.tally)
        if job.applied:
            self._add_own(job)

    def _source(self, name: str, digest: Digest) -> None:
        """Notes the source of a task inside a whole replay: the history shows it as it is now."""
        task = registry.get(name)
        if task is not None:
            prepared = self._evaluator.fingerprints.prepare(task)
            self.sources[digest] = prepared.source
            self._encoder.add({prepared.source: prepared.objects[prepared.source]})

    def _done(self, job: Job) -> None:
        reduction, result = job.reduction, job.result
        assert reduction is not None
        assert result is not None
        assert result.digest is not None
        if reduction.nodes or job.extras:
            expr = self._expr_id(reduction) if reduction.nodes else None
            job.call = self._call(job, expr, Outcome.VALUE, result.digest)
        elif job.call is None:
            job.call = self._encoder.put("call", leaf_call(job.prepared.digest, job.ids, result.digest))
        if self._is_bare(job, reduction, result):
            self._bare_footprint(job)
        else:
            self._footprint(job)
            self.tallies.count(job)
        assert job.head is not None
        if job.key is not None and _is_kept(job) and not self._is_remembered(job, reduction):
            # It takes the place of the update that the body's return made, where that is not written yet. Updates are
            # numbered in their order: a call is newer than all that happened inside it.
            place = job.joint or job.key  # calls of other contexts are remembered beside each other
            self.memo.pop(place, None)
            target = self._expr_id(reduction) if reduction.nodes else result.digest
            self.memo[place] = MemoUpdate(
                job.key, job.task.fullname, target, bool(reduction.nodes), job.call, job.head, job.caused
            )

    def _is_remembered(self, job: Job, reduction: Reduction) -> bool:
        """Whether the memo row that answered has this call already, and not from before a task in it was superseded."""
        for row in job.remembered or ():
            if row.call == job.call and row.head == job.head:
                tasks = job.tasks.digest
                return not reduction.nodes or tasks is None or self._verifier.superseded(tasks) <= row.seq
        return False

    def _failed(self, job: Job) -> None:
        failure = job.failure
        if failure is None:  # cancelled: what is known of it is that it was asked for
            if job.partial is None:
                job.partial = self._partial(job, None)
            return
        error = failure.told or self._told(failure.error)
        reduction = job.reduction
        expr = self._expr_id(reduction) if reduction is not None and reduction.nodes and job.units else None
        told = self._encoder.identify(error)
        job.call = self._call(job, expr, Outcome.RAISED, told)
        if not _keeps_error(job, failure.error):
            job.flags = (*job.flags, Flag("volatile", f"{type(failure.error).__name__} may not come again"))
        self._footprint(job)
        if failure.origin is job or failure.origin is None:
            job.trace = self.trace(failure)
        if job.key is not None and failure.origin is job and job.how is How.RAN and expr is None:
            self._keep_error(job, told)

    def _keep_error(self, job: Job, error: Digest) -> None:
        """Remembers the error that a body raised, for those who handle it."""
        if _is_kept(job) and not job.flags and job.call is not None and job.key is not None:
            key = error_key(self._encoder.format, job.key)
            self.memo[key] = MemoUpdate(key, job.task.fullname, error, False, job.call, job.head, job.caused)

    def _told(self, error: BaseException) -> Encoded:
        """The error as a value; one whose own attributes cannot be stored is told by its summary."""
        try:
            return self._encoder.encode(error)
        except UNWRITABLE:
            raise
        except (RedunError, TypeError, ValueError):
            return self._encoder.encode(UnavailableError(summary(error)))

    def _expr_id(self, reduction: Reduction) -> Digest:
        if reduction.digest is None:
            reduction.digest = self._encoder.put("expr", reduction.payload)
        return reduction.digest

    def _partial(self, job: Job, expr: Digest | None) -> Digest:
        args = tuple(job.ids) or tuple(self._encoder.identify(arg) for arg in job.args)
        return self._encoder.put("call", CallRecord(job.prepared.digest, args, expr, Outcome.PARTIAL, None).payload())

    def _call(self, job: Job, expr: Digest | None, outcome: Outcome, result: Digest) -> Digest:
        ids = job.ids or [self._encoder.identify(arg) for arg in job.args]
        children = self._children(job) if expr is not None else []
        extras = [call for unit in (*job.extras, *job.made) if (call := _call_of(unit)) is not None]
        parts = [b"\x98\x01", pointer_bytes(job.prepared.digest), array_header(len(ids)), *map(pointer_bytes, ids)]
        parts.append(b"\xc0" if expr is None else pointer_bytes(expr))
        parts += [bytes((outcome,)), pointer_bytes(result), array_header(len(children))]
        parts += [b"\xc0" if child is None else pointer_bytes(child) for child in children]
        parts += [array_header(len(extras)), *map(pointer_bytes, extras)]
        return self._encoder.put("call", b"".join(parts))

    def _children(self, job: Job) -> list[Digest | None]:
        """The calls that answered those of the reduction, None where no scheduler task wanted one."""
        assert job.reduction is not None
        if job.reduction.controls:
            pairs = zip(job.reduction.nodes, job.units, strict=False)  # no units: the table could not be expanded
            return [_call_of(unit) for node, unit in pairs if node.op == CALL]
        return [_call_of(unit) for unit in job.units if unit is not None and unit.node.op == CALL]

    # -- footprints ---------------------------------------------------------------------------------------------------

    def _is_bare(self, job: Job, reduction: Reduction, result: Encoded) -> bool:
        """Whether all that the job depended on is its own task, as with nearly every leaf: its footprint is known."""
        return (
            result.plain
            and not reduction.nodes
            and not (job.extras or job.applied or job.coded or job.flags or job.unkept)
            and not (job.node.options or job.node.lazy_options)
            and job.prepared.cacheable
        )

    def _bare_footprint(self, job: Job) -> None:
        known = self._bare.get(job.prepared.digest)
        if known is None:
            self._footprint(job)
            assert job.head is not None
            self._bare[job.prepared.digest] = (job.tasks, job.head)
        else:
            job.tasks, job.head = known

    def _footprint(self, job: Job) -> None:
        units = (*job.units, *job.extras, *job.made)
        parts = self._parts(job, units)
        flags = dict.fromkeys(job.flags)
        if not job.prepared.cacheable:
            flags[Flag("volatile", "its code could not be verified")] = None
        if job.unkept:
            flags[Flag("volatile", job.unkept)] = None
        flags |= dict.fromkeys((*_own_flags(job), *parts.flags))
        reduction = job.reduction
        if reduction is not None:
            parts.own += self._externals(reduction)
        if job.result is not None:
            parts.own += self._externals(job.result)
        if job.coded:
            parts.own += self._consumed(job)
        job.tasks = parts.tasks
        job.flags = tuple(flags)[:1]
        past = self._trails.past(job, units, parts.own)
        job.ext = self._footprints.ext(parts.own, parts.children, parts.barriers, job.wrote, past)
        if job.reads or parts.reads:
            job.context_reads = tuple(sorted({**parts.reads, **job.reads}.items()))
        job.head = self._footprints.head(job.tasks, job.ext, job.flags, job.context_reads)

    def _add_own(self, job: Job) -> None:
        """Adds what only this job depended on to a footprint that it shares with another of its key: that one may have
        been given the same arguments where this one took its defaults, and with the cache on."""
        parts = self._parts(job, job.extras)
        job.tasks = self._footprints.union(job.tasks, parts.tasks)
        job.flags = (*job.flags, *_own_flags(job), *parts.flags)[:1]
        if parts.reads:
            job.context_reads = tuple(sorted({**dict(job.context_reads), **parts.reads}.items()))
        if job.ext is not None:
            parts.children.append(job.ext)
        job.ext = self._footprints.ext(parts.own, parts.children, parts.barriers)

    def _parts(self, job: Job, units: Iterable[Unit | None]) -> _Parts:
        """Gathers what the defaults of a job and its units add to its footprint."""
        prints = self._footprints
        applied = job.applied
        defaults = tuple((name, job.prepared.default_ids[name]) for name in applied) if applied else ()
        parts = _Parts(prints.single(job.task.fullname, job.prepared.digest, defaults))
        if applied:
            for name, arg in zip(job.prepared.names, job.args, strict=False):
                if name in applied:
                    parts.own += self._externals(arg)
        for unit in units:
            if type(unit) is Control:
                parts.tasks = prints.union(parts.tasks, prints.single(unit.task.fullname, unit.prepared.digest, ()))
            if not isinstance(unit, Job) or unit.tasks is None:
                continue
            parts.tasks = prints.union(parts.tasks, unit.tasks)
            if unit.ext is not None and unit.options.get("check_valid") == "shallow":
                parts.barriers.append((unit.task.fullname, unit.ext))
                if unit.result is not None:
                    parts.own += self._externals(unit.result)  # a result is looked at wherever it is used
            elif unit.ext is not None:
                parts.children.append(unit.ext)
            parts.flags += (Flag(flag.name, flag.reason, unit.call) for flag in unit.flags)
            for path, _ in unit.context_reads:
                if not is_within(path, unit.replaced):
                    parts.reads[path] = job.context.id_at(path, self._encoder)
        return parts

    def _externals(self, value: Encoded | Reduction) -> list[Digest]:
        """Ids of what a value stands for outside: things such as files, and the user's own code. That of classes
        counts too: it is part of the keys of the jobs inside that were given the instances."""
        ids = [self._trails.id(external) for external in value.externals]
        for obj in value.code:
            known = self._code.get(id(obj))
            if known is None:
                known = self._code[id(obj)] = (obj, self._code_external(obj))
            if known[1] is not None:
                ids.append(known[1])
        return ids

    def _code_external(self, obj: Any) -> Digest | None:
        digest, objects = self._evaluator.fingerprints.code_id(obj)
        if digest is None:
            return None
        self._encoder.add(objects)
        return self._encoder.value(CodeExternal(_code_name(obj), digest))

    def _consumed(self, job: Job) -> list[Digest]:
        """Ids of the code among the arguments that only this task takes for the user's own: that of its package."""
        ids = []
        for at, arg in enumerate(job.args):
            for obj in arg.code if at not in job.task.unkeyed else ():
                digest, objects = self._evaluator.fingerprints.code_id(obj, job.task)
                if digest is not None and digest != self._evaluator.fingerprints.code_id(obj)[0]:
                    self._encoder.add(objects)
                    ids.append(self._encoder.value(CodeExternal(_code_name(obj), digest, job.task.fullname)))
        return ids


class _Parts:
    """What a footprint is made of."""

    __slots__ = ("barriers", "children", "flags", "own", "reads", "tasks")

    def __init__(self, tasks: TaskSet) -> None:
        self.tasks = tasks
        self.flags: list[Flag] = []
        self.own: list[Digest] = []
        self.children: list[Digest] = []
        self.barriers: list[tuple[str, Digest]] = []
        self.reads: dict[str, Digest | None] = {}


def _own_flags(job: Job) -> list[Flag]:
    given = job.node.options or job.node.lazy_options
    if not given:
        return []
    options = job.options
    if options.get("prov") is False and given.get("prov") is not False:  # jobs above do not want it recorded: no more
        options = {**options, "prov": True}
    return [Flag("volatile", "the cache was off for this call")] if cache_scope(options) != "BACKEND" else []


def _code_name(obj: Any) -> str:
    return obj.fullname if isinstance(obj, Task) else f"{codes.module_name(obj.__module__)}:{obj.__qualname__}"


def _call_of(unit: Unit | None) -> Digest | None:
    return unit.recorded_call if isinstance(unit, Job) else None


#: Errors of the surroundings, not of what a body was given.
_FLEETING: Final = (OSError, MemoryError, RecursionError, RedunError)


def _keeps_error(job: Job, error: BaseException) -> bool:
    """Whether the error would come again: those of the surroundings may not."""
    if job.handles:  # it may have got half of the way, so that the next time is another one
        return False
    return isinstance(error, Exception) and not isinstance(error, _FLEETING) and job.options.get("cache_errors", True)


def _is_kept(job: Job) -> bool:
    """Whether later runs may be answered with what this job did."""
    return job.prepared.cacheable and not job.unkept
