"""One execution: the thin loop around the evaluator.

Drain what the pool has finished, feed the evaluator, carry out its commands, write what is due. It holds all that the
evaluator may not: the clock, the pool, the store. A commit happens when 1,000 jobs have ended or 50 ms after the first
that was not written, never once a job.
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from redun.core import limits
from redun.core.decoding import Decoder
from redun.core.errors import UnknownExecutor
from redun.core.files import STATS
from redun.core.keys import call_key, spread
from redun.core.objects import CallRecord, How, Status, TaskCount, TaskRecord, job_id
from redun.core.replays import inner_calls
from redun.core.values import Encoder
from redun.executor.accepted import accepted
from redun.executor.collector import calm_collector
from redun.executor.compare import Comparer
from redun.executor.evaluator import Evaluator
from redun.executor.failures import trace_of
from redun.executor.fingerprints import Fingerprints
from redun.executor.jobs import Failure, Job
from redun.executor.memoize import Memoizer
from redun.executor.observer import Execution, FailedJob, JobEvent, Observer, Unreadable
from redun.executor.pending import Pending
from redun.executor.pools.threads import Answer, Reply, ThreadPool, Work
from redun.executor.recorder import Recorder
from redun.executor.states import State
from redun.executor.stopping import stop_requests
from redun.executor.verify import Verifier
from redun.store import Batch, LiveRun, RunUpdate, Store

if TYPE_CHECKING:
    from redun.executor.reasons import Reason, Reasons

#: Jobs asked for at a time: small enough that a pool is busy early, large enough to make one transaction worth it.
_ASK: Final = 1000
#: A task whose bodies took less than this (ns) is tiny: its jobs travel together.
_TINY_NS: Final = 100_000
_TOGETHER: Final = 200
_PROGRESS_SECONDS: Final = 0.25
#: Jobs that have not ended which a commit shows; there may be as many as a recursion is deep.
_SHOWN: Final = 64
#: How long a run that is asked to stop waits for bodies that are running.
_GRACE_SECONDS: Final = 1.0


class Run:
    """Runs one expression against one store."""

    def __init__(
        self,
        store: Store,
        live: LiveRun,
        pool: ThreadPool,
        *,
        read_cache: bool,
        whole: bool,
        observer: Observer | None,
    ) -> None:
        self._store = store
        self._live = live
        self._pool = pool
        self._observer = observer
        self._tells = observer is not None and observer.wants_jobs
        self._reasons: Reasons | None = None
        encoder = Encoder(store.format)
        self._pending = Pending(store, encoder)
        fingerprints = Fingerprints(store.format, accepted(store))
        self._evaluator = Evaluator(encoder, self._pending.fetch, fingerprints)
        self._verifier = Verifier(fingerprints, self._pending.fetch, store.superseded)
        self._memoizer = Memoizer(
            self._evaluator,
            self._pending,
            self._verifier,
            Comparer(store),
            fetch=self._pending.fetch,
            read=read_cache,
            whole=whole,
        )
        self._recorder = Recorder(self._evaluator, self._verifier, live.uuid)
        self._printed = 0
        self._ready: dict[int, deque[Job]] = {}
        self._ready_count = 0
        self._speed: dict[int, int] = {}
        self._in_flight: dict[Job, None] = {}
        self._unwritten = 0
        self._deadline = 0.0
        self._shown = 0.0
        self._stopping = False
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
        with stop_requests(self.stop), calm_collector(), STATS.backed_by(self._store.stat_memo_get):
            self._evaluator.submit(expression)
            self._loop()
            if self._stopping:
                self._wind_down()
            return self._seal()

    def stop(self) -> None:
        """Asks the run to stop: nothing new starts, and what has finished is recorded. Any thread may ask."""
        self._stopping = True
        self._pool.wake()

    def _loop(self) -> None:
        evaluator = self._evaluator
        while not self._stopping:
            evaluator.advance()
            if evaluator.asks and not evaluator.failed:
                self._answer()
                continue
            self._record()
            if evaluator.failed:
                self._pool.halt()
            elif self._is_alone():
                self._run_alone()
                continue
            else:
                self._submit()
            if self._pool.messages:
                self._collect()
            elif not evaluator.failed and not self._ready_count:
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
        for job in self._evaluator.runs:
            self._queue(job)
        self._evaluator.runs.clear()
        if self._tells:
            for job in batch:
                if job.how is not How.RAN:
                    self._tell("Cached", job)
                if job.how is How.WHOLE:
                    self._tell_inner(job)

    def _queue(self, job: Job) -> None:
        name = job.options.get("executor", "default")
        if name not in ("default", "threads"):
            error = UnknownExecutor(
                f"task {job.task.fullname} wants executor {name!r}", hint="there is `default` so far"
            )
            self._evaluator.raised(job, Failure(error, trace_of(error), job))
            return
        self._ready.setdefault(id(job.task), deque()).append(job)
        self._ready_count += 1

    # -- the pool -----------------------------------------------------------------------------------------------------

    def _submit(self) -> None:
        """Sends what is ready while there are threads for it. A task never seen before goes one by one, so that those
        that sleep run side by side; one that was seen to be tiny goes in handfuls, two at a time: bodies that short
        hold the interpreter all the while, so more threads would only wait for each other."""
        pool = self._pool
        free = pool.threads - pool.messages
        while self._ready_count and free > 0:
            waiting = False
            for task, jobs in list(self._ready.items()):
                if free <= 0:
                    return
                tiny = self._speed.get(task, _TINY_NS) < _TINY_NS
                if tiny and len(self._in_flight) >= 2 * _TOGETHER:
                    continue
                waiting = True
                size = _TOGETHER if tiny else 1
                work: list[Work] = []
                while jobs and len(work) < size:
                    self._ready_count -= 1
                    prepared = self._work(jobs.popleft())
                    if prepared is not None:
                        work.append(prepared)
                if not jobs:
                    del self._ready[task]
                if work:
                    pool.submit(work)
                    free -= 1
            if not waiting:
                return

    def _is_alone(self) -> bool:
        """Whether one tiny job is all there is to do: a link of a chain."""
        if self._ready_count != 1 or self._pool.messages:
            return False
        return all(self._is_tiny(job) for jobs in self._ready.values() for job in jobs)

    def _run_alone(self) -> None:
        (jobs,) = (jobs for jobs in self._ready.values() if jobs)
        self._ready.clear()
        self._ready_count = 0
        work = self._work(jobs.popleft())
        if work is not None:
            self._digest(self._pool.run_here([work]))

    def _is_tiny(self, job: Job) -> bool:
        return self._speed.get(id(job.task), _TINY_NS) < _TINY_NS

    def _work(self, job: Job) -> Work | None:
        evaluator = self._evaluator
        if job.state is not State.QUEUED:
            return None
        try:
            values = [arg.obj if arg.plain else evaluator.value(arg) for arg in job.args]
        except Exception as error:  # noqa: BLE001  decoding may run the user's own __setstate__
            evaluator.raised(job, Failure(error, trace_of(error), job))
            return None
        evaluator.started(job)
        self._in_flight[job] = None
        job.started = self._now()
        job.stopped = -1
        if not self._is_tiny(job):
            self._owe(1)  # a body that lasts is seen while it runs, also by whoever looks after a crash
        if self._tells:
            self._tell("Run", job)
        if job.prepared.simple >= 0:
            return Work(job, job.task.func, values, {})
        args, kwargs = spread(job.task, values)
        return Work(job, job.task.func, args, kwargs)

    def _collect(self) -> None:
        timeout = max(self._deadline - time.monotonic(), 0.0) if self._unwritten else _PROGRESS_SECONDS
        reply = self._pool.take(timeout)
        if reply is not None:
            self._digest(reply)
        self._tick()

    def _digest(self, reply: Reply) -> None:
        answers, left = reply
        for answer in answers:
            self._feed(answer)
        for work in left:
            job: Job = work.tag
            del self._in_flight[job]
            self._ready.setdefault(id(job.task), deque()).appendleft(job)
            self._ready_count += 1
            self._evaluator.requeued(job)

    def _feed(self, answer: Answer) -> None:
        job: Job = answer.tag
        del self._in_flight[job]
        self._memoizer.finished += 1
        self._speed[id(job.task)] = answer.stopped - answer.started
        job.started = (answer.started - self._start_ns) // 1000
        job.stopped = (answer.stopped - self._start_ns) // 1000
        if any(arg.externals for arg in job.args):
            self._check_inputs(job)
        if answer.ok:
            self._evaluator.returned(job, answer.value)
        else:
            self._evaluator.raised(job, Failure(answer.value, trace_of(answer.value), job))

    def _check_inputs(self, job: Job) -> None:
        changed = [e for arg in job.args for e in arg.externals if not e.is_valid()]
        if changed:
            job.unkept = True
            if self._observer is not None:
                self._observer.warned(
                    f"{changed[0].describe()} changed while {job.task.fullname} ran on it: its result is not cached"
                )

    # -- records ------------------------------------------------------------------------------------------------------

    def _record(self) -> None:
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
            if job.state is State.DONE:
                job.slim()
            elif self._tells and job.state is State.FAILED:
                self._tell("Reject", job)
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
        self._unwritten = 0

    def _update(self) -> RunUpdate:
        recorder = self._recorder
        lasting = (job for job in self._in_flight if not self._is_tiny(job))
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
        batch = Batch(pending.objects, memo, update, STATS.fresh, recorder.tallies, pending.blobs)
        pending.objects = {}
        pending.blobs = {}
        self._recorder.memo = {}
        self._recorder.tallies = {}
        self._verifier.forget()
        STATS.fresh = {}
        return batch

    def _wind_down(self) -> None:
        """Waits a moment for bodies that are about to end; a thread cannot be stopped from outside."""
        self._pool.halt()
        end = time.monotonic() + _GRACE_SECONDS
        while self._pool.messages and time.monotonic() < end:
            reply = self._pool.take(end - time.monotonic())
            if reply is not None:
                self._digest(reply)
            self._evaluator.advance()
        for job in self._evaluator.unfinished():
            if job not in self._in_flight and job.state is not State.REDUCING and job.number >= 0:
                self._evaluator.cancel(job)

    def _seal(self) -> Execution:
        evaluator, recorder = self._evaluator, self._recorder
        evaluator.advance()
        self._record()
        root = evaluator.root
        status = Status.INTERRUPTED if self._stopping else Status.FAILED if evaluator.failed else Status.DONE
        failure = root.failure if root is not None else None
        trace = None if failure is None else recorder.trace(failure)
        value = evaluator.value(root.result) if status is Status.DONE and root is not None else None
        counts = self._counts()
        tail = (*recorder.rows, *recorder.unfinished(self._unfinished(), Status.INTERRUPTED))
        self._pending.finish()
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
        )
        execution = Execution(
            uuid=format_uuid(self._live.uuid),
            status=status,
            value=value,
            error=KeyboardInterrupt() if self._stopping else failure.error if failure else None,
            trace=failure.trace if failure else None,
            counts=counts,
            duration=self._now() / 1e6,
            digest=digest,
            failed=self._job_traceback(failure),
        )
        if self._observer is not None:
            self._observer.finished(execution)
        return execution

    def _unfinished(self) -> list[Job]:
        """The jobs whose bodies run or whose children have not ended: none but after a request to stop."""
        return [*self._in_flight, *self._evaluator.reducing] if self._stopping else []

    # -- telling ------------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        """Microseconds since the run began."""
        return (time.perf_counter_ns() - self._start_ns) // 1000

    def _counts(self) -> list[TaskCount]:
        return [TaskCount(name, *row) for name, row in sorted(self._evaluator.counts.items())]

    def _job_id(self, job: Job) -> str:
        return job_id(self._store.format.hash, self._live.uuid, job.number).hex()

    def _arguments(self, job: Job) -> list[tuple[str, Any]]:
        values = [arg.obj if arg.plain else self._readable(self._evaluator.payload(arg)) for arg in job.args]
        return list(zip(job.prepared.names, values, strict=False))

    def _readable(self, payload: bytes) -> Any:
        """Returns a value to be shown, or what reads like it where its class is not imported or will not be made."""
        try:
            return Decoder(self._pending.fetch).decode(payload)
        except Exception:  # noqa: BLE001  decoding may run the user's own __setstate__
            # Here and not at the top: hardly any run needs it.
            from redun.core.display import show

            return Unreadable(show(payload, self._pending.fetch))

    def _tell(self, verb: str, job: Job) -> None:
        if self._observer is not None and job.number >= 0:
            key = job.key.hex() if job.key is not None else ""
            reason = partial(self._reason, job) if verb == "Run" else None
            self._observer.job(
                JobEvent(verb, self._job_id(job), job.task.fullname, self._arguments(job), key, job.executor, reason)
            )

    def _reason(self, job: Job) -> Reason:
        # Here and not at the top: most runs are not asked.
        from redun.executor.reasons import Reasons, miss_of

        if self._reasons is None:
            self._reasons = Reasons(self._pending.fetch, STATS.content)
        return self._reasons.reason(miss_of(job))

    def _tell_inner(self, replay: Job) -> None:
        """Tells of the jobs that a whole replay stands for, the first thousand of a run one by one."""
        if self._observer is None or replay.call is None:
            return
        total = sum(replay.tally.values()) - 1 if replay.tally else 0
        left = min(total, limits.PRINTED_INNER_JOBS - self._printed)
        fetch = self._pending.fetch
        calls = inner_calls(replay.call, lambda call: CallRecord.parse(bytes(fetch(call)[1])).children)
        for number, (_, call) in enumerate(islice(calls, left), replay.number + 1):
            self._printed += 1
            self._observer.job(self._inner_event(number, CallRecord.parse(bytes(fetch(call)[1]))))
        if total > left:
            self._observer.summed(total - left)

    def _inner_event(self, number: int, call: CallRecord) -> JobEvent:
        fetch, fmt = self._pending.fetch, self._store.format
        task = TaskRecord.parse(bytes(fetch(call.task)[1]))
        args = [(name, self._readable(fetch(arg)[1])) for (name, _), arg in zip(task.params, call.args, strict=False)]
        identity = job_id(fmt.hash, self._live.uuid, number).hex()
        return JobEvent("Cached", identity, task.fullname, args, call_key(fmt, call.task, call.args).hex(), "default")

    def _job_traceback(self, failure: Failure | None) -> list[FailedJob]:
        rows: list[FailedJob] = []
        job = failure.origin if failure is not None else None
        while job is not None:
            capture = job.task.capture
            first = capture.text.partition("\n")[0].strip()
            rows.append(
                FailedJob(self._job_id(job), job.task.fullname, capture.file, capture.line, first, self._arguments(job))
            )
            job = job.scope
        return rows[::-1]


def format_uuid(uuid: bytes) -> str:
    """Returns a uuid as people know it, with dashes."""
    text = uuid.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
