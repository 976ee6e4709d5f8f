"""Reasons of jobs that are about to run, as the run that asks knows them."""

from __future__ import annotations

from redun.core.display import Fetch
from redun.core.objects import How, Why
from redun.core.reduction import CALL
from redun.executor.jobs import Job
from redun.executor.known import known_in
from redun.executor.reasons import Miss, Reason, Reasons, Site, off_at_call, switched_off
from redun.store import Store


class LiveReasons:
    """Finds why jobs of one run were not answered from the cache.

    Args:
        store: whose memo and history say what there was before.
        fetch: reads an object that the run refers to, also what is not written yet.
    """

    def __init__(self, store: Store, fetch: Fetch) -> None:
        self._reasons = Reasons(fetch, known_in(store))
        #: Of the callers met: themselves, so that no other takes their place, and the places of what they call.
        self._places: dict[int, tuple[Job, dict[int, int]]] = {}

    def reason(self, job: Job) -> Reason:
        """Returns why a job that is about to run was not answered from the cache."""
        args = tuple([arg.digest for arg in job.args if arg.digest is not None])
        off_by = ""
        if job.why is Why.OFF_TASK:
            at_call = switched_off(job.node.options or {})
            off_by = off_at_call(at_call) if at_call else f"{switched_off(job.task.task_options)} in @task"
        return self._reasons.reason(
            Miss(job.why, job.compared, job.prepared.digest, args, job.stale, off_by, self._site(job))
        )

    def _site(self, job: Job) -> Site | None:
        caller = job.scope
        if caller is None or caller.reduction is None:
            return None
        earlier = caller.compared
        if caller.how is not How.RAN:
            earlier = caller.remembered[0].call if caller.remembered else None
        if earlier is None:
            return None
        found = self._places.get(id(caller))
        if found is None:
            places: dict[int, int] = {}
            counts: dict[str, int] = {}
            for unit, node in zip(caller.units, caller.reduction.nodes, strict=False):
                if node.op == CALL:
                    places[id(unit)] = counts[node.name] = counts.get(node.name, -1) + 1
            found = self._places[id(caller)] = (caller, places)
        place = found[1].get(id(job))
        return None if place is None else Site(earlier, place)
