"""Marking: which objects of a store can be reached from where.

Three million objects fit: an object takes nine bytes, the start of its id and its mark. Two ids that start with the
same eight bytes share a mark, so at worst something is kept that could go.
"""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from math import isqrt
from typing import Final

from redun.core import limits
from redun.core.codec import POINTER_HEADS, references
from redun.core.digest import Digest, ObjectFormat
from redun.core.objects import ExecRecord
from redun.store import history, lost
from redun.store.gc import trash
from redun.store.gc.shallow import Missing
from redun.store.objects import IN_FILE, Objects, kind_of, size_of
from redun.store.ports import Backend
from redun.store.problems import Progress

_START: Final = 8
#: Objects read in one transaction.
_STEP: Final = 1000


class Reach:
    """The objects that are there when it is made, and those of them that were reached so far.

    Args:
        starts: the first eight bytes of all ids as numbers, in their order, where they are known.

    Attributes:
        count, size: how many objects were reached, and their bytes as stored, files included.
        total: how many objects there are.
        missing: ids that were reached and are nowhere, at most `limits.SCAN_KEYS`.
        rescued: ids that were reached and are in the trash.
        lost: ids that were reached and are known to be lost.
    """

    def __init__(
        self,
        backend: Backend,
        objects: Objects,
        fmt: ObjectFormat,
        shallow: Mapping[Digest, Missing],
        progress: Progress,
        starts: array[int] | None = None,
    ) -> None:
        self._backend = backend
        self._shallow = shallow
        self._objects = objects
        self._progress = progress
        self._starts = _starts(backend) if starts is None else starts
        self._marks = bytearray(len(self._starts))
        #: The standard deviation of a place from where it is expected is half the root, at most.
        self._slack = 2 * isqrt(len(self._starts)) + 8
        #: What was reached and has come, or come back, since the list was made.
        self._others: set[bytes] = set()
        # Searched for, not unpacked: that is ten times faster. Also where a pointer may hide behind bytes that look
        # like one; what only looks like one leads nowhere, or keeps something that could go.
        self._find = re.compile(b"(?=%b(.{%d}))" % (re.escape(POINTER_HEADS[fmt.size]), fmt.size), re.DOTALL).findall
        self._head = POINTER_HEADS[fmt.size]
        self.count = 0
        self.size = 0
        self.total = len(self._starts)
        self.missing: list[Digest] = []
        self.rescued: list[bytes] = []
        self.lost: set[bytes] = set()
        self._parents: dict[Digest, Digest] = {}

    def has(self, digest: bytes) -> bool:
        """Returns whether an object was reached; also for one that is newer than the list."""
        at = self._place(digest)
        return at < 0 or bool(self._marks[at])

    def mark(self, roots: Iterable[Digest]) -> None:
        """Marks what can be reached. Of executions that are reached, the parents are not: roots name them one by one.

        Raises:
            StoreDamaged: if an object that can be reached does not fit its id.
        """
        todo = self._unmarked(roots)
        while todo:
            step = todo[-_STEP:]
            del todo[-_STEP:]
            for digest, env in self._read(step):
                todo += self._unmarked(*self._inside(digest, env))
            self._progress("marked", self.count, max(self.total, self.count))

    def mark_alone(self, digest: Digest) -> None:
        """Marks an object and nothing that it points to."""
        for reached, env in self._read(self._unmarked([digest])):
            self._count(env)
            self._execution(reached, bytes(self._objects.open(reached, env)[1]))

    def cut_off(self) -> list[Digest]:
        """Returns the executions that were reached and whose parents were not."""
        return [digest for digest, parent in self._parents.items() if not self.has(parent)]

    def _execution(self, digest: bytes, payload: bytes) -> Digest | None:
        parent = ExecRecord.parse(payload).parent
        older = history.present(self._backend, parent)
        if older is not None:
            self._parents[Digest(digest)] = older
        return parent

    def _unmarked(self, digests: Iterable[bytes], payload: bytes = b"") -> list[bytes]:
        """Marks those that have no mark yet, and returns them.

        Args:
            payload: where they were found, if what is not in the list may only look like a pointer there.
        """
        fresh, strange = [], []
        marks, place = self._marks, self._place
        for digest in digests:
            at = place(digest)
            if at < 0:
                strange.append(digest)
            elif not marks[at]:
                marks[at] = 1
                fresh.append(digest)
        if strange:
            pointers = set(references(payload)) if payload else strange
            fresh += [digest for digest in dict.fromkeys(strange) if digest in pointers and digest not in self._others]
            self._others.update(fresh)
        return fresh

    def _place(self, digest: bytes) -> int:
        """Returns where in the list an object is, -1 if nowhere. Ids are as good as random, so its place is nearly
        known: searching around there stays within few pages of memory."""
        starts, slack = self._starts, self._slack
        start = int.from_bytes(digest[:_START], "big")
        guess = start * len(starts) >> 8 * _START
        low, high = max(guess - slack, 0), min(guess + slack, len(starts))
        at = bisect_left(starts, start, low, high)
        if at in (low, high):  # so far off are few
            at = bisect_left(starts, start)
        return at if at < len(starts) and starts[at] == start else -1

    def _read(self, digests: list[bytes]) -> list[tuple[bytes, bytes]]:
        digests.sort()
        rows = self._backend.read(lambda txn: txn.get_many("objects", digests))
        if len(rows) < len(digests):
            absent = set(digests).difference(digest for digest, _ in rows)
            thrown = self._backend.read(lambda txn: trash.find(txn, absent))
            rows += thrown
            self.rescued += [digest for digest, _ in thrown]
            gone = absent.difference(digest for digest, _ in thrown)
            known = self._backend.read(lambda txn: lost.among(txn, gone))
            self.lost.update(known)
            self.missing += map(Digest, sorted(gone.difference(known))[: limits.SCAN_KEYS - len(self.missing)])
        return rows

    def _count(self, env: bytes) -> None:
        self.count += 1
        self.size += size_of(env)

    def _inside(self, digest: bytes, env: bytes) -> tuple[Sequence[bytes], bytes]:
        """Returns what an object points to, or may point to, and in the latter case its payload."""
        self._count(env)
        if env[0] == IN_FILE and kind_of(env) == "blob":
            return (), b""  # it points to nothing, and reading gigabytes to see that would take minutes
        kind, content = self._objects.open(digest, env)
        payload = bytes(content)
        if kind == "exec":
            parent = self._execution(digest, payload)
            if self._shallow.get(Digest(digest), Missing(0)) & Missing.CONTENTS:
                return (), b""
            return [found for found in references(payload) if found != parent], b""
        return (self._find(payload), payload) if self._head in payload else ((), b"")


def _starts(backend: Backend) -> array[int]:
    """The first eight bytes of all ids as numbers, in their order."""
    starts = array("Q")
    at = b""
    while True:
        page = backend.read(lambda txn, at=at: txn.scan_keys("objects", at, limits.SCAN_KEYS))  # type: ignore[misc]
        starts.frombytes(b"".join([key[:_START] for key in page]))
        if len(page) < limits.SCAN_KEYS:
            break
        at = page[-1] + b"\0"
    if sys.byteorder == "little":
        starts.byteswap()
    return starts
