"""Attempts: when the body of a job may begin, how long it may take, and whether it is tried again.

What a run does for jobs with `limits`, `timeout` or `retries`; others never come here. Nothing waits in a thread: a job
that waits for a resource or for its next attempt is in a queue, and the loop of the run is told how long it may sleep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from redun.core.errors import JobTimeout, RedunError, RemoteFileError, ScriptError, WorkerLost
from redun.core.steering import STEERING, delay_before, needs_of, retried
from redun.executor.dispatch import ASYNC, Dispatcher
from redun.executor.evaluator import Evaluator
from redun.executor.failures import summary, trace_of
from redun.executor.jobs import Failure, Job
from redun.executor.limits import Limits
from redun.executor.observer import Observer
from redun.executor.recorder import Recorder
from redun.executor.states import State
from redun.executor.timers import Timers


class Attempts:
    """The attempts of one run.

    Args:
        capacities: see `Limits`.
        now: microseconds since the run began.
        owe: is told of rows that are to be written.

    Attributes:
        live: jobs that have a timer; empty where none has.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        dispatcher: Dispatcher,
        recorder: Recorder,
        observer: Observer | None,
        *,
        capacities: Mapping[str, int],
        now: Callable[[], int],
        owe: Callable[[int], None],
    ) -> None:
        self._evaluator = evaluator
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._observer = observer
        self._now = now
        self._owe = owe
        self._limits = Limits(capacities)
        self._timers = Timers()
        self.live = self._timers.live
        #: Jobs whose next attempt has a time.
        self._resting: dict[Job, None] = {}

    # -- when it begins -----------------------------------------------------------------------------------------------

    def admits(self, job: Job) -> bool:
        """Returns whether a job with options may be dispatched; else it is, once it has what it needs.

        Raises:
            LimitTooLarge: if it never will.
        """
        options = job.options
        if "script" in options:
            job.attended = True
        if STEERING.isdisjoint(options):
            return True
        timeout, limits = options.get("timeout"), options.get("limits")
        if timeout is not None:
            job.timeout = float(timeout)
            job.attended = True
        need = needs_of(limits) if limits else ()
        return not need or self._limits.take(job, need)

    def timed(self, job: Job) -> None:
        """The body of a job with a timeout begins, in a pool that does not look at the time itself."""
        assert job.timeout is not None
        self._timers.set(job, job.timeout)

    # -- how it ends --------------------------------------------------------------------------------------------------

    def ended(self, job: Job) -> None:
        """The body of a job with options has ended, or will not be run: what it held is for others."""
        if job.timeout is not None:
            self._timers.clear(job)
        if job.holds:
            for other in self._limits.release(job):
                self._dispatcher.add(other)

    def again(self, job: Job, failure: Failure) -> bool:
        """Returns whether a job whose attempt has failed is tried again; then that attempt is recorded, and the next
        one is under way. A run that fails begins nothing."""
        options = job.options
        times = options.get("retries")
        if not times:
            return False
        if not _is_worth(failure.error, options):
            return False
        if job.retried >= times or self._evaluator.failed or job.abandoned:
            job.unkept = "its failure may pass"
            return False
        self._recorder.attempt(job, failure, self._evaluator.spare_number())
        self._owe(1)
        job.retried += 1
        job.attempts += 1
        self._evaluator.begin_anew(job)
        delay = delay_before(options, job.retried)
        if self._observer is not None:
            tried = f"attempt {job.retried} of {times + 1} of {job.task.fullname} failed: {summary(failure.error)}"
            self._observer.warned(f"{tried}; the next one begins {f'in {delay:g} s' if delay else 'at once'}")
        if delay > 0:
            self._resting[job] = None
            self._timers.set(job, delay)
        else:
            self._dispatch(job)
        return True

    def _dispatch(self, job: Job) -> None:
        if job.state is State.QUEUED and self.admits(job):
            self._dispatcher.add(job)

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def to_come(self) -> bool:
        """Whether an attempt is to come by itself."""
        return bool(self._resting) and not self._evaluator.failed

    def patience(self) -> float:
        """Returns after how many seconds `tend` is to be called; a job has a timer."""
        return self._timers.patience()

    def tend(self) -> None:
        """Does what is due by now."""
        for job in self._timers.due():
            if job in self._resting:
                del self._resting[job]
                self._dispatch(job)
            else:
                self._time_is_up(job)

    def _time_is_up(self, job: Job) -> None:
        stopped = self._dispatcher.cancel(job)
        if stopped and job.executor != ASYNC:  # on a busy machine no thread has come to it: its time has not begun
            self._evaluator.requeued(job)
            self._dispatcher.add(job)
            return
        self.ended(job)
        job.stopped = self._now()
        if stopped:
            fate = "its body was cancelled"
        elif job.task.is_script:
            fate = "its processes were ended"
        else:
            fate = "its thread runs on, and what comes of it is ignored"
        error = JobTimeout(f"{job.task.fullname} ran longer than its timeout of {job.timeout:g} s", hint=fate)
        failure = Failure(error, trace_of(error), job)
        if not self.again(job, failure):
            self._evaluator.raised(job, failure)


def _is_worth(error: BaseException, options: Mapping[str, object]) -> bool:
    """Whether the next attempt may end otherwise; after an error of the engine, where it is one of time or place."""
    if isinstance(error, RedunError) and not isinstance(error, (JobTimeout, RemoteFileError, ScriptError, WorkerLost)):
        return False
    return isinstance(error, retried(options))
