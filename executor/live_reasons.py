"""Reasons of jobs that are about to run, as the run that asks knows them."""

from __future__ import annotations

from contextlib import suppress

from redun.core.display import Fetch
from redun.core.errors import RedunError
from redun.core.keys import prepare
from redun.core.objects import How, TaskRecord, Use, Why
from redun.core.reduction import CALL
from redun.core.tasks import registry
from redun.executor.code_changes import carried_changes, class_uses
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
        self._store = store
        self._fetch = fetch
        self._reasons = Reasons(fetch, known_in(store))
        #: What tasks use, in the execution before and now.
        self._used: tuple[dict[str, Use], dict[str, Use]] | None = None
        #: Of the callers met: themselves, so that no other takes their place, and the places of what they call.
        self._places: dict[int, tuple[Job, dict[int, int]]] = {}

    def reason(self, job: Job) -> Reason:
        """Returns why a job that is about to run was not answered from the cache."""
        args = tuple(job.ids)
        off_by = ""
        if job.why is Why.OFF_TASK:
            at_call = switched_off(job.node.options or {})
            off_by = off_at_call(at_call) if at_call else f"{switched_off(job.task.task_options)} in @task"
        reason = self._reasons.reason(
            Miss(job.why, job.compared, job.prepared.digest, args, job.stale, off_by, self._site(job))
        )
        if any(change.what == "carried" for change in reason.code):
            if self._used is None:
                self._used = self._uses_before(), self._uses_now()
            return reason._replace(code=carried_changes(reason.code, *self._used, self._fetch))
        return reason

    def _uses_before(self) -> dict[str, Use]:
        """The classes and functions that the tasks of the execution before this one use."""
        for _, execution in self._store.executions():
            found = self._store.get_many([task for task, _ in execution.sources])
            return class_uses(TaskRecord.parse(bytes(item[1])) for item in found if item is not None)
        return {}

    def _uses_now(self) -> dict[str, Use]:
        records = []
        for task in registry:
            with suppress(RedunError):  # one that is not to be run may have a default that nobody can store
                prepared = prepare(task, self._store.format)
                records.append(TaskRecord.parse(prepared.objects[prepared.digest][1]))
        return class_uses(records)

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
