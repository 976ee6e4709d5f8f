"""The stored graph as the history's views read it: what calls, tasks, arguments and values look like.

What is missing (a partial store, or one that was collected) is None here and shown as such; what is damaged raises.
"""

from __future__ import annotations

from redun.core.digest import Digest
from redun.core.display import LINE, show, show_arguments
from redun.core.forms import base_name, printable, short_id
from redun.core.objects import CallRecord, Outcome
from redun.store.call_graph import CallGraph
from redun.store.lookup_names import runs


class Graph(CallGraph):
    """Reads a store's calls and what they point to, and tells of them in text."""

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
