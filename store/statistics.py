"""What a store holds, counted: by kind of object, by task, by age, and what is largest."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import heapq
from array import array
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from redun.core import limits
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import StoreDamaged
from redun.core.objects import ExecRecord
from redun.store import compression
from redun.store.growth import Age, Growth, Reached, follow
from redun.store.history import counted
from redun.store.makers import makers
from redun.store.objects import HEAD_BYTES, IN_FILE, RAW, SIZE_BYTES, ZSTD, Objects, kind_of
from redun.store.ports import Backend
from redun.store.problems import Progress

#: Kinds that hold what tasks computed; the others hold how.
VALUES: Final = frozenset({"value", "blob", "tree"})
_DAMAGED: Final = "damaged"
_RAW: Final = bytes((RAW,))
#: From here on the byte of the kind is the length of its name, which follows.
_NAMED: Final = 0x80
_NAMED_MARK: Final = bytes((_NAMED,))
#: Bytes of a row, on average, up to which rows are small.
_SMALL: Final = 512
#: In the trash the time of the sweep stands in front of the envelope.
_TIME_BYTES: Final = 8


class KindTotal(NamedTuple):
    """How many objects of a kind there are.

    Attributes:
        size: their bytes as stored, files included.
        payload: their bytes before compression.
        named: their bytes if each pointer to one had a copy of its own; None where pointers were not followed.
    """

    kind: str
    objects: int
    size: int
    payload: int
    named: int | None = None


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
        used, free: bytes of the data file that hold something, and those that are free for what is written next.
        ages: what was first named by executions of an age, by other names, or by nothing; empty where pointers were not
            followed, because that was not asked for or something that has to be read for it is damaged.
        growth: what each execution was the first to name, newest first; likewise.
    """

    kinds: tuple[KindTotal, ...]
    tasks: tuple[TaskTotal, ...]
    large: tuple[Large, ...]
    executions: int
    oldest: int | None
    newest: int | None
    cache: int
    trash: KindTotal
    used: int
    free: int
    ages: tuple[Age, ...]
    growth: tuple[Growth, ...]


class Columns:
    """The sizes of all objects of a table, in the order of ids.

    Attributes:
        starts: the first eight bytes of each id.
        sizes: the bytes of each, as stored.
        kinds: the place of its kind in `names`.
        large: (size, id, kind) of the largest values, largest first.
    """

    def __init__(self, backend: Backend, table: str, largest: int, progress: Progress) -> None:
        self.starts = bytearray()
        self.sizes: array[int] = array("Q")
        self.kinds: array[int] = array("H")
        self.names: list[str] = []
        self._payloads: list[int] = []
        self._places: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes, str]] = []
        self._largest = largest
        #: Sizes up to here are not among the largest.
        self._floor = -1 if largest else 1 << 63
        skipped = _TIME_BYTES if table == "trash" else 0
        total, at, small = backend.read(lambda txn: txn.count(table)), b"", False
        while True:
            page = _page(backend, table, at, skipped, small=small)
            self.starts += b"".join([key[:8] for key, _, _ in page])
            self._add([(key, head[skipped:], size - skipped) for key, head, size in page] if skipped else page)
            progress("objects", len(self.sizes), max(total, len(self.sizes)))
            if len(page) < limits.SCAN_KEYS:
                break
            at = page[-1][0] + b"\0"
            small = sum([size for _, _, size in page]) < _SMALL * len(page)
        self.large = sorted(self._heap, reverse=True)

    def _add(self, page: list[tuple[bytes, bytes, int]]) -> None:
        places, payloads, add_size, add_kind = self._places, self._payloads, self.sizes.append, self.kinds.append
        for digest, head, size in page:
            mark = head[1:2]
            place = places.get(mark)
            if place is None:
                place = self._place(head)
            if head[:1] == _RAW and mark < _NAMED_MARK:  # nearly all
                payload, taken = size - 2, size
            else:
                payload, taken = _sizes(head, size)
            payloads[place] += payload
            add_size(taken)
            add_kind(place)
            if taken > self._floor:
                self._consider(taken, digest, self.names[place])

    def _place(self, head: bytes) -> int:
        try:
            name = kind_of(head)
        except StoreDamaged:
            name = _DAMAGED
        if name not in self.names:
            self.names.append(name)
            self._payloads.append(0)
        place = self.names.index(name)
        if name != _DAMAGED and head[1] < _NAMED:  # one byte says all
            self._places[head[1:2]] = place
        return place

    def _consider(self, size: int, digest: bytes, kind: str) -> None:
        if kind not in VALUES:
            return
        heap = self._heap
        (heapq.heappush if len(heap) < self._largest else heapq.heapreplace)(heap, (size, digest, kind))
        if len(heap) == self._largest:
            self._floor = heap[0][0]

    def totals(self, mentions: Iterable[int] | None = None) -> tuple[KindTotal, ...]:
        """Returns the totals by kind, largest first.

        Args:
            mentions: how many pointers there are to each object.
        """
        rows = [[0, 0, 0] for _ in self.names]
        for place, size, times in zip(self.kinds, self.sizes, mentions or bytes(len(self.sizes)), strict=True):
            row = rows[place]
            row[0] += 1
            row[1] += size
            row[2] += size * times
        found = (
            KindTotal(name, row[0], row[1], payload, None if mentions is None else row[2])
            for name, row, payload in zip(self.names, rows, self._payloads, strict=True)
        )
        return tuple(sorted(found, key=lambda total: -total.size))


