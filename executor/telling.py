"""Telling an observer what happens to jobs, and whoever asks afterwards which jobs a failure went through."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from redun.core import limits
from redun.core.concealed import redacted
from redun.core.decoding import Decoder
from redun.core.digest import Digest
from redun.core.errors import NotFound
from redun.core.forms import short_id
from redun.core.keys import call_key
from redun.core.objects import CallRecord, TaskRecord, job_id
from redun.core.replays import inner_calls, made_by
from redun.core.values import Encoded
from redun.executor.jobs import Failure, Job
from redun.executor.observer import FailedJob, JobEvent, Observer, Unreadable
from redun.executor.resolution import whole_set
from redun.store import Store

if TYPE_CHECKING:
    from redun.executor.live_reasons import LiveReasons
    from redun.executor.reasons import Reason

#: Stored values that are kept for being shown again.
_SHOWN: Final = 64
#: Codes of the adapters of tables and arrays, and the bytes in which one is looked for.
_TABLES: Final = re.compile(rb"(?:numpy\.(?:ndarray|objects|texts)|pandas\.|polars\.|pyarrow\.|torch\.)")
_LOOKED_AT: Final = 4096


#: Modules of tasks that come with redun, such as scripts.
_OURS: Final = "redun."


class Teller:
    """Makes what an observer is told from the jobs of one run.

    Attributes:
        tells: whether somebody wants to be told of jobs; making an event costs some microseconds.
    """

    def __init__(
        self,
        observer: Observer | None,
        store: Store,
        uuid: bytes,
        fetch: Callable[[Digest], tuple[str, Any]],
        payload: Callable[[Encoded], bytes],
    ) -> None:
        self._observer = observer
        self.tells = observer is not None and observer.wants_jobs
        self._store = store
        self._format = store.format
        self._uuid = uuid
        self._fetch = fetch
        self._payload = payload
        self._reasons: LiveReasons | None = None
        #: Stored values that were shown lately.
        self._shown: dict[Digest, Any] = {}
        self._told = 0
        self._untold = 0

    def job(self, verb: str, job: Job) -> None:
        """Tells that a job runs, was answered from the cache, or was rejected."""
        if self._observer is not None and job.number >= 0:
            key = job.key.hex() if job.key is not None else ""
            reason = partial(self._reason, job) if verb == "Run" else None
            self._observer.job(
                JobEvent(verb, self._id(job.number), job.task.fullname, self.arguments(job), key, job.executor, reason)
            )

    def inner(self, replay: Job) -> None:
        """Tells of the jobs that a whole replay stands for, the first thousand of a run one by one."""
        if self._observer is None or replay.call is None:
            return
        total = sum(replay.tally.values()) - 1 if replay.tally else 0
        left = min(total, limits.PRINTED_INNER_JOBS - self._told)
        calls = inner_calls(replay.call, lambda call: made_by(self._call(call)))
        told = 0
        with suppress(NotFound):  # from what is missing in the store on they are only counted
            for number, (_, call) in enumerate(islice(calls, left), replay.number + 1):
                self._observer.job(self._inner_event(number, self._call(call)))
                told += 1
        self._told += told
        self._untold += total - told

    def said(self, job: Job, lines: list[str]) -> None:
        """Tells what the body of a job has said while it ran."""
        if self.tells and self._observer is not None and job.number >= 0:
            self._observer.said(self._id(job.number), [redacted(line) for line in lines])

    def end(self) -> None:
        """Tells how many jobs were not told of one by one."""
        if self._observer is not None and self._untold:
            self._observer.summed(self._untold)

    def lineage(self, failure: Failure | None) -> list[FailedJob]:
        """Returns the jobs from the root to the one that raised, outermost first."""
        rows: list[FailedJob] = []
        job = failure.origin if failure is not None else None
        while job is not None:
            file, line, first = "", 0, ""
            if not job.task.module.startswith(_OURS):  # where a task of ours stands helps nobody
                capture = job.task.capture
                file, line, first = capture.file, capture.line, capture.text.partition("\n")[0].strip()
            rows.append(FailedJob(self._id(job.number), job.task.fullname, file, line, first, self.arguments(job)))
            job = job.scope
        return rows[::-1]

    def _inner_event(self, number: int, call: CallRecord) -> JobEvent:
        task = TaskRecord.parse(bytes(self._fetch(call.task)[1]))
        values = (self._stored(arg) for arg in call.args)
        args = [(name, value) for (name, _), value in zip(task.params, values, strict=False)]
        key = call_key(self._format, call.task, call.args).hex()
        return JobEvent("Cached", self._id(number), task.fullname, args, key, "default")

    def _id(self, number: int) -> str:
        return job_id(self._format.hash, self._uuid, number).hex()

    def _call(self, digest: Digest) -> CallRecord:
        return CallRecord.parse(bytes(self._fetch(digest)[1]))

    def arguments(self, job: Job) -> list[tuple[str, Any]]:
        """Returns the arguments of a job as an event has them."""
        values = [arg.obj if arg.plain else self._value(arg) for arg in job.args]
        return list(zip(job.prepared.names, values, strict=False))

    def _value(self, arg: Encoded) -> Any:
        files = whole_set(arg) if arg.externals else None
        return files if files is not None else self._readable(self._payload(arg))

    def _stored(self, value: Digest) -> Any:
        """Returns a stored value to be shown; jobs of one replay have many in common, and some are long."""
        if value not in self._shown:
            if len(self._shown) == _SHOWN:
                self._shown.clear()
            try:
                self._shown[value] = self._readable(self._fetch(value)[1])
            except NotFound:
                self._shown[value] = Unreadable(f"<value {short_id(value)} missing>")
        return self._shown[value]

    def _readable(self, payload: bytes) -> Any:
        """Returns a value to be shown, or what reads like it where its class is not imported or will not be made, or
        where a table is in it: to make one takes as much memory as it has."""
        if _TABLES.search(payload, 0, _LOOKED_AT):
            # Here and not at the top: hardly any run needs it.
            from redun.core.display import show

            return Unreadable(show(payload, self._fetch))
        try:
            decoder = Decoder(self._fetch)
            decoder.veiled = True
            return decoder.decode(payload)
        except Exception:  # noqa: BLE001  decoding may run the user's own __setstate__
            # Here and not at the top: hardly any run needs it.
            from redun.core.display import show

            return Unreadable(show(payload, self._fetch))

    def _reason(self, job: Job) -> Reason:
        # Here and not at the top: most runs are not asked.
        from redun.executor.live_reasons import LiveReasons

        if self._reasons is None:
            self._reasons = LiveReasons(self._store, self._fetch)
        return self._reasons.reason(job)
