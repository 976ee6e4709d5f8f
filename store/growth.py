"""What each execution was the first to name: how a store grew, how old what it holds is, and how often it is shared."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import sys
from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import StoreDamaged
from redun.store.gc.reach import Reach
from redun.store.gc.shallow import all_shallow
from redun.store.journal import now
from redun.store.objects import Objects
from redun.store.ports import Backend
from redun.store.problems import Progress
from redun.store.refs import EXECUTIONS, all_refs

_DAY: Final = 86_400 * 1_000_000
#: Ages, and up to how many days they reach.
_AGES: Final = (
    ("within a day", 1),
    ("within a week", 7),
    ("within 30 days", 30),
    ("within a year", 365),
    ("before", 1 << 40),
)
#: What no execution names: what other refs do, and what nothing does, but for runs that have not ended.
_OTHERS: Final = "by other names"
_NOTHING: Final = "by nothing"


class Age(NamedTuple):
    """What was first named by executions of an age (`within a day` to `before`), `by other names` or `by nothing`."""

    age: str
    executions: int
    objects: int
    size: int


class Growth(NamedTuple):
    """What an execution led to that no older one did: objects, and their bytes as stored."""

    execution: Digest
    uuid: bytes
    start: int
    objects: int
    size: int


class Reached(NamedTuple):
    """What following all pointers tells; nothing where they were not followed.

    Attributes:
        mentions: how many pointers there are to each object, in the order of ids.
    """

    ages: tuple[Age, ...] = ()
    growth: tuple[Growth, ...] = ()
    mentions: Sequence[int] | None = None


class _Mentions(Reach):
    """Counts how often each object is come upon."""

    def follow(self, roots: Sequence[Digest], counts: "array[int]") -> tuple[int, int]:
        """Marks what can be reached; returns how many objects and bytes are new."""
        place = super()._place
        before = self.count, self.size

        def counted(digest: bytes) -> int:
            at = place(digest)
            if at >= 0:
                counts[at] += 1
            return at

        self._place = counted  # type: ignore[method-assign]
        self.mark(roots)
        del self._place
        return self.count - before[0], self.size - before[1]


def follow(
    backend: Backend,
    objects: Objects,
    fmt: ObjectFormat,
    starts: bytearray,
    executions: Sequence[tuple[Digest, bytes, int]],
    sizes: Sequence[int],
    progress: Progress,
) -> Reached:
    """Follows all pointers, from the oldest execution to the newest. Returns nothing where that cannot be done.

    Args:
        starts: the first eight bytes of the ids of all objects, in their order; `sizes` are their bytes.
        executions: id, uuid, and when it began, newest first.
    """
    places = array("Q", starts)
    if sys.byteorder == "little":
        places.byteswap()
    reach = _Mentions(backend, objects, fmt, all_shallow(backend), progress, places)
    counts: array[int] = array("L", bytes(array("L").itemsize * len(places)))
    growth: list[Growth] = []
    try:
        for digest, uuid, start in reversed(executions):
            growth.append(Growth(digest, uuid, start, *reach.follow([digest], counts)))
        named = [digest for name, digest in all_refs(backend).items() if not name.startswith(EXECUTIONS)]
        others = reach.follow(named, counts)
    except StoreDamaged:
        return Reached()
    rest = max(len(sizes) - reach.count, 0), max(sum(sizes) - reach.size, 0)
    ages = [*_by_age(growth), Age(_OTHERS, 0, *others), Age(_NOTHING, 0, *rest)]
    growth.reverse()
    return Reached(tuple(age for age in ages if age.objects), tuple(growth), counts)


def _by_age(growth: Sequence[Growth]) -> list[Age]:
    moment = now()
    rows = [[0, 0, 0] for _ in _AGES]
    for one in growth:
        place = next(place for place, (_, days) in enumerate(_AGES) if moment - one.start <= days * _DAY)
        for at, number in enumerate((1, one.objects, one.size)):
            rows[place][at] += number
    return [Age(name, *row) for (name, _), row in zip(_AGES, rows, strict=True)]
