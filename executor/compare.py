"""The nearest earlier call of a task: what a job that has to run is compared with, to say why.

Read from the job pages of the last executions, once a run and only when a job misses. No index is kept for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from redun.core.digest import Digest
from redun.core.errors import CodecError, NotFound, StoreError
from redun.core.job_links import JobLinks
from redun.core.keys import code_id
from redun.core.objects import CallRecord, ExecRecord, Outcome, TaskRecord, TreeRecord, Why, call_task
from redun.core.replays import made_by
from redun.core.values import Encoded
from redun.store import Store

#: Calls of one task that are remembered, and how far back they are looked for.
_CALLS: Final = 64
_EXECUTIONS: Final = 64
_ROWS: Final = 5_000
#: How far back a task is looked for that is not among these, and how many calls of the execution that has it are read.
_FURTHER_EXECUTIONS: Final = 512
_FURTHER_CALLS: Final = 200_000
#: How a call ends that called nothing: the two empty arrays of its children and extras.
_CHILDLESS: Final = b"\x90\x90"


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
        self._names: dict[Digest, str] = {}
        #: Whether the history has more than was looked at.
        self._cut = False
        #: By task, the newest execution that has it; made when a task is looked for further back.
        self._executions: dict[str, ExecRecord] | None = None

    def compare(self, fullname: str, task: Digest, bound: Sequence[Encoded], ids: Sequence[Digest]) -> Compared:
        """Returns why a call that no memo row answers has to run; `ids` are those of its arguments in its key."""
        if self._tasks is None:
            self._tasks = self._load()
        calls = self._tasks.get(fullname)
        if calls is None and self._cut:
            calls = self._tasks[fullname] = self._look_further(fullname)
        if calls is None:
            return _FIRST
        args = tuple(ids)
        nearest = calls.nearest(args)
        if nearest is None:
            return _FIRST
        digest, record = nearest
        if record.args != args:
            return Compared(Why.ARGUMENT if record.task == task else Why.CODE, digest)
        if record.task != task:
            return Compared(Why.CODE, digest)
        if record.outcome is Outcome.RAISED:
            return Compared(Why.ERROR, digest)
        # the code of the user's own classes among the arguments is part of the key and of nothing else
        classed = record.outcome is Outcome.VALUE and any(self._is_own(obj) for arg in bound for obj in arg.code)
        return Compared(Why.CODE if classed else Why.MISSING, digest)

    def _is_own(self, obj: object) -> bool:
        return code_id(obj, self._store.format)[0] is not None

    def _load(self) -> dict[str, _Calls]:
        tasks: dict[str, _Calls] = {}
        seen: set[Digest] = set()
        rows = 0
        try:
            for links in self._newest_pages():
                rows += len(links.calls)
                if rows > _ROWS:
                    self._cut = True
                    break
                calls = [call for call in links.calls if call is not None]
                while calls and len(seen) < _ROWS:  # a whole replay has no rows for the calls inside it
                    unseen = [call for call in dict.fromkeys(calls) if call not in seen]
                    fresh = unseen[: _ROWS - len(seen)]
                    self._cut |= len(fresh) < len(unseen)
                    seen.update(fresh)
                    calls = self._add(tasks, fresh)
        except (StoreError, CodecError):
            pass  # a history that cannot be read says nothing; the run itself does not need it
        return tasks

    def _newest_pages(self) -> Iterator[JobLinks]:
        executions = (execution for _, execution in self._store.executions())
        for execution in islice(executions, _EXECUTIONS):
            yield from self._pages(execution.pages)
        self._cut |= next(executions, None) is not None

    def _pages(self, pages: Sequence[Digest]) -> Iterator[JobLinks]:
        """The pages, newest first; of an execution with very many a tree lists them."""
        for page in reversed(pages):
            kind, payload = self._store.get_many([page])[0] or ("", b"")  # one may be lost
            if kind == "jobs":
                yield JobLinks.parse(bytes(payload))
            elif kind == "tree":
                yield from self._pages(TreeRecord.parse(bytes(payload)).children)

    def _look_further(self, fullname: str) -> _Calls:
        """The calls of one task in the newest execution that has any: a run may have more jobs than are looked at."""
        found = _Calls()
        try:
            if self._executions is None:
                self._executions = {}
                for _, execution in islice(self._store.executions(), _FURTHER_EXECUTIONS):
                    for task, _ in execution.sources:
                        self._executions.setdefault(self._name(task), execution)
            known = self._executions.get(fullname)
            if known is not None:
                self._gather(found, {task for task, _ in known.sources if self._name(task) == fullname}, known)
        except (StoreError, CodecError):
            pass
        return found

    def _gather(self, found: _Calls, tasks: set[Digest], execution: ExecRecord) -> None:
        """Adds the calls of some tasks in an execution, those inside of whole replays included."""
        seen: set[Digest] = set()
        for links in self._pages(execution.pages):
            calls = [call for call in links.calls if call is not None]
            while calls and len(seen) < _FURTHER_CALLS and found.count < _CALLS:
                fresh = [call for call in dict.fromkeys(calls) if call not in seen]
                seen.update(fresh)
                calls = []
                for digest, item in zip(fresh, self._store.get_many(fresh), strict=True):
                    payload = b"" if item is None else bytes(item[1])
                    if payload and (not payload.endswith(_CHILDLESS) or call_task(payload) in tasks):
                        record = CallRecord.parse(payload)
                        calls += [child for child in made_by(record) if child is not None]
                        if record.task in tasks and found.count < _CALLS:
                            found.add(digest, record)

    def _add(self, tasks: dict[str, _Calls], digests: list[Digest]) -> list[Digest]:
        """Adds calls and returns the calls that they made."""
        children: list[Digest] = []
        found = self._store.get_many(digests)
        for digest, item in zip(digests, found, strict=True):
            if item is None:
                continue
            payload = bytes(item[1])
            task = call_task(payload)
            name = self._name(task)
            calls = tasks.get(name)
            if calls is None:
                calls = tasks[name] = _Calls()
            if calls.count < _CALLS or not payload.endswith(_CHILDLESS):
                record = CallRecord.parse(payload)
                children += [child for child in made_by(record) if child is not None]
                if calls.count < _CALLS:
                    calls.add(digest, record)
        return children

    def _name(self, task: Digest) -> str:
        name = self._names.get(task)
        if name is None:
            try:
                name = TaskRecord.parse(bytes(self._store.get(task)[1])).fullname
            except NotFound:
                name = ""  # no task has that name
            self._names[task] = name
        return name
