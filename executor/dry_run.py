"""A dry run: what would be answered from the store and what would run. Nothing runs, nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from redun.core.context import EMPTY, Context
from redun.core.objects import TaskCount
from redun.core.values import Encoder
from redun.executor.accepted import accepted
from redun.executor.compare import Comparer
from redun.executor.evaluator import Evaluator
from redun.executor.fingerprints import Fingerprints
from redun.executor.handles import HandleStates
from redun.executor.inputs import Inputs
from redun.executor.jobs import Job
from redun.executor.live_reasons import LiveReasons
from redun.executor.memoize import Memoizer
from redun.executor.pending import Pending
from redun.executor.reasons import Reason
from redun.executor.states import State
from redun.executor.telling import Teller
from redun.executor.trails import Trails
from redun.executor.verify import Verifier
from redun.store import Store


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a run would do.

    Attributes:
        hits: jobs that the store answers.
        misses: jobs that would run, in the order in which they are met; what they would call is not known.
        unknown: jobs that wait for the result of a miss.
        counts: by task; misses count as running, unknown ones as pending.
        arguments: tells the arguments of a miss, as the event of a job has them.
        reason: finds why a job would run; the store is open for that.
    """

    hits: int
    misses: list[Job]
    unknown: int
    counts: list[TaskCount]
    arguments: Callable[[Job], list[tuple[str, Any]]]
    reason: Callable[[Job], Reason]


def dry_run(
    store: Store,
    expression: Any,
    *,
    cache: bool = True,
    replay: Literal["whole", "step"] = "whole",
    context: Context = EMPTY,
) -> DryRun:
    """Returns what running the expression would do. Bodies of missing jobs are not run, so what lies beyond them is
    unknown. Arguments as those of a `Scheduler`.

    Raises:
        CodecError: if the expression holds something that cannot be encoded.
        StoreError: if the store cannot be read.
    """
    encoder = Encoder(store.format)
    pending = Pending(store, encoder)
    encoder.write_blob = None  # large parts stay in memory: nothing is written
    fingerprints = Fingerprints(store.format, accepted(store))
    evaluator = Evaluator(encoder, pending.fetch, fingerprints)
    verifier = Verifier(fingerprints, pending.fetch, pending.get_many, store.superseded)
    memoizer = Memoizer(
        evaluator,
        pending,
        verifier,
        Comparer(store),
        Trails(encoder, verifier.found),
        Inputs(encoder, lambda _: None),
        fetch=pending.fetch,
        read=cache,
        whole=replay == "whole",
    )
    memoizer.brings_back = False
    misses: list[Job] = []
    with HandleStates(store).current():
        evaluator.submit(expression, context=context)
        while evaluator.asks:
            asks = evaluator.asks[:]
            evaluator.asks.clear()
            memoizer.answer(asks)
            for job in evaluator.runs:
                evaluator.started(job)
                misses.append(job)
            evaluator.runs.clear()
            evaluator.ended.clear()
            evaluator.advance()
    waiting = [job for job in evaluator.unfinished() if job.state is State.WAITING]
    counts = [TaskCount(name, *row) for name, row in sorted(evaluator.counts.items())]
    hits = sum(count.cached for count in counts)
    arguments = Teller(None, store, b"", pending.fetch, evaluator.payload).arguments
    return DryRun(hits, misses, len(waiting), counts, arguments, LiveReasons(store, pending.fetch).reason)
