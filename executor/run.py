"""One execution: the thin loop around the evaluator.

Drain what the pool has finished, feed the evaluator, carry out its commands, write what is due. It holds all that the
evaluator may not: the clock, the pool, the store. A commit happens when 1,000 jobs have ended or 50 ms after the first
that was not written, never once a job.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from redun.core import limits
from redun.core.call_options import check_call_options
from redun.core.context import EMPTY, Context
from redun.core.errors import UNWRITABLE, RedunError, RunError, UnknownExecutor
from redun.core.files.memo import STATS
from redun.core.job_info import JobInfo
from redun.core.keys import spread
from redun.core.objects import How, Status, TaskCount, job_id
from redun.core.values import Encoder
from redun.executor.accepted import accepted
from redun.executor.attempts import Attempts
from redun.executor.collector import calm_collector, look
from redun.executor.compare import Comparer
from redun.executor.dispatch import ASYNC, Dispatcher
from redun.executor.evaluator import Evaluator
from redun.executor.failures import trace_of
from redun.executor.fingerprints import REBOUND, Fingerprints
from redun.executor.handles import HandleStates
from redun.executor.hearing import Hearing
from redun.executor.inputs import Inputs
from redun.executor.jobs import Failure, Job
from redun.executor.memoize import Elsewhere, Memoizer
from redun.executor.observer import Execution, Observer
from redun.executor.pending import Pending
from redun.executor.pools.choice import Pools
from redun.executor.pools.contract import Answer, Reply, Told, Work
from redun.executor.recorder import Recorder
from redun.executor.states import State
from redun.executor.stopping import stop_requests
from redun.executor.tagging import write_tags
from redun.executor.telling import Teller
from redun.executor.trails import Trails
from redun.executor.verify import Verifier
from redun.store import Batch, LiveRun, RunUpdate, Store

if TYPE_CHECKING:
    from redun.executor.pools.coroutines import CoroutinePool
    from redun.executor.pools.crossing import Crossing, FarWork

#: Jobs asked for at a time: small enough that a pool is busy early, large enough to make one transaction worth it.
_ASK: Final = 1000
_PROGRESS_SECONDS: Final = 0.25
#: Jobs that have not ended which a commit shows; there may be as many as a recursion is deep.
_SHOWN: Final = 64
#: Jobs in these states were told of and may have children in the history.
_BEGUN: Final = frozenset({State.JOINED, State.RUNNING, State.REDUCING})
#: How long a run that is asked to stop waits for bodies that are running.
_GRACE_SECONDS: Final = 1.0


class Run:
    """Runs one expression against one store."""

    def __init__(
        self,
        store: Store,
        live: LiveRun,
        pools: Pools,
        *,
        read_cache: bool,
        whole: bool,
        observer: Observer | None,
        tags: Sequence[tuple[str, str]] = (),
        keep_going: bool = False,
        context: Context = EMPTY,
        capacities: Mapping[str, int] | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._store = store
        self._tags, self._keep_going = tags, keep_going
        self._context = context
        self._live = live
        self._pools = pools
        self._observer = observer
        encoder = Encoder(store.format)
        self._pending = Pending(store, encoder)
        fingerprints = Fingerprints(store.format, accepted(store))
        self._evaluator = Evaluator(encoder, self._pending.fetch, fingerprints)
        self._verifier = Verifier(fingerprints, self._pending.fetch, self._pending.get_many, store.superseded)
        self._trails = Trails(encoder, self._verifier.found, live.uuid)
        self._inputs = Inputs(encoder, self._warn)
        self._memoizer = Memoizer(
            self._evaluator,
            self._pending,
            self._verifier,
            Comparer(store),
            self._trails,
            self._inputs,
            fetch=self._pending.fetch,
            read=read_cache,
            whole=whole,
            elsewhere=elsewhere,
        )
        self._recorder = Recorder(self._evaluator, self._verifier, self._trails, live.uuid)
        self._teller = Teller(observer, store, live.uuid, self._pending.fetch, self._evaluator.payload)
        self._dispatcher = Dispatcher(pools.near, self._work, near="threads" if pools.elsewhere else "default")
        self._attempts = Attempts(
            self._evaluator,
            self._dispatcher,
            self._recorder,
            observer,
            capacities=capacities or {},
            now=self._now,
            owe=self._owe,
        )
        self._hearing = Hearing(self._teller, self._attempts, pools.outbox)
        self._chooses = pools.elsewhere or pools.has_options
        self._handles = HandleStates(store)
        self._crossings: list[Crossing] = []
        self._coroutines: CoroutinePool | None = None
        self._stopping, self._unwritten, self._deadline, self._shown = False, 0, 0.0, 0.0
        #: Difference between the clock of the history (µs since the epoch) and the performance counter (ns).
        self._start_ns = time.perf_counter_ns()

    # -- the loop -----------------------------------------------------------------------------------------------------

    def execute(self, expression: Any) -> Execution:
        """Evaluates the expression and returns how that went; everything that finished is stored when it returns.

        Raises:
            StoreError: if the store cannot be written; then the run has failed, whatever its jobs did.
        """
        if self._observer is not None:
            self._observer.started(format_uuid(self._live.uuid))
        statuses = STATS.backed_by(self._store.stat_memo_get, self._store.stat_memo_get_many)
        handles = self._handles.current()
        with stop_requests(self.stop), calm_collector(), statuses, closing(self._pending), handles:
            try:
                self._evaluator.submit(expression, settles=self._keep_going, context=self._context)
            except UNWRITABLE:
                raise
            except RedunError as error:  # it cannot be stored, or a default of its task cannot
                return self._seal(Failure(error, trace_of(error)))
            self._loop()
            if self._stopping:
                self._wind_down()
            return self._seal(self._evaluator.root.failure if self._evaluator.root is not None else None)

    def stop(self) -> None:
        """Asks the run to stop: nothing new starts, and what has finished is recorded. Any thread may ask."""
        self._stopping = True
        self._memoizer.stop()
        self._pools.wake()
        timer = threading.Timer(
            _GRACE_SECONDS, self._pools.near.interrupt
        )  # a body that was tiny so far may not be any more
        timer.daemon = True
        timer.start()

    def _loop(self) -> None:
        evaluator, dispatcher, attempts = self._evaluator, self._dispatcher, self._attempts
        timers = attempts.live
        while not self._stopping:
            if timers and attempts.patience() <= 0.0:
                self._tend()
            evaluator.advance()
            self._tell()
            if evaluator.runs:  # async jobs whose awaited values are others now
                self._queue_all()
            if evaluator.asks and not evaluator.failed:
                self._answer()
                continue
            self._record()
            if evaluator.failed:
                dispatcher.halt()
            else:
                reply = dispatcher.run_alone()
                if reply is not None:
                    self._digest(reply)
                    continue
                dispatcher.send()
            if dispatcher.messages or (timers and attempts.to_come):
                self._collect()
            elif not evaluator.failed and not dispatcher.waiting:
                if evaluator.root is None or evaluator.root.state in (State.DONE, State.FAILED):
                    return
                stuck = evaluator.stuck()
                root = evaluator.root
                evaluator.raised(root, Failure(stuck or RuntimeError("the evaluation is stuck"), None, root))
            elif evaluator.failed:
                return

    def _answer(self) -> None:
        asks = self._evaluator.asks
        batch = asks[:_ASK]
        del asks[:_ASK]
        now = self._now()
        for job in batch:
            job.started = job.stopped = now
        self._memoizer.answer(batch)
        if self._handles.active:
            for job in batch:
                self._handles.answered(job, self._verifier.inside)
        self._queue_all()
        if self._teller.tells:
            for job in batch:
                if job.how is not How.RAN and not _may_run(job):
                    self._teller.job("Cached", job)
                if job.how is How.WHOLE:
                    self._teller.inner(job)

    def _queue_all(self) -> None:
        for job in self._evaluator.runs:
            self._queue(job)
        self._evaluator.runs.clear()

    def _queue(self, job: Job) -> None:
        try:
            if job.task.is_coroutine:
                self._choose_async(job)
            elif self._chooses or (job.options and ("executor" in job.options or "mode" in job.options)):
                self._choose(job)
            if job.task.informed:
                self._inform(job)
            if job.options and not self._attempts.admits(job):
                return
        except UNWRITABLE:
            raise
        except Exception as error:  # noqa: BLE001  a factory of the user's may raise anything
            self._evaluator.raised(job, Failure(error, trace_of(error), job))
            return
        self._dispatcher.add(job)

    def _inform(self, job: Job) -> None:
        """Gives a job the facts that its body asks for."""
        fmt = self._store.format
        info = JobInfo(
            format_uuid(self._live.uuid),
            job_id(fmt.hash, self._live.uuid, job.number).hex(),
            (job.key or b"").hex(),
            fmt.hash(b"".join(job.ids)).hex(),
        )
        told = set(job.task.informed).intersection(job.applied)
        pairs = zip(job.prepared.names, job.args, strict=True)
        job.args = [self._evaluator.encoder.encode(info) if name in told else arg for name, arg in pairs]

    def _choose(self, job: Job) -> None:
        """Finds the pool that the job's options name, and makes it where no job has wanted it before.

        Raises:
            UnknownExecutor: if there is none.
            TaskError: if the executor gives it an option that means nothing.
            Exception: whatever its factory raises.
        """
        try:
            name = self._pools.name(job.options)
        except UnknownExecutor as error:
            raise UnknownExecutor(f"task {job.task.fullname}: {error.message}", hint=error.hint) from None
        defaults = self._pools.options(name)
        if defaults:
            check_call_options(job.task.fullname, defaults)
            job.options = {**defaults, **job.options}
        if not self._dispatcher.has(name):
            far = self._pools.is_far(name)
            pool = self._pools.open(name, self._cross)
            self._dispatcher.open(name, pool, partial(self._far, self._crossings[-1]) if far else self._work, far=far)
        job.executor = name

    def _choose_async(self, job: Job) -> None:
        """Makes a job one for the event loop, which belongs to this process.

        Raises:
            RunError: if its options name another executor.
        """
        wanted = job.options.get("executor") or job.options.get("mode", "default")
        if wanted not in ("default", "threads", "thread"):
            raise RunError(
                f"task {job.task.fullname} is async, and executor {wanted!r} runs no such",
                hint="await in a task of its own, and leave the work to tasks that are not async",
            )
        if self._coroutines is None:
            self._coroutines = self._pools.open_async(self._evaluator.awaited)
            self._dispatcher.open(ASYNC, self._coroutines, self._work, far=False)
        job.executor = ASYNC

    def _tell(self) -> None:
        """Gives async bodies what they awaited."""
        told = self._evaluator.told
        if told and self._coroutines is not None:
            for future, value, error in told:
                self._coroutines.tell(future, value, error)
            told.clear()

    def _cross(self, reads_store: bool, spool: str) -> Crossing:
        # Here and not at the top: most runs have threads only.
        from redun.executor.pools.crossing import Crossing

        self._crossings.append(Crossing(self._evaluator, self._pending, self._teller.said, reads_store, spool))
        return self._crossings[-1]

    # -- the pool -----------------------------------------------------------------------------------------------------

    def _work(self, job: Job) -> Work | None:
        """Returns what a pool needs to run the job; None where an argument cannot be decoded, which fails it."""
        evaluator = self._evaluator
        try:
            values = [arg.obj if arg.plain else evaluator.value(arg) for arg in job.args]
        except Exception as error:  # noqa: BLE001  decoding may run the user's own __setstate__
            self._refuse(job, error)
            return None
        self._begin(job)
        if job.attended:
            return self._hearing.work(job, values)
        if job.prepared.simple >= 0:
            return Work(job, job.task.func, values, {})
        return Work(job, job.task.func, *spread(job.task, values))

    def _far(self, crossing: Crossing, job: Job) -> FarWork | None:
        """Returns what a far pool needs to run the job; None where its arguments are missing, which fails it."""
        try:
            work = crossing.work(job)
        except UNWRITABLE:
            raise
        except RedunError as error:
            self._refuse(job, error)
            return None
        self._begin(job)
        return work

    def _refuse(self, job: Job, error: Exception) -> None:
        """Fails a job whose body cannot begin."""
        if job.options:
            self._attempts.ended(job)
        self._evaluator.raised(job, Failure(error, trace_of(error), job))

    def _begin(self, job: Job) -> None:
        if job.handles:
            self._handles.before(job)
            self._memoizer.finished += 1  # what was looked at before may not hold any more
        self._evaluator.started(job)
        job.started = self._now()
        job.stopped = -1
        if not self._dispatcher.is_tiny(job):
            self._owe(1)  # a body that lasts is seen while it runs, also by whoever looks after a crash
        if self._teller.tells:
            self._teller.job("Run", job)

    def _tend(self) -> None:
        """Does what is due by now. What has come in meanwhile is heard first: it may be what somebody waits for."""
        while (reply := self._pools.take(0.0)) is not None:
            self._digest(reply)
        self._attempts.tend()

    def _collect(self) -> None:
        timeout = max(self._deadline - time.monotonic(), 0.0) if self._unwritten else _PROGRESS_SECONDS
        if self._attempts.live:
            timeout = min(timeout, self._attempts.patience())
        reply = self._pools.take(timeout)
        if reply is not None:
            self._digest(reply)
        self._tick()

    def _digest(self, reply: Reply) -> None:
        answers, left = reply
        for answer in answers:
            self._feed(answer)
        for work in left:
            job = self._dispatcher.returned(work)
            if job is not None:
                if job.options:
                    self._attempts.ended(job)
                self._evaluator.requeued(job)

    def _feed(self, answer: Answer) -> None:
        if self._stopping and isinstance(answer.value, KeyboardInterrupt):
            return  # it was cut short, and is recorded with what runs still
        job = self._dispatcher.done(answer)
        if job is None:
            return  # it was cancelled
        self._memoizer.finished += 1
        job.started = (answer.started - self._start_ns) // 1000
        job.stopped = (answer.stopped - self._start_ns) // 1000
        if answer.nested:
            job.unkept = "its body ran expressions itself"
        if answer.attempts > 1:
            job.attempts += answer.attempts - 1
        if answer.unkept:
            job.unkept = answer.unkept
        elif self._evaluator.fingerprints.have_moved(job.task, coded=job.coded):
            job.unkept = REBOUND
        if job.options:
            self._attempts.ended(job)
        if answer.ok:
            self._evaluator.returned(job, answer.value)
            if job.reduction is not None and job.reduction.externals:
                self._handles.returned(job)
                self._trails.returned(job, answer.started, answer.stopped)
            self._inputs.ended(job)
            return
        self._inputs.ended(job)
        failure = _failure_of(answer.value, job)
        if not (job.options and self._attempts.again(job, failure)):
            self._evaluator.raised(job, failure)

    def _warn(self, message: str) -> None:
        if self._observer is not None:
            self._observer.warned(message)

    # -- records ------------------------------------------------------------------------------------------------------

    def _record(self, *, all_of_it: bool = False) -> None:
        if not self._inputs.settle(at_once=all_of_it):
            return
        evaluator, recorder = self._evaluator, self._recorder
        now = self._now()
        self._owe(len(evaluator.reduced) + len(evaluator.ended))
        for job in evaluator.reduced:
            recorder.reduced(job)
        evaluator.reduced.clear()
        for job in evaluator.ended:
            if job.reduction is not None and job.reduction.nodes:
                job.stopped = now  # a job ends when all it called has ended
            recorder.ended(job)
            if self._teller.tells and _may_run(job):
                self._teller.job("Cached", job)
            if job.state is State.DONE:
                job.slim()
            elif self._teller.tells and job.state is State.FAILED:
                self._teller.job("Reject", job)
        evaluator.ended.clear()
        if self._unwritten >= limits.COMMIT_ROWS or (self._unwritten and time.monotonic() >= self._deadline):
            self._commit()

    def _owe(self, rows: int) -> None:
        """Notes that rows wait to be written; the first one sets the time by which they are."""
        if rows and not self._unwritten:
            self._deadline = time.monotonic() + limits.COMMIT_SECONDS
        self._unwritten += rows

    def _tick(self) -> None:
        if self._unwritten and time.monotonic() >= self._deadline:
            self._commit()
        now = time.monotonic()
        if self._observer is not None and now - self._shown > _PROGRESS_SECONDS:
            self._shown = now
            self._observer.progress(self._counts())

    def _commit(self) -> None:
        self._pending.write(self._batch(self._update()))
        self._handles.flush()
        self._unwritten = 0
        look(time.monotonic())

    def _update(self) -> RunUpdate:
        recorder = self._recorder
        lasting = (job for job in self._dispatcher.in_flight if not self._dispatcher.is_tiny(job))
        running = recorder.unfinished(islice(chain(self._evaluator.reducing, lasting), _SHOWN), Status.RUNNING)
        root = self._evaluator.root
        return RunUpdate(
            uuid=self._live.uuid,
            pages=list(recorder.pages),
            tail=tuple(recorder.rows),
            running=running,
            root=None if root is None else root.call or root.partial,
            rows=self._evaluator.rows,
            counts=tuple(self._counts()),
            sources=tuple(sorted(recorder.sources.items())),
        )

    def _batch(self, update: RunUpdate | None) -> Batch:
        self._pending.settle()
        recorder = self._recorder
        pending = self._pending
        memo = list(recorder.memo.values())
        batch = Batch(pending.objects, memo, update, STATS.fresh, recorder.tallies.fresh, pending.blobs)
        pending.objects = {}
        pending.blobs = {}
        self._recorder.memo = {}
        recorder.tallies.fresh = {}
        self._verifier.forget()
        STATS.fresh = {}
        return batch

    def _wind_down(self) -> None:
        """Waits a moment for bodies that are about to end; a thread cannot be stopped from outside."""
        self._dispatcher.halt()
        end = time.monotonic() + _GRACE_SECONDS
        while self._dispatcher.messages and time.monotonic() < end:
            reply = self._pools.take(end - time.monotonic())
            if reply is not None:
                self._digest(reply)
            self._evaluator.advance()
        in_flight = self._dispatcher.in_flight
        for job in self._evaluator.unfinished():
            if job not in in_flight and job.state is not State.REDUCING and job.number >= 0:
                self._evaluator.cancel(job)

    def _seal(self, failure: Failure | None) -> Execution:
        evaluator, recorder = self._evaluator, self._recorder
        evaluator.advance()
        self._record(all_of_it=True)
        root, value = evaluator.root, None
        if root is not None and root.state is State.DONE and not self._stopping:
            try:
                value = evaluator.value(root.result)
            except Exception as error:  # noqa: BLE001  decoding may run the user's own __setstate__
                failure = Failure(error, trace_of(error), root)
        status = Status.INTERRUPTED if self._stopping else Status.FAILED if failure else Status.DONE
        trace = None if failure is None else recorder.trace(failure)
        counts = self._counts()
        cut_off = Status.INTERRUPTED if self._stopping else Status.CANCELLED
        tail = (*recorder.rows, *recorder.unfinished(self._unfinished(), cut_off))
        self._pending.finish()
        self._handles.flush()
        digest = self._live.seal(
            self._batch(None),
            root=None if root is None else root.call or root.partial,
            status=status,
            rows=evaluator.rows,
            counts=counts,
            sources=sorted(recorder.sources.items()),
            trace=trace,
            tail=tail,
            pages=recorder.pages,
            tags=self._all_tags(),
        )
        if evaluator.tagged or recorder.tagged:
            write_tags(self._store, self._live.uuid, evaluator.tagged, recorder.tagged)
        execution = Execution(
            uuid=format_uuid(self._live.uuid),
            status=status,
            value=value,
            error=KeyboardInterrupt() if self._stopping else failure.error if failure else None,
            trace=failure.trace if failure else None,
            counts=counts,
            duration=self._now() / 1e6,
            digest=digest,
            failed=self._teller.lineage(failure),
        )
        for warning in self._trails.warnings():
            self._warn(warning)
        if self._observer is not None:
            self._teller.end()
            self._observer.finished(execution)
        return execution

    def _all_tags(self) -> Sequence[tuple[str, str]]:
        """The tags of the execution, with those that it was given on the way."""
        given = [pair for _, _, wanted in self._evaluator.tagged for pair in wanted.execution]
        return sorted({*self._tags, *given}) if given else self._tags

    def _unfinished(self) -> list[Job]:
        """The jobs that have begun and not ended: none but after a failure elsewhere or a request to stop."""
        return [job for job in self._evaluator.unfinished() if job.state in _BEGUN]

    def _now(self) -> int:
        """Microseconds since the run began."""
        return (time.perf_counter_ns() - self._start_ns) // 1000

    def _counts(self) -> list[TaskCount]:
        return [TaskCount(name, *row) for name, row in sorted(self._evaluator.counts.items())]


def _may_run(job: Job) -> bool:
    """Whether the job was answered with what its body awaited last time: until that has come out alike, it may run."""
    return job.task.is_coroutine and job.how is How.STEP


def _failure_of(raised: Any, job: Job) -> Failure:
    if type(raised) is Told:
        return Failure(raised.error, raised.traces[0], job, raised.value, raised.traces)
    return Failure(raised, trace_of(raised), job)


def format_uuid(uuid: bytes) -> str:
    """Returns a uuid as people know it, with dashes."""
    text = uuid.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
