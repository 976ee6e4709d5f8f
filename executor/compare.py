"""The nearest earlier call of a task: what a job that has to run is compared with, to say why.

Read from the job pages of the last executions, once a run and only when a job misses. No index is kept for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from redun.core.digest import Digest
from redun.core.errors import CodecError, StoreError
from redun.core.job_links import JobLinks
from redun.core.objects import CallRecord, Outcome, TaskRecord, Why
from redun.core.values import Encoded
from redun.store import Store

#: Calls of one task that are remembered, and how far back they are looked for.
_CALLS: Final = 64
_EXECUTIONS: Final = 64
_ROWS: Final = 20_000


class Compared(NamedTuple):
    """Why a job missed, and the earlier call that says so."""

    why: Why
    call: Digest | None


_FIRST: Final = Compared(Why.FIRST, None)


class _Calls:
    """The newest calls of one task, by all arguments together and by each."""

    def __init__(self) -> None:
        self.count = 0
        self.exact: dict[tuple[Digest, ...], list[tuple[Digest, CallRecord]]] = {}
        self.parts: dict[tuple[int, Digest], list[tuple[Digest, CallRecord]]] = {}
        self.newest: tuple[Digest, CallRecord] | None = None

    def add(self, digest: Digest, record: CallRecord) -> None:
        self.count += 1
        entry = (digest, record)
        self.newest = self.newest or entry
        self.exact.setdefault(record.args, []).append(entry)
        for place in enumerate(record.args):
            self.parts.setdefault(place, []).append(entry)

    def nearest(self, args: tuple[Digest, ...]) -> tuple[Digest, CallRecord] | None:
        """The newest call with the same arguments, else with one of them the same, else the newest."""
        found = self.exact.get(args)
        if found is None:
            found = next((self.parts[place] for place in enumerate(args) if place in self.parts), None)
        return found[0] if found else self.newest


class Comparer:
    """Finds what misses are compared with, in the history of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: dict[str, _Calls] | None = None

    def compare(self, fullname: str, task: Digest, bound: Sequence[Encoded]) -> Compared:
        """Returns why a call that no memo row answers has to run."""
        if self._tasks is None:
            self._tasks = self._load()
        calls = self._tasks.get(fullname)
        if calls is None:
            return _FIRST
        args = tuple(arg.digest for arg in bound if arg.digest is not None)
        nearest = calls.nearest(args)
        if nearest is None:
            return _FIRST
        digest, record = nearest
        if record.args != args:
            return Compared(Why.ARGUMENT if record.task == task else Why.CODE, digest)
        if record.task != task:
            return Compared(Why.CODE, digest)
        return Compared(Why.ERROR if record.outcome is Outcome.RAISED else Why.MISSING, digest)

    def _load(self) -> dict[str, _Calls]:
        tasks: dict[str, _Calls] = {}
        names: dict[Digest, str] = {}
        rows = 0
        try:
            for number, (_, execution) in enumerate(self._store.executions()):
                if number == _EXECUTIONS or rows > _ROWS:
                    break
                for payload in self._pages(execution.pages):
                    links = JobLinks.parse(payload)
                    rows += len(links.calls)
                    self._add(tasks, names, [call for call in links.calls if call is not None])
        except (StoreError, CodecError):
            pass  # a history that cannot be read says nothing; the run itself does not need it
        return tasks

    def _pages(self, pages: Sequence[Digest]) -> list[bytes]:
        found = self._store.get_many(list(reversed(pages)))
        return [bytes(item[1]) for item in found if item is not None and item[0] == "jobs"]

    def _add(self, tasks: dict[str, _Calls], names: dict[Digest, str], digests: list[Digest]) -> None:
        found = self._store.get_many(digests)
        for digest, item in zip(digests, found, strict=True):
            if item is None:
                continue
            record = CallRecord.parse(bytes(item[1]))
            name = names.get(record.task)
            if name is None:
                name = names[record.task] = _name(self._store.get, record.task)
            calls = tasks.setdefault(name, _Calls())
            if calls.count < _CALLS:
                calls.add(digest, record)


def _name(get: Callable[[Digest], tuple[str, Any]], task: Digest) -> str:
    return TaskRecord.parse(bytes(get(task)[1])).fullname