def _page(backend: Backend, table: str, at: bytes, skipped: int, *, small: bool) -> list[tuple[bytes, bytes, int]]:
    """Returns keys with heads and sizes. Small rows are read whole, which takes half the time; ids are in no order of
    size, so that those of the next page are as large as those of the last one."""
    if not small:
        return backend.heads(table, at, limits.SCAN_KEYS, skipped + HEAD_BYTES + SIZE_BYTES)
    rows = backend.read(lambda txn: txn.scan(table, at, limits.SCAN_KEYS))
    return [(key, env, len(env)) for key, env in rows]


def _sizes(head: bytes, size: int) -> tuple[int, int]:
    """Returns the size of a payload, and the bytes that the object takes."""
    if len(head) < 2:
        return 0, size
    end = 2 if head[1] < _NAMED else 2 + (head[1] & 0x7F)
    if head[0] == IN_FILE:
        payload = int.from_bytes(head[end : end + SIZE_BYTES], "big")
        return payload, size + payload
    if head[0] == ZSTD:
        return int.from_bytes(head[end : end + compression.SIZE_BYTES], "big"), size
    return size - end, size


class _History:
    """Counts executions while they go by."""

    def __init__(self, history: Iterable[tuple[Digest, ExecRecord]]) -> None:
        self._rows: dict[str, list[int]] = {}
        #: (id, uuid, when it began), newest first.
        self.starts: list[tuple[Digest, bytes, int]] = []
        for digest, record in history:
            self.starts.append((digest, record.uuid, record.start))
            for count in record.counts:
                row = self._rows.setdefault(count.fullname, [0, 0, 0, 0])
                for place, number in enumerate((count.done, count.cached, count.failed, 1)):
                    row[place] += number

    def tasks(self) -> tuple[TaskTotal, ...]:
        tasks = (TaskTotal(fullname, *row) for fullname, row in self._rows.items())
        return tuple(sorted(tasks, key=lambda task: (-task.ran - task.cached, task.fullname)))


def measure(
    backend: Backend,
    objects: Objects,
    fmt: ObjectFormat,
    history: Iterator[tuple[Digest, ExecRecord]],
    largest: int,
    progress: Progress,
    *,
    quick: bool,
) -> Statistics:
    """Returns what a store holds. See `Store.statistics`.

    Args:
        history: the executions.

    Raises:
        StoreDamaged: if the history, or an object that has to be read to tell who made another, is damaged.
    """
    columns = Columns(backend, "objects", largest, progress)
    wanted = [digest for _, digest, _ in columns.large]
    made_by = makers(backend, objects, fmt, wanted, progress) if wanted else {}
    seen = _History(counted(history, progress))
    reached = (
        Reached() if quick else follow(backend, objects, fmt, columns.starts, seen.starts, columns.sizes, progress)
    )
    thrown = Columns(backend, "trash", 0, progress).totals()
    starts = [start for _, _, start in seen.starts]
    used, free = backend.space()
    return Statistics(
        columns.totals(reached.mentions),
        seen.tasks(),
        tuple(Large(Digest(d), kind, size, made_by.get(d, ())) for size, d, kind in columns.large),
        len(starts),
        min(starts, default=None),
        max(starts, default=None),
        backend.read(lambda txn: txn.count("memo")),
        KindTotal("trash", *(sum(kind[place] for kind in thrown) for place in (1, 2, 3))),  # type: ignore[misc]
        used,
        free,
        reached.ages,
        reached.growth,
    )
