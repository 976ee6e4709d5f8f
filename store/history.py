"""History: chains of executions, one a store, merged by time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence

from redun.core.digest import Digest
from redun.core.errors import MalformedObject, NotFound, StoreDamaged
from redun.core.objects import ExecRecord, JobsRecord, TreeRecord
from redun.store import lost
from redun.store.gc.shallow import Missing, all_shallow, declared
from redun.store.ports import Backend
from redun.store.problems import Progress
from redun.store.refs import EXECUTIONS, all_refs

Get = Callable[[Digest], tuple[str, bytes]]
#: What orders an execution, its id, the ref of its chain, and the execution.
_Entry = tuple[int, Digest, str, ExecRecord]


def executions(backend: Backend, get: Get) -> Iterator[tuple[Digest, ExecRecord]]:
    """Returns every execution that was not pruned, newest first.

    Raises:
        StoreDamaged: if a chain leads to something that is not an execution.
    """
    return ((digest, record) for _, digest, record in chained(backend, get))


def chained(backend: Backend, get: Get) -> Iterator[tuple[str, Digest, ExecRecord]]:
    """Returns every execution that was not pruned, newest first, each with the ref of the chain that led to it.

    Chains are merged by the time at which runs started; inside a chain its order counts, whatever the clocks said.

    Who takes his time meets what gc has collected meanwhile: a chain then ends there, as for who comes later.

    Raises:
        StoreDamaged: if a chain leads to something that is not an execution.
    """
    shallow = all_shallow(backend)
    refs = all_refs(backend).items()
    heads = [_entry(get, digest, name) for name, digest in refs if name.startswith(EXECUTIONS)]
    heapq.heapify(heads)
    seen: set[Digest] = set()
    while heads:
        _, digest, name, record = heapq.heappop(heads)
        if digest in seen:
            continue  # two refs lead here
        seen.add(digest)
        missing = shallow.get(digest, Missing(0))
        if not missing & Missing.CONTENTS:
            yield name, digest, record
        parent = None if missing & Missing.PARENT else present(backend, record.parent)
        older = None if parent is None else _older(backend, get, digest, parent, name)
        if older is not None:
            heapq.heappush(heads, older)


def present(backend: Backend, execution: Digest | None) -> Digest | None:
    """Returns an execution, or where it is known to be lost the next older one that is not: chains go on behind it."""
    while execution is not None:
        some = execution
        if backend.read(lambda txn, some=some: txn.present("objects", [some])):  # type: ignore[misc]
            break
        loss = backend.read(lambda txn, some=some: lost.among(txn, [some])).get(some)  # type: ignore[misc]
        if loss is None:
            break
        execution = loss.parent
    return execution


def _older(backend: Backend, get: Get, digest: Digest, parent: Digest, name: str) -> _Entry | None:
    """Returns the entry of the execution before one, or None where a collection has taken it meanwhile."""
    try:
        return _entry(get, parent, name)
    except StoreDamaged as error:
        missing = isinstance(error.__cause__, NotFound)
        if missing and backend.read(lambda txn: declared(txn, digest) or not txn.present("objects", [digest])):
            return None
        raise


def _entry(get: Get, digest: Digest, name: str) -> _Entry:
    try:
        kind, payload = get(digest)
    except NotFound as error:
        raise StoreDamaged(f"execution {digest.hex()} is missing", hint="redun fsck") from error
    if kind != "exec":
        raise StoreDamaged(f"a chain of executions leads to the {kind} {digest.hex()}", hint="redun fsck")
    record = ExecRecord.parse(payload)
    return -record.start, digest, name, record


def counted(listed: Iterator[tuple[Digest, ExecRecord]], progress: Progress) -> Iterator[tuple[Digest, ExecRecord]]:
    """Returns the executions, and says how many have gone by; nobody knows how many there will be."""
    for number, item in enumerate(listed, 1):
        progress("executions", number, 0)
        yield item


def job_pages(backend: Backend, get: Get, pages: Sequence[Digest]) -> Iterator[JobsRecord]:
    """Returns the pages of job rows that an execution or a live run lists, through trees where there are any; not those
    that are known to be lost.

    Raises:
        MalformedObject: if something else is listed.
        NotFound: if a page is missing.
    """
    stack = list(reversed(pages))
    while stack:
        digest = stack.pop()
        try:
            kind, payload = get(digest)
        except NotFound:
            if not backend.read(lambda txn, some=digest: lost.among(txn, [some])):  # type: ignore[misc]
                raise
            continue
        if kind == "tree":
            stack.extend(reversed(TreeRecord.parse(payload).children))
        elif kind == "jobs":
            yield JobsRecord.parse(payload)
        else:
            raise MalformedObject(f"a {kind} ({digest.hex()}) where a page of jobs is listed")
