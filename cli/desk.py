"""What is at hand in `redun repl`: a store, a workflow, and functions that look into them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from redun.cli.app import main
from redun.cli.graph import Graph
from redun.cli.job_table import JobTable, Place, place_of
from redun.cli.loading import load
from redun.cli.replay import workflow_of
from redun.core.decoding import Decoder
from redun.core.digest import Digest
from redun.core.errors import NotFound, RedunError
from redun.core.objects import CallRecord, Outcome
from redun.core.tasks import Task
from redun.executor.scheduler import Scheduler
from redun.store import Store
from redun.store.lookup_names import JobName, ObjectName, Run, find, runs


class Desk:
    """A store and a workflow.

    Attributes:
        path: where the store is.
        tasks: the tasks of the workflow by their full names.
        about: what the command was asked for, in words.
    """

    def __init__(self, store: Store, path: str, config: Any) -> None:
        self.path = path
        self.tasks: dict[str, Task[..., Any]] = {}
        self.about = ""
        self._store = store
        self._graph = Graph(store)
        self._config = config

    def open(self, name: str | None, target: str | None, tell: Callable[[str], None]) -> dict[str, Any]:
        """Loads the workflow, and returns the names that are at hand.

        Raises:
            NotFound, AmbiguousPrefix: if the name means nothing, or several things.
            TaskError: if a workflow that is named cannot be loaded.
        """
        place = None if name is None else self._place(name)
        known: dict[str, Any] = {"redun": sys.modules["redun"], "store": self._store, "it": None, "tasks": self.tasks}
        if target is not None:
            known |= self._load(target, tell)
        elif place is not None:
            try:
                known |= self._load(workflow_of(place[0].run.argv), tell)
            except RedunError as error:  # there is much to see without it
                tell(f"Its workflow is not loaded: {error}")
        given = (self.value, self.args, self.log, self.show, self.explain, self.run, self.executions)
        known |= {function.__name__: function for function in given}
        if name is not None:
            known["it"] = self._named(name, tell)
        return known

    def _load(self, target: str, tell: Callable[[str], None]) -> dict[str, Any]:
        workflow = load(target, tell)
        self.tasks.update({task.fullname: task for task in workflow.tasks})
        names = vars(sys.modules[workflow.module_name])
        return {name: value for name, value in names.items() if not name.startswith("__")}

    def _named(self, name: str, tell: Callable[[str], None]) -> Any:
        place = self._place(name)
        self.about = f"value {name}" if place is None else self._graph.call_text(place[1][-1].call)
        try:
            return self.value(name)
        except RedunError as error:
            tell(f"`it` is nothing: {error}")
            return None

    # -- what is at hand ----------------------------------------------------------------------------------------------

    def value(self, name: str = "-") -> Any:
        """Returns a value of the store, or the result of a job, a call or an execution: of one that failed, its error.

        Raises:
            NotFound, AmbiguousPrefix: if the name means nothing, or several things.
            CannotDecode: if it is of a class that is not loaded.
        """
        named = find(self._store, name)
        if isinstance(named, ObjectName) and named.kind == "value":
            return self._decoded(named.digest)
        record = self._record(name)
        if record.result is None or record.outcome is Outcome.PARTIAL:
            raise NotFound(f"{name} has no result")
        return self._decoded(record.result)

    def args(self, name: str = "-") -> dict[str, Any]:
        """Returns the arguments of a job or a call, by name.

        Raises:
            NotFound, AmbiguousPrefix, CannotDecode: as `value`.
        """
        return {argument.name: self._decoded(argument.value) for argument in self._graph.arguments(self._record(name))}

    def log(self, *words: str) -> None:
        """Prints what `redun log` prints."""
        main(["--store", self.path, "log", *words])

    def show(self, *words: str) -> None:
        """Prints what `redun show` prints."""
        main(["--store", self.path, "show", *(words or ("-",))])

    def explain(self, *words: str) -> None:
        """Prints what `redun explain` prints."""
        main(["--store", self.path, "explain", *(words or ("-",))])

    def run(self, expression: Any, **options: Any) -> Any:
        """Returns the value of an expression, with this store; options as of `Scheduler.run`.

        Raises:
            Exception: what a task raised.
        """
        return Scheduler(self._store, config=self._config).run(expression, **options)

    def executions(self) -> list[str]:
        """Returns the ids of the executions, latest first."""
        return [run.uuid.hex() for run in runs(self._store)]

    # -- looking ------------------------------------------------------------------------------------------------------

    def _place(self, name: str) -> Place | None:
        named = find(self._store, name)
        if isinstance(named, JobName):
            return place_of(self._graph, named)
        if isinstance(named, Run):
            table = JobTable(self._graph, named)
            lineage = table.lineage(0)
            return (table, lineage) if lineage else None
        return None

    def _record(self, name: str) -> CallRecord:
        named = find(self._store, name)
        place = self._place(name)
        call: Digest | None = None
        if place is not None:
            call = place[1][-1].call
        elif isinstance(named, ObjectName) and named.kind == "call":
            call = named.digest
        record = self._graph.call(call)
        if record is None:
            raise NotFound(f"{name} is neither a job nor a call", hint="log() lists executions, log(ID) their jobs")
        return record

    def _decoded(self, digest: Digest) -> Any:
        kind, payload = self._graph.fetch(digest)
        if kind != "value":
            raise NotFound(f"{digest.hex()[:8]} is a {kind}, not a value")
        return Decoder(self._graph.fetch).decode(payload)
