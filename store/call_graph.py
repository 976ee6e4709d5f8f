"""Calls as they are stored: what they took, what they gave, and the expressions in between, each parsed once.

What is missing (a partial store, or one that was collected) is None here; what is damaged raises.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from redun.core.digest import Digest
from redun.core.errors import NotFound
from redun.core.expression_table import Table
from redun.core.objects import CallRecord, TaskRecord, TreeRecord, call_task

if TYPE_CHECKING:
    from redun.store.store import Store

#: Records kept; the whole of a history of millions would not fit.
_KEPT: Final = 50_000
#: Children of the calls that are kept, and nodes of the expressions: one may have 100,000.
_PARTS: Final = 150_000
#: A call has more bytes than that.
_LEAST_CALL: Final = 36


class Argument(NamedTuple):
    """A bound argument: the parameter's name and kind (`inspect.Parameter.kind`), and the id of the value."""

    name: str
    kind: int
    value: Digest


class CallGraph:
    """Reads a store's calls and what they point to."""

    def __init__(self, store: "Store") -> None:
        self.store = store
        self._objects: dict[Digest, tuple[str, bytes] | None] = {}
        self._calls: dict[Digest, CallRecord | None] = {}
        self._tasks: dict[Digest, TaskRecord | None] = {}
        self._tables: dict[Digest, Table | None] = {}
        self._children = 0
        self._nodes = 0

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
            payload = self.payload(digest, "call")
            call = None if payload is None else CallRecord.parse(payload)
            self._children += 0 if call is None else len(call.children)
            if len(self._calls) > _KEPT or self._children > _PARTS:
                self._calls.clear()
                self._children = 0 if call is None else len(call.children)
            self._calls[digest] = call
        return self._calls[digest]

    def task(self, digest: Digest) -> TaskRecord | None:
        """Returns a task, or None where it is missing."""
        if digest not in self._tasks:
            payload = self.payload(digest, "task")
            self._tasks[digest] = None if payload is None else TaskRecord.parse(payload)
        return self._tasks[digest]

    def task_name(self, digest: Digest | None) -> str | None:
        """Returns the full name of a call's task as stored, or None where it is not known."""
        if digest is None:
            return None
        call = self._calls.get(digest)
        if call is None:
            payload = self.payload(digest, "call")
            if payload is None:
                return None
            if len(payload) > _LEAST_CALL:  # only its start is read: a call may have 100,000 children
                task = self.task(call_task(payload))
                return None if task is None else task.fullname
            call = self.call(digest)
        task = None if call is None else self.task(call.task)
        return None if task is None else task.fullname

    def table(self, call: CallRecord | None) -> Table | None:
        """Returns the expression that a call's body returned, or None where it returned a plain value."""
        if call is None or call.reduction is None:
            return None
        if call.reduction not in self._tables:
            payload = self.payload(call.reduction, "expr")
            table = None if payload is None else Table(payload)
            self._nodes += 1 if table is None else len(table)
            if self._nodes > _PARTS:
                self._tables.clear()
                self._nodes = 1 if table is None else len(table)
            self._tables[call.reduction] = table
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
