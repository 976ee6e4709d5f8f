"""Jobs that are attended to while they run: the work that they are, and what is heard of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from redun.core.keys import spread
from redun.executor.attempts import Attempts
from redun.executor.jobs import Job
from redun.executor.pools.attended import Attended, Say
from redun.executor.pools.contract import Outbox, Reply, Work
from redun.executor.telling import Teller


class Hearing:
    """Makes work of jobs that are attended to, and tells what their bodies say.

    Bodies say it on their own threads, so it takes the way that all answers take.
    """

    def __init__(self, teller: Teller, attempts: Attempts, outbox: Outbox) -> None:
        self._teller = teller
        self._attempts = attempts
        self._outbox = outbox

    def work(self, job: Job, values: list[Any]) -> Work:
        """Returns what a pool of threads needs to run the job, whose time begins where it has a timeout."""
        if job.timeout is not None:
            self._attempts.timed(job)
        args, kwargs = spread(job.task, values)
        function = job.task.func
        if job.task.is_script:
            # Here and not at the top: most runs have no scripts.
            from redun.executor.scripting.bodies import script_body

            say: Say | None = partial(self._say, job) if self._teller.tells else None
            function = Attended(script_body(function), say)
        return Work(job, function, args, kwargs, job.timeout is not None)

    def _say(self, job: Job, lines: list[str]) -> None:
        self._outbox.put((self, (job, lines)))

    def accept(self, event: tuple[Job, list[str]]) -> Reply:
        """See `Speaker.accept`."""
        self._teller.said(*event)
        return [], []
