"""Which objects the other side lacks: a walk from some roots that stops at what it has.

Every question costs a round trip, so many objects are asked for at once; where a graph is deep and narrow, what lies
below is looked at before the answer is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from redun.core.digest import Digest
from redun.store.copying import Source
from redun.store.problems import Progress
from redun.store.sync.chains import new_executions
from redun.store.sync.peers import Ask, Boundary

#: Objects asked for at once where there are so many, and those that are looked for ahead of an answer.
_ASKED: Final = 20_000
_AHEAD: Final = 2_000


class Plan(NamedTuple):
    """What is to be sent: objects in the order in which they were found, what is said of executions among them, and
    what of them has not been sent."""

    objects: list[Digest]
    boundaries: list[Boundary]
    left: set[Digest]


def plan(source: Source, roots: Sequence[Digest], ask: Ask, progress: Progress, *, ahead: int = _AHEAD) -> Plan:
    """Returns what the roots lead to and the other side lacks.

    Args:
        ahead: objects looked for ahead of an answer.

    Raises:
        StoreDamaged: if something that is to be sent is missing or damaged here.
    """
    planning = _Planning(source, ask, progress, ahead)
    boundaries: list[Boundary] = []
    others: list[Digest] = []
    for root in dict.fromkeys(roots):
        if source.kind(root) == "exec":
            boundaries += planning.chain(root)
        else:
            others.append(root)
    planning.add(others)
    planning.walk()
    return Plan(planning.found, boundaries, planning.left())


class _Planning:
    def __init__(self, source: Source, ask: Ask, progress: Progress, ahead: int) -> None:
        self._source = source
        self._ask = ask
        self._progress = progress
        self._ahead = ahead
        self._seen: set[Digest] = set()
        self._waiting: list[Digest] = []
        self._there: list[Digest] = []
        self.found: list[Digest] = []

    def chain(self, head: Digest) -> list[Boundary]:
        """Finds the executions of a chain, and looks at what they lead to, next."""
        fresh = [digest for digest in new_executions(self._source, head, self._ask) if digest not in self._seen]
        self._seen.update(fresh)
        self.found += fresh
        for points in self._source.points(fresh):
            self.add(points)
        declared = ((digest, self._source.declared(digest)) for digest in fresh)
        return [Boundary(digest, missing) for digest, missing in declared if missing]

    def add(self, digests: Sequence[Digest]) -> None:
        """Objects to ask for, if they were not met before."""
        seen = self._seen
        for digest in digests:
            if digest not in seen:
                seen.add(digest)
                self._waiting.append(digest)

    def walk(self) -> None:
        """Asks until nothing is left to ask for."""
        while self._waiting:
            asked, self._waiting = self._waiting[:_ASKED], self._waiting[_ASKED:]
            looked = self._look_ahead(asked)
            absent = set(self._ask(asked))
            self.found += [digest for digest in asked if digest in absent]
            self._there += [digest for digest in asked if digest not in absent]
            below = [digest for digest in asked[looked:] if digest in absent]
            for points in self._source.points(below):
                self.add(points)
            self._progress("looking", len(self.found), 0)

    def left(self) -> set[Digest]:
        """Returns what was found, and forgets what was met: that is nearly the same, and of some size."""
        left, self._seen = self._seen, set()
        left.difference_update(self._there)
        return left

    def _look_ahead(self, asked: list[Digest]) -> int:
        """Adds what few objects lead to, and that of it, to those that are asked for at once; returns at how many it
        has looked. What the other side has it has whole, so nothing is lost by asking for more of it."""
        looked = 0
        while not self._waiting and looked < len(asked) < self._ahead:
            some = asked[looked:]
            looked = len(asked)
            for points in self._source.points(some):
                self.add(points)
            asked += self._waiting
            self._waiting = []
        return looked
