"""What a store holds, counted: by kind of object, by task, and what is largest."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import heapq
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from redun.core.digest import Digest
from redun.core.errors import MalformedObject, NotFound, StoreDamaged
from redun.core.objects import CallRecord, ExecRecord, TaskRecord
from redun.store.check_objects import pages
from redun.store.objects import Objects, kind_of, size_of
from redun.store.ports import Backend
from redun.store.problems import Progress

#: Kinds that hold what tasks computed; the others hold how.
_VALUES: Final = frozenset({"value", "blob", "tree"})


class KindTotal(NamedTuple):
    """How many objects of a kind there are, and their bytes as stored, files included."""

    kind: str
    objects: int
    size: int


class TaskTotal(NamedTuple):
    """What the history counts of a task: jobs that ran, that were answered, that failed, and executions with any."""

    fullname: str
    ran: int
    cached: int
    failed: int
    executions: int


class Large(NamedTuple):
    """A large object: `made_by` are the tasks of calls that gave it, or a value that it is part of."""

    digest: Digest
    kind: str
    size: int
    made_by: tuple[str, ...]


class Statistics(NamedTuple):
    """What a store holds.

    Attributes:
        kinds: by kind, largest first.
        tasks: by task, most jobs first.
        large: the largest values, largest first.
        executions, oldest, newest: how many there are, and when the first and the last began (microseconds since the
            epoch; None where there is none).
        cache: rows of the cache.
        trash: what was swept and can be had back.
    """

    kinds: tuple[KindTotal, ...]
    tasks: tuple[TaskTotal, ...]
    large: tuple[Large, ...]
    executions: int
    oldest: int | None
    newest: int | None
    cache: int
    trash: KindTotal


def measure(
    backend: Backend, objects: Objects, history: Iterable[tuple[Digest, ExecRecord]], largest: int, progress: Progress
) -> Statistics:
    """Returns what a store holds, reading each object once or twice.

    Args:
        history: the executions.
        largest: of how many values it is told who made them.

    Raises:
        StoreDamaged: if an object that has to be read for it does not fit its id.
    """
    kinds: dict[str, list[int]] = {}
    heap: list[tuple[int, bytes, str]] = []
    total, done = backend.read(lambda txn: txn.count("objects")), 0
    for page in pages(backend, "objects"):
        for digest, env in page:
            kind, size = _kind(env), size_of(env)
            row = kinds.setdefault(kind, [0, 0])
            row[0] += 1
            row[1] += size
            if kind in _VALUES and (len(heap) < largest or (heap and size > heap[0][0])):
                (heapq.heappush if len(heap) < largest else heapq.heapreplace)(heap, (size, digest, kind))
        done += len(page)
        progress("objects", done, max(total, done))
    makers = _makers(backend, objects, {digest for _, digest, _ in heap}, progress) if heap else {}
    tasks, executions, oldest, newest = _history(history)
    trash = [(len(page), sum(size_of(env[8:]) for _, env in page)) for page in pages(backend, "trash")]
    return Statistics(
        tuple(KindTotal(kind, *row) for kind, row in sorted(kinds.items(), key=lambda item: -item[1][1])),
        tasks,
        tuple(Large(Digest(d), kind, size, makers.get(d, ())) for size, d, kind in sorted(heap, reverse=True)),
        executions,
        oldest,
        newest,
        backend.read(lambda txn: txn.count("memo")),
        KindTotal("trash", sum(number for number, _ in trash), sum(size for _, size in trash)),
    )


def _kind(env: bytes) -> str:
    try:
        return kind_of(env)
    except StoreDamaged:
        return "damaged"


def _makers(backend: Backend, objects: Objects, wanted: set[bytes], progress: Progress) -> dict[bytes, tuple[str, ...]]:
    """Finds the tasks whose calls gave the objects, or a value around them: two looks at all that may point there."""
    holders = {digest: {digest} for digest in wanted}  # what stands for which of them: itself, and what it is part of
    for digest, env in _rows(backend, {"value", "tree"}):
        inside = [target for target in wanted if target in env]
        if inside and digest not in wanted:
            holders[digest] = set(inside)
    found: dict[bytes, dict[str, None]] = {}
    names: dict[Digest, str] = {}
    for digest, env in _rows(backend, {"call"}):
        if not any(holder in env for holder in holders):
            continue
        try:
            call = CallRecord.parse(bytes(objects.open(digest, env)[1]))
        except MalformedObject:
            continue
        for target in holders.get(call.result or b"", ()):
            found.setdefault(target, {})[_name(backend, objects, call.task, names)] = None
    progress("makers", 1, 1)
    return {digest: tuple(sorted(fullnames)) for digest, fullnames in found.items()}


def _rows(backend: Backend, kinds: set[str]) -> Iterator[tuple[bytes, bytes]]:
    for page in pages(backend, "objects"):
        yield from ((digest, env) for digest, env in page if _kind(env) in kinds)


def _name(backend: Backend, objects: Objects, task: Digest, names: dict[Digest, str]) -> str:
    if task not in names:
        env = backend.read(lambda txn: txn.get("objects", task))
        try:
            if env is None:
                raise NotFound("")
            names[task] = TaskRecord.parse(bytes(objects.open(task, env)[1])).fullname
        except (NotFound, MalformedObject):
            names[task] = task.hex()
    return names[task]


def _history(
    history: Iterable[tuple[Digest, ExecRecord]],
) -> tuple[tuple[TaskTotal, ...], int, int | None, int | None]:
    rows: dict[str, list[int]] = {}
    starts: list[int] = []
    for _, record in history:
        starts.append(record.start)
        for count in record.counts:
            row = rows.setdefault(count.fullname, [0, 0, 0, 0])
            for place, number in enumerate((count.done, count.cached, count.failed, 1)):
                row[place] += number
    tasks = (TaskTotal(fullname, *row) for fullname, row in rows.items())
    ordered = sorted(tasks, key=lambda task: (-task.ran - task.cached, task.fullname))
    return tuple(ordered), len(starts), min(starts, default=None), max(starts, default=None)
