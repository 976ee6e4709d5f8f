"""The stored graph as the history's views read it: calls, tasks, arguments and values, each parsed once.

What is missing (a partial store, or one that was collected) is None here and shown as such; what is damaged raises.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterable
from typing import Final, NamedTuple

from redun.core.digest import Digest
from redun.core.display import LINE, show, show_arguments
from redun.core.errors import NotFound
from redun.core.expression_table import Table
from redun.core.forms import base_name, printable, short_id
from redun.core.objects import CallRecord, Outcome, TaskRecord, TreeRecord
from redun.store import Store
from redun.store.lookup_names import runs

#: Records kept; the whole of a history of millions would not fit.
_KEPT: Final = 50_000


class Argument(NamedTuple):
    """A bound argument: the parameter's name and kind (`inspect.Parameter.kind`), and the id of the value."""

    name: str
    kind: int
    value: Digest


class Graph:
    """Reads a store's calls and what they point to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._objects: dict[Digest, tuple[str, bytes] | None] = {}
        self._calls: dict[Digest, CallRecord | None] = {}
        self._tasks: dict[Digest, TaskRecord | None] = {}
        self._tables: dict[Digest, Table | None] = {}

    # -- objects ------------------------------------------------------------------------------------------------------

    def fetch(self, digest: Digest) -> tuple[str, bytes]:
        """Returns (kind, payload) of an object.

        Raises:
            NotFound: if it is missing.
        """
        found = self._objects.get(digest)
        return self.store.get(digest) if found is None else found

    def payload(self, digest: Digest | None, kind: str) -> bytes | None:
        """Returns the payload of an object of that kind, or None where it is missing."""
        if digest is None:
            return None
        try:
            found, payload = self.fetch(digest)
        except NotFound:
            return None
        return bytes(payload) if found == kind else None

    def prefetch(self, digests: Iterable[Digest | None]) -> None:
        """Reads several objects in one transaction, for the calls that follow."""
        if len(self._objects) > _KEPT:
            self._objects.clear()
        wanted = [d for d in dict.fromkeys(digests) if d is not None and d not in self._objects]
        self._objects.update(zip(wanted, self.store.get_many(wanted), strict=True))

    def prefetch_calls(self, calls: Iterable[Digest | None]) -> None:
        """Reads calls, and then all that their lines show: tasks, arguments, results."""
        calls = list(calls)
        self.prefetch(calls)
        records = [record for record in map(self.call, calls) if record is not None]
        self.prefetch(d for record in records for d in (record.task, *record.args))

    # -- records ------------------------------------------------------------------------------------------------------

    def call(self, digest: Digest | None) -> CallRecord | None:
        """Returns a call, or None where it is missing or there is none."""
        if digest is None:
            return None
        if digest not in self._calls:
            if len(self._calls) > _KEPT:
                self._calls.clear()
            payload = self.payload(digest, "call")
            self._calls[digest] = None if payload is None else CallRecord.parse(payload)
        return self._calls[digest]

    def task(self, digest: Digest) -> TaskRecord | None:
        """Returns a task, or None where it is missing."""
        if digest not in self._tasks:
            payload = self.payload(digest, "task")
            self._tasks[digest] = None if payload is None else TaskRecord.parse(payload)
        return self._tasks[digest]

    def table(self, call: CallRecord | None) -> Table | None:
        """Returns the expression that a call's body returned, or None where it returned a plain value."""
        if call is None or call.reduction is None:
            return None
        if call.reduction not in self._tables:
            if len(self._tables) > _KEPT // 10:
                self._tables.clear()
            payload = self.payload(call.reduction, "expr")
            self._tables[call.reduction] = None if payload is None else Table(payload)
        return self._tables[call.reduction]

    def arguments(self, call: CallRecord) -> list[Argument]:
        """Returns the bound arguments of a call in the order of the parameters."""
        task = self.task(call.task)
        values = self._listed(call.args)
        params = () if task is None else task.params
        if len(params) != len(values):  # its task is missing
            return [Argument(f"arg{i}", 1, value) for i, value in enumerate(values)]
        return [Argument(name, kind, value) for (name, kind), value in zip(params, values, strict=True)]

    def _listed(self, digests: tuple[Digest, ...]) -> list[Digest]:
        """The arguments themselves, also where a tree lists them."""
        if len(digests) != 1:
            return list(digests)
        payload = self.payload(digests[0], "tree")
        if payload is None:
            return list(digests)
        tree = TreeRecord.parse(payload)
        if tree.level == 0:
            return list(tree.children)
        return [leaf for child in tree.children for leaf in self._listed((child,))]

    def source_of(self, task: Digest) -> Digest | None:
        """Returns the exact source of a task as the newest execution that used it kept it, or None."""
        for run in runs(self.store):
            for used, source in run.sources:
                if used == task:
                    return source
        return None

    # -- text ---------------------------------------------------------------------------------------------------------

    def fullname(self, call: CallRecord | None) -> str:
        """Returns the full name of a call's task, safe to print; `?` where it is not known."""
        task = None if call is None else self.task(call.task)
        return "?" if task is None else printable(task.fullname)

    def task_name(self, digest: Digest | None) -> str | None:
        """Returns the full name of a call's task as stored, or None where it is not known."""
        call = self.call(digest)
        task = None if call is None else self.task(call.task)
        return None if task is None else task.fullname

    def name(self, call: CallRecord | None) -> str:
        """Returns the name of a call's task without its namespace, safe to print."""
        return base_name(self.fullname(call))

    def value(self, digest: Digest | None, limit: int = LINE) -> str:
        """Returns a value on one line; its id where it is missing."""
        if digest is None:
            return "?"
        payload = self.payload(digest, "value")
        return f"<value {short_id(digest)} missing>" if payload is None else show(payload, self.fetch, limit=limit)

    def argument_text(self, call: CallRecord, limit: int = LINE) -> str:
        """Returns a call's arguments as `name=value, ...`."""
        bound = [(a.name, a.kind, self.payload(a.value, "value")) for a in self.arguments(call)]
        return show_arguments(bound, self.fetch, limit=limit)

    def call_text(self, digest: Digest | None, limit: int = LINE) -> str:
        """Returns a call as `fullname(name=value, ...)`, as the lines of a run print it."""
        call = self.call(digest)
        if call is None:
            return "?()" if digest is None else f"<call {short_id(digest)} missing>"
        return f"{self.fullname(call)}({self.argument_text(call, limit)})"

    def outcome_text(self, call: CallRecord, limit: int = LINE) -> str:
        """Returns what a call gave: its value, or the error that it raised as `ErrorValue(...)`."""
        text = self.value(call.result, limit)
        return f"ErrorValue({text})" if call.outcome is Outcome.RAISED else text
