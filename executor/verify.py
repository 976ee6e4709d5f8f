"""Does a recorded footprint still hold? Then the whole subtree of its call may be replayed in one step.

Checked cheapest first (CACHING.md section 5): flags, superseded tasks, the set of tasks, external values. Verdicts are
kept: of a set of tasks for as long as no task is registered, of external values until another body has finished. So an
edit at the leaf of a long chain is found once, not once for each ancestor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from redun.core.digest import Digest
from redun.core.errors import CodecError, NotFound, RedunError
from redun.core.keys import CodeExternal
from redun.core.objects import ExtRecord, HeadRecord, TaskSetRecord, parse_footprint
from redun.core.tasks import Task, registry
from redun.core.values import External
from redun.executor.fingerprints import Fingerprints
from redun.executor.jobs import cache_scope
from redun.executor.looks import Looks
from redun.executor.outside import Fetch, FetchMany, Outside

ContextIds = Callable[[str], Digest | None]
_NOTHING: Final[frozenset[Digest]] = frozenset()


class Verifier:
    """Verifies footprints of one run."""

    def __init__(
        self, fingerprints: Fingerprints, fetch: Fetch, fetch_many: FetchMany, superseded: Callable[[str], int]
    ) -> None:
        self._fingerprints = fingerprints
        self._fetch = fetch
        self._fetch_many = fetch_many
        self._outside = Outside(fetch, fetch_many)
        self.looks = Looks()
        self._superseded = superseded
        self._parts: dict[Digest, HeadRecord | TaskSetRecord | ExtRecord] = {}
        self._tasks: dict[Digest, tuple[int, bool]] = {}
        self._newest: dict[Digest, int] = {}
        self._exts: dict[Digest, tuple[int, bool]] = {}

    def holds(self, head: Digest, seq: int, *, finished: int, shallow: bool, context: ContextIds) -> HeadRecord | None:
        """Returns the head if its footprint holds, else None.

        Args:
            seq: number of the recording of the call, compared with the tasks that were superseded since.
            finished: number of bodies that have finished in this run: files may have changed since a smaller one.
            shallow: leaves external values inside the subtree unchecked.
            context: gives the id of what the job's context has at a path.
        """
        try:
            record = self.part(head)
            if not isinstance(record, HeadRecord) or record.flags:
                return None
            if any(context(path) != found for path, found in record.context):
                return None
            if self.superseded(record.tasks) > seq or not self._tasks_hold(record.tasks):
                return None
            if not shallow and record.ext is not None and not self._ext_holds(record.ext, finished, record.tasks):
                return None
        except (CodecError, NotFound):
            return None
        return record

    def head(self, digest: Digest) -> HeadRecord:
        """Returns the head of that id.

        Raises:
            NotFound, CodecError: if it is missing or is none.
        """
        record = self.part(digest)
        if not isinstance(record, HeadRecord):
            raise CodecError(f"footprint {digest.hex()} is no head")
        return record

    def inside(self, head: Digest, walked: set[Digest]) -> Iterator[External]:
        """Yields the external values of a footprint that holds, but for single files and for those of nodes that were
        walked before.

        Raises:
            NotFound, CodecError: if a part of it is missing or is none.
        """
        root = self.head(head).ext
        stack = [] if root is None else [root]
        while stack:
            digest = stack.pop()
            record = self.part(digest)
            if digest not in walked and isinstance(record, ExtRecord):
                walked.add(digest)
                stack += (*record.children, *(child for _, child in record.barriers))
                yield from filter(None, map(self._outside.special, record.values()))

    def found(self, head: Digest) -> Iterator[tuple[Digest, External, bool]]:
        """Yields the external values of a footprint that holds: their ids, they themselves, and whether a body made
        them. Those that are past, and those behind barriers, are left out.

        Raises:
            NotFound, CodecError: if a part of it is missing or is none.
        """
        root = self.head(head).ext
        stack = [] if root is None else [root]
        walked: set[Digest] = set()
        past: set[Digest] = set()
        found: dict[Digest, bool] = {}
        while stack:
            digest = stack.pop()
            record = self.part(digest)
            if digest not in walked and isinstance(record, ExtRecord):
                walked.add(digest)
                stack += record.children
                past.update(record.past)
                found.update(dict.fromkeys((*record.own[: record.made], *record.wrote), True))
                for value in (*record.own[record.made :], *record.met):
                    found.setdefault(value, False)
        for value, made in found.items():
            external = None if value in past else self._outside.known(value)
            if external is not None:
                yield value, external, made

    def node(self, head: Digest) -> ExtRecord | None:
        """Returns the node of external values at the top of a footprint; None where it has none or it is missing."""
        try:
            root = self.head(head).ext
            record = None if root is None else self.part(root)
        except (NotFound, CodecError):
            return None
        return record if isinstance(record, ExtRecord) else None

    def task_set(self, digest: Digest) -> TaskSetRecord:
        """Returns the set of tasks of that id.

        Raises:
            NotFound, CodecError: if it is missing or is none.
        """
        record = self.part(digest)
        if not isinstance(record, TaskSetRecord):
            raise CodecError(f"footprint {digest.hex()} is no set of tasks")
        return record

    def superseded(self, tasks: Digest) -> int:
        """Returns the number above which calls that involve any of the tasks are to be believed.

        Raises:
            NotFound, CodecError: if the set of tasks is missing or is none.
        """
        newest = self._newest.get(tasks)
        if newest is None:
            names = [name for name, _, _ in self.task_set(tasks).tasks]
            newest = self._newest[tasks] = max(map(self._superseded, names), default=0)
        return newest

    def forget(self) -> None:
        """Forgets which tasks were superseded; called after a commit."""
        self._newest.clear()

    def part(self, digest: Digest) -> HeadRecord | TaskSetRecord | ExtRecord:
        """Returns a part of a footprint.

        Raises:
            NotFound, CodecError: if it is missing or is none.
        """
        found = self._parts.get(digest)
        if found is None:
            kind, payload = self._fetch(digest)
            if kind != "footprint":
                raise CodecError(f"{digest.hex()} is a {kind}, not a footprint")
            found = self._parts[digest] = parse_footprint(bytes(payload))
        return found

    # -- tasks --------------------------------------------------------------------------------------------------------

    def _tasks_hold(self, digest: Digest) -> bool:
        known = self._tasks.get(digest)
        if known is None or known[0] != registry.generation:
            holds = all(self._is_current(*entry) for entry in self.task_set(digest).tasks)
            known = self._tasks[digest] = (registry.generation, holds)
        return known[1]

    def _is_current(self, name: str, digest: Digest, defaults: tuple[tuple[str, Digest], ...]) -> bool:
        task = registry.get(name)
        if task is None or cache_scope(task.task_options) != "BACKEND":
            return False
        try:
            prepared = self._fingerprints.prepare(task)
        except RedunError:
            return False
        if prepared.digest != digest or not prepared.cacheable:
            return False
        return all(prepared.default_ids.get(parameter) == value for parameter, value in defaults)

    # -- external values ----------------------------------------------------------------------------------------------

    def _ext_holds(self, root: Digest, finished: int, tasks: Digest) -> bool:
        """Walks the DAG once; a node that failed makes all above it fail. Iterative: chains are long.

        Args:
            tasks: the set of tasks that it belongs to, all of which are current.
        """
        exts = self._exts
        self._prefetch(root, finished)
        #: With what is past above a node: then what is found of it is no verdict on it alone.
        stack: list[tuple[Digest, bool, frozenset[Digest]]] = [(root, False, _NOTHING)]
        walked: set[tuple[Digest, frozenset[Digest]]] = set()
        while stack:
            digest, children_done, past = stack.pop()
            known = exts.get(digest)
            if known is not None and known[0] == finished and (known[1] or not past):
                if not known[1]:
                    return self._fail(root, finished)
                continue
            record = self.part(digest)
            if not isinstance(record, ExtRecord):
                raise CodecError(f"footprint {digest.hex()} is no node of external values")
            if children_done:
                exts[digest] = (finished, True)
                continue
            if past:
                if (digest, past) in walked:
                    continue
                walked.add((digest, past))
            else:
                stack.append((digest, True, past))
            below = past.union(record.past) if record.past else past
            if not all(value in below or self._is_valid(value, finished, tasks) for value in record.values()):
                if not past:
                    exts[digest] = (finished, False)
                return self._fail(root, finished)
            stack += [(child, False, below) for child in record.children]
            stack += [(child, False, below) for name, child in record.barriers if not _is_shallow(registry.get(name))]
        return True

    def _prefetch(self, root: Digest, finished: int) -> None:
        """Reads a DAG level by level, in one transaction each, and then its values, and looks at files among them."""
        values: dict[Digest, None] = {}
        level = [root]
        while level:
            unread = [digest for digest in level if digest not in self._parts]
            if not unread:
                break
            for digest, item in zip(unread, self._fetch_many(unread), strict=True):
                if item is not None and item[0] == "footprint":
                    self._parts[digest] = parse_footprint(bytes(item[1]))
            found = [self._parts.get(digest) for digest in unread]
            records = [record for record in found if isinstance(record, ExtRecord)]
            values.update((value, None) for record in records for value in record.values())
            level = list({child: None for record in records for child in record.children})
        self._outside.load(values, finished)

    def _fail(self, root: Digest, finished: int) -> bool:
        self._exts[root] = (finished, False)
        return False

    def _is_valid(self, digest: Digest, finished: int, tasks: Digest) -> bool:
        known = self._outside.verdict(digest, finished)
        if known is not None:
            return known
        external = self._outside.get(digest)
        valid = (
            self._is_code_valid(external, tasks) if isinstance(external, CodeExternal) else self.looks.holds(external)
        )
        return self._outside.keep(digest, finished, valid)

    def _is_code_valid(self, external: CodeExternal, tasks: Digest) -> bool:
        target = external.target()
        if target is None:
            return self._covers(tasks, external.name)
        return self._fingerprints.code_id(target, registry.get(external.consumer))[0] == external.digest

    def _covers(self, tasks: Digest, name: str) -> bool:
        """Whether the fingerprint of one of the tasks, which are current, tells of code that nobody has imported here:
        bodies may be the only ones to do so. Then that code is as it was when both were recorded."""
        known = (registry.get(fullname) for fullname, _, _ in self.task_set(tasks).tasks)
        return any(task is not None and name in self._fingerprints.prepare(task).covers for task in known)


def _is_shallow(task: Task[..., Any] | None) -> bool:
    return task is not None and task.task_options.get("check_valid") == "shallow"
