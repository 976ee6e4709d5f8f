"""Answering jobs from the store: the part of a run that reads the memo.

For each job, in this order (CACHING.md section 6): join the leader of its key where the answer's externals still hold;
replay a recorded call whole where its footprint holds; replay the recorded reduction where its externals hold and it
can be decoded; else the body is to run, for a reason that is decided here.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from redun.core import limits
from redun.core.codec import POINTER_HEADS, array_header, unpack
from redun.core.codes import main_name
from redun.core.decoding import Decoder
from redun.core.digest import Digest, Key
from redun.core.errors import CannotDecode, CannotEncode, CodecError, NotFound, RemoteFileError, StaleInput
from redun.core.frame import object_id
from redun.core.handle_states import Stateful
from redun.core.keys import error_key
from redun.core.objects import CallRecord, ExtRecord, HeadRecord, How, Outcome, Why, call_result
from redun.core.reduction import CALL, CONTROL, Node, Reduction, read_reduction
from redun.core.replays import inner_calls, made_by
from redun.core.scheduler_tasks import SchedulerTask
from redun.core.tasks import registry
from redun.core.values import Encoded, External
from redun.executor.compare import Comparer
from redun.executor.evaluator import Evaluator
from redun.executor.failures import trace_of
from redun.executor.inputs import Inputs
from redun.executor.jobs import Failure, Job, allowed_results
from redun.executor.states import State
from redun.executor.trails import Trails
from redun.executor.verify import Verifier
from redun.store.memo import MemoCall, MemoRow

#: First byte of the msgpack of a leaf that cannot change: nothing in it needs to be looked at or copied.
_LEAF: Final = tuple(
    b < 0x80 or 0xA0 <= b <= 0xC6 or 0xCA <= b <= 0xD3 or 0xD9 <= b <= 0xDB or b >= 0xE0 for b in range(256)
)


_NOTHING: Final[frozenset[Digest]] = frozenset()
#: Headers of short arrays.
_COUNTS: Final = tuple(map(array_header, range(16)))


class Source(Protocol):
    """What answers are read from: the store with what this run has not written yet."""

    def lookup(self, keys: Sequence[Key]) -> list[MemoRow | None]:
        """Returns the memo row of each key, after comparing all unwritten objects with what is stored."""
        ...

    def get_many(self, digests: Sequence[Digest]) -> list[tuple[str, Any] | None]:
        """Returns (kind, payload) of each object, None where there is none."""
        ...

    def tally(self, call: Digest) -> list[int] | None:
        """Returns how many jobs of each task the subtree of a call has; None where that is not kept."""
        ...


class Elsewhere(Protocol):
    """Where answers are looked for that the store does not have."""

    @property
    def name(self) -> str:
        """The name of that place."""
        ...

    def find(self, keys: Sequence[Key]) -> Collection[Key]:
        """Returns those of the keys that the store has an answer for now. It never fails."""
        ...

    def stop(self) -> None:
        """Lets `find` return at once, now and from now on. Any thread may ask for that."""
        ...


class Memoizer:
    """Answers the evaluator's asks."""

    def __init__(
        self,
        evaluator: Evaluator,
        source: Source,
        verifier: Verifier,
        comparer: Comparer,
        trails: Trails,
        inputs: Inputs,
        *,
        fetch: Callable[[Digest], Any],
        read: bool,
        whole: bool,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._evaluator = evaluator
        self._source = source
        self._verifier = verifier
        self._looks = verifier.looks
        self._comparer = comparer
        self._trails = trails
        self._inputs = inputs
        self._fetch = fetch
        self._read = read
        self._whole = whole
        self._elsewhere = elsewhere
        #: Modules of the code of tasks that were imported to decode what these returned, or could not be.
        self._tried: set[str] = {main_name()}
        #: Whether outputs may be brought back that tasks had kept.
        self.brings_back = True
        #: Bodies that have finished in this run; each may have changed a file.
        self.finished = 0

    def answer(self, jobs: list[Job]) -> None:
        """Gives each job its answer. The jobs' arguments have been compared with the store when this returns."""
        asking: list[Job] = []
        deferred: list[Job] = []
        for job in jobs:
            if job.state is not State.KEYED:
                continue
            if job.leader is not None and job.leader.state is State.KEYED:
                deferred.append(job)  # a job without a cache: whether it joins depends on how its leader is answered
                continue
            try:
                if not self._settled(job):
                    asking.append(job)
            except RemoteFileError as error:
                self._unknowable(job, error)
        keys = [job.key for job in asking if job.key is not None]
        rows = self._source.lookup(keys)
        if self._elsewhere is not None and None in rows:
            rows = self._from_elsewhere(self._elsewhere, asking, rows)
        wanted = [row.reduction for row in rows if row is not None]
        found = dict(zip(wanted, self._source.get_many(wanted), strict=True)) if wanted else {}
        missed: list[Job] = []
        for job, row in zip(asking, rows, strict=True):
            if row is not None:
                try:
                    self._replay(job, row, found.get(row.reduction))
                except RemoteFileError as error:
                    self._unknowable(job, error)
            elif job.handled and not job.options.get("retries"):  # else its failures are said to pass
                missed.append(job)
            else:
                self._unknown(job)
        if missed:
            self._handled(missed)
        self._looks.forget()  # they may be long
        for job in deferred:
            try:
                self._settled(job)
            except RemoteFileError as error:
                self._unknowable(job, error)

    def stop(self) -> None:
        """Sees to it that nothing that comes from elsewhere is waited for. Any thread may ask for that."""
        if self._elsewhere is not None:
            self._elsewhere.stop()

    def _from_elsewhere(
        self, elsewhere: Elsewhere, jobs: list[Job], rows: list[MemoRow | None]
    ) -> list[MemoRow | None]:
        """Returns the rows of jobs, those that another store had among them; these jobs say so in the history."""
        missed = [job.key for job, row in zip(jobs, rows, strict=True) if row is None and job.key is not None]
        found = elsewhere.find(missed)
        if not found:
            return rows
        for job in jobs:
            if job.key in found:
                job.remote = elsewhere.name
        return self._source.lookup([job.key for job in jobs if job.key is not None])

    def _unknowable(self, job: Job, error: RemoteFileError) -> None:
        """Fails a job of whose files nothing is to be told just now: to run it could be wrong, and to reuse its result,
        too."""
        self._evaluator.raised(job, Failure(error, trace_of(error), job))

    def _unknown(self, job: Job) -> None:
        compared = self._comparer.compare(job.task.fullname, job.prepared.digest, job.args, job.ids)
        job.compared = compared.call
        self._evaluator.miss(job, compared.why)

    def _handled(self, jobs: list[Job]) -> None:
        """Answers jobs whose failure somebody handles with the error that their bodies raised before, if they did."""
        fmt = self._evaluator.encoder.format
        rows = self._source.lookup([error_key(fmt, job.key) for job in jobs if job.key is not None])
        for job, row in zip(jobs, rows, strict=True):
            try:
                if row is None or not any(self._fails_again(job, remembered) for remembered in row.calls):
                    self._unknown(job)
            except RemoteFileError as error:
                self._unknowable(job, error)

    def _fails_again(self, job: Job, remembered: MemoCall) -> bool:
        """Fails the job with a recorded error, if that holds and is one that is handled."""
        if (
            self._verifier.holds(
                remembered.head, remembered.seq, finished=self.finished, shallow=False, context=self._context(job)
            )
            is None
        ):
            return False
        try:
            record = CallRecord.parse(bytes(self._fetch(remembered.call)[1]))
            if (record.task, record.args, record.outcome) != (job.prepared.digest, tuple(job.ids), Outcome.RAISED):
                return False
            assert record.result is not None
            told = Encoded(bytes(self._fetch(record.result)[1]))
            told.digest = record.result
            error = Decoder(self._fetch).decode(told.payload)
        except (CodecError, NotFound):
            return False
        if not isinstance(error, job.handled):
            return False
        job.call = remembered.call
        self._evaluator.failed_before(job, Failure(error, None, job, told))
        return True

    # -- without the memo ---------------------------------------------------------------------------------------------

    def _settled(self, job: Job) -> bool:
        """Answers jobs that the memo is not to be asked for."""
        for name, arg in zip(job.prepared.names, job.args, strict=False):
            if arg.externals:
                job.handles += tuple(external for external in arg.externals if isinstance(external, Stateful))
                if self._refuses(job, arg):
                    return True
                if name in job.applied:
                    self._trails.met(job, arg.externals)
        if job.leader is not None:
            job.leader = self._evaluator.leader(job)  # another may have taken the lead since
            if self._shares(job, job.leader):
                if job.leader.result is not None:
                    self._trails.met(job, job.leader.result.externals)
                self._evaluator.join(job)
                return True
            self._evaluator.lead(job)
        why = self._off(job)
        if why is Why.NONE:
            return False
        self._source.lookup(())  # the arguments' bytes are compared even so: their ids name what is recorded
        self._evaluator.miss(job, why)
        return True

    def _shares(self, job: Job, leader: Job) -> bool:
        if job.cache_scope != "BACKEND" and not leader.has_run:
            return False
        return leader.result is None or all(external.is_valid() for external in leader.result.externals)

    def _refuses(self, job: Job, arg: Encoded) -> bool:
        """Fails the job where something outside changed since it was named as an argument."""
        stale = self._inputs.stale(arg, self.finished)
        if stale is None:
            return False
        by = self._trails.changed_by(stale)
        error = StaleInput(
            f"{stale.describe()} changed after it was named as an argument of {job.task.fullname}"
            + (f": {by} changed it" if by else ""),
            hint="something writes it that this job does not depend on; pass that task's result as the argument",
        )
        self._evaluator.raised(job, Failure(error, trace_of(error), job))
        return True

    def _off(self, job: Job) -> Why:
        if not job.prepared.cacheable:
            return Why.UNKNOWN_CODE
        if job.cache_scope != "BACKEND":
            return Why.OFF_TASK
        return Why.NONE if self._read else Why.OFF_RUN

    # -- from the memo ------------------------------------------------------------------------------------------------

    def _replay(self, job: Job, row: MemoRow, found: tuple[str, Any] | None) -> None:
        if self._looks.changed:
            self._looks.forget()
        shallow = job.options.get("check_valid") == "shallow"
        allowed = allowed_results(job.options) if "allowed_cache_results" in job.options else None
        # the inner jobs of a whole replay take the numbers after its own, which those of lazy defaults have by now
        if row.is_expr and (self._whole or shallow) and not job.extras and (allowed is None or "ULTIMATE" in allowed):
            for remembered in row.calls:
                if self._replay_whole(job, remembered, shallow):
                    return
        job.compared = row.calls[0].call if row.calls else None
        if allowed is not None and not allowed & {"SINGLE", "ULTIMATE"} - ({"ULTIMATE"} if row.is_expr else set()):
            self._reject(job, Why.OFF_TASK)
            return
        if found is None:
            self._reject(job, Why.MISSING)
            return
        kind, payload = found
        if kind != ("expr" if row.is_expr else "value") or not self._is_call_of(job, row):
            self._reject(job, Why.MISSING)
            return
        try:
            try:
                reduction = self._reduction(row, payload)
            except CannotDecode:
                if not self._import_covered(job):
                    raise
                reduction = self._reduction(row, payload)
        except NotFound:
            self._reject(job, Why.MISSING)
            return
        except CodecError:
            self._reject(job, Why.UNDECODABLE)
            return
        if reduction.externals:
            if job.options.get("archive") == "restore" and self.brings_back and kind == "value":
                self._bring_back(reduction, payload)
            job.stale = self._stale(reduction.externals)
            if job.stale:
                self._reject(job, Why.EXTERNAL)
                return
            self._trails.met(job, reduction.externals, self._wrote(row))
        job.remembered = row.calls
        job.compared = None
        self._evaluator.hit(job, reduction)

    def _wrote(self, row: MemoRow) -> frozenset[Digest]:
        """The values outside that the body made when it ran."""
        node = self._verifier.node(row.calls[0].head) if row.calls else None
        return frozenset(node.own[: node.made]) if node is not None and node.made else _NOTHING

    def _bring_back(self, reduction: Reduction, payload: Any) -> None:
        if not all(external.is_valid() for external in reduction.externals):
            from redun.executor.bringing_back import bring_all_back  # hardly any task asks for it

            bring_all_back(self._evaluator.encoder.format, self._fetch, bytes(payload))
            self.finished += 1  # what was found of files may not be so any more
            self._looks.forget()

    def _stale(self, externals: Sequence[External]) -> tuple[tuple[Digest, Digest | None], ...]:
        """The first of these that are not as they were: the value of each, and that of the same thing as it is now."""
        value, looks = self._evaluator.encoder.value, self._looks
        found: dict[Digest, Digest | None] = {}
        for external in externals:
            if len(found) == limits.STALE_NAMED:
                break
            if looks.has_changed(external):
                before = value(external)
                looks.renew(external)
                try:
                    found[before] = value(external)
                except CannotEncode:  # it is there and cannot be read
                    found[before] = None
        return tuple(found.items())

    def _reduction(self, row: MemoRow, payload: Any) -> Reduction:
        """Raises CodecError where it cannot be decoded."""
        if not row.is_expr:
            return self._value(row.reduction, payload)
        reduction = self._expression(payload)
        reduction.digest = row.reduction
        return reduction

    def _import_covered(self, job: Job) -> bool:
        """Imports what only the body of a task would import, where its code names that: it may have returned instances
        of classes from there. Returns whether there was anything that had not been tried."""
        modules = {name.partition(":")[0] for name in job.prepared.covers} - self._tried
        self._tried |= modules
        missing = sorted(modules - sys.modules.keys())
        for name in missing:
            with suppress(Exception):  # the body will meet it, too
                importlib.import_module(name)
        if missing:
            self._looks.forget()
        return bool(missing)

    def _reject(self, job: Job, why: Why) -> None:
        """The body is to run although the memo has an answer: nothing of that answer stays with the job."""
        job.call = None
        if job.remote:
            job.remote = ""
        self._evaluator.miss(job, why, caused=True)

    def _replay_whole(self, job: Job, remembered: MemoCall, shallow: bool) -> bool:
        """Answers with the ultimate result of a recorded call, if its footprint holds."""
        head = self._verifier.holds(
            remembered.head, remembered.seq, finished=self.finished, shallow=shallow, context=self._context(job)
        )
        if head is None:
            return False
        try:
            answer = call_result(self._fetch(remembered.call)[1], job.prepared.digest, job.ids)
            if answer is None:
                return False
            result = self._value(answer, self._fetch(answer)[1])
            tally = self._tally(job, remembered.call, head)
        except (CodecError, NotFound):
            return False
        if not all(external.is_valid() or self._is_past(external, head) for external in result.externals):
            return False
        job.call, job.head, job.context_reads = remembered.call, remembered.head, head.context
        if head.ext is not None:
            self._trails.replayed(job)
        self._evaluator.hit(job, result, How.WHOLE)
        self._evaluator.counted(job, tally)
        return True

    def _is_past(self, external: External, head: HeadRecord) -> bool:
        """Whether the subtree itself has brought a thing that its result names to another state since."""
        node = None if head.ext is None else self._verifier.part(head.ext)
        return isinstance(node, ExtRecord) and self._evaluator.encoder.value(external) in node.past

    def _context(self, job: Job) -> Callable[[str], Digest | None]:
        encoder = self._evaluator.encoder
        return lambda path: job.context.id_at(path, encoder)

    def _tally(self, job: Job, call: Digest, head: HeadRecord) -> dict[str, int]:
        """Jobs by task inside a call, itself included: as kept, or by walking it."""
        tasks = {task: name for name, task, _ in self._verifier.task_set(head.tasks).tasks}
        names = sorted(set(tasks.values()))
        kept = self._source.tally(call)
        if kept is not None and len(kept) == len(names):
            return {name: number for name, number in zip(names, kept, strict=True) if number}
        job.walked = True
        tally = {job.task.fullname: 1}
        for _, inner in inner_calls(call, self._children):
            name = tasks.get(CallRecord.parse(bytes(self._fetch(inner)[1])).task, "?")
            tally[name] = tally.get(name, 0) + 1
        return tally

    def _children(self, call: Digest) -> tuple[Digest | None, ...]:
        return made_by(CallRecord.parse(bytes(self._fetch(call)[1])))

    def _is_call_of(self, job: Job, row: MemoRow) -> bool:
        """Whether the remembered call is of this task and these arguments: a key alone is a claim."""
        if not row.calls:
            return self._is_step_of(job, row)
        if not row.is_expr:
            payload = leaf_call(job.prepared.digest, job.ids, row.reduction)
            call = object_id(self._evaluator.encoder.format, "call", payload)
            if call == row.calls[0].call or any(call == remembered.call for remembered in row.calls):
                job.call = call
                return True
        found = self._source.get_many([row.calls[0].call])[0]
        if found is None:
            return True  # history may have been pruned; the reduction is still there
        record = CallRecord.parse(bytes(found[1]))
        if not row.is_expr and record.result != row.reduction:
            return False
        return record.task == job.prepared.digest and list(record.args) == list(job.ids)

    def _is_step_of(self, job: Job, row: MemoRow) -> bool:
        """Whether a step without a call, of a run that did not come to its end, is of this task and these arguments:
        then the store has the partial call that was recorded with it."""
        call = CallRecord(job.prepared.digest, tuple(job.ids), row.reduction, Outcome.PARTIAL, None).payload()
        found = self._source.get_many([object_id(self._evaluator.encoder.format, "call", call)])[0]
        return found is not None and found[1] == call

    def _value(self, digest: Digest, payload: Any) -> Reduction:
        payload = bytes(payload)
        if _LEAF[payload[0]]:
            encoded = Encoded(payload, unpack(payload), True)
            encoded.digest = digest
            return Reduction(encoded, [], b"")
        encoded = Encoded(payload)
        encoded.digest = digest
        decoder = Decoder(self._fetch)
        decoder.decode(payload)
        encoded.externals, encoded.code = tuple(decoder.externals), tuple(dict.fromkeys(decoder.code))
        encoded.inspected = True
        reduction = Reduction(encoded, [], b"")
        reduction.externals, reduction.code = encoded.externals, encoded.code
        return reduction

    def _expression(self, payload: Any) -> Reduction:
        """Raises CodecError where a task of the reduction is gone or a value in it cannot be decoded."""
        reduction = read_reduction(bytes(payload))
        externals: list[External] = []
        code: list[Any] = []
        checked: set[tuple[str, Digest | None]] = set()
        for node in reduction.nodes:
            if node.op in (CALL, CONTROL) and (node.name, node.pinned) not in checked:
                self._check_task(node)
                checked.add((node.name, node.pinned))
            for arg in (*node.args, *node.kwargs.values()) if node.kwargs else node.args:
                if type(arg) is not int and not arg.plain:  # type: ignore[union-attr]  # no number: Encoded
                    self._inspect(arg, externals, code)  # type: ignore[arg-type]
        if type(reduction.root) is not int and not reduction.root.inspected:  # type: ignore[union-attr]
            self._inspect(reduction.root, externals, code)  # type: ignore[arg-type]
        reduction.externals = tuple(externals)
        reduction.code = tuple(dict.fromkeys(code))
        return reduction

    def _check_task(self, node: Node) -> None:
        task = registry.get(node.name)
        if task is None:
            raise CodecError(f"task {node.name} is not registered any more")
        if isinstance(task, SchedulerTask) != (node.op == CONTROL):
            raise CodecError(f"task {node.name} has become another kind of task")
        if node.pinned is not None and self._evaluator.fingerprints.prepare(task).digest != node.pinned:
            raise CodecError(f"task {node.name} was made by a body and is not registered with that code")

    def _inspect(self, arg: Encoded, externals: list[External], code: list[Any]) -> None:
        decoder = Decoder(self._fetch, lambda number: number)
        decoder.decode(self._evaluator.payload(arg))
        arg.externals, arg.code, arg.inspected = tuple(decoder.externals), tuple(dict.fromkeys(decoder.code)), True
        externals += decoder.externals
        code += decoder.code


def leaf_call(task: Digest, args: Sequence[Digest], result: Digest) -> bytes:
    """Returns the payload of the call of a body that returned a plain value, joined by hand: every job makes one."""
    head = POINTER_HEADS[len(task)]
    count = len(args)
    return b"".join(
        (
            b"\x98\x01",
            head,
            task,
            _COUNTS[count] if count < 16 else array_header(count),
            head if args else b"",
            head.join(args),
            b"\xc0\x00",
            head,
            result,
            b"\x90\x90",
        )
    )
