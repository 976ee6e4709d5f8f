"""Which objects lead to something that is missing: those are hollow, all others solid."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from redun.core import limits
from redun.core.codec import POINTER_HEADS, references
from redun.core.digest import Digest
from redun.core.errors import MalformedObject, StoreDamaged
from redun.core.objects import CallRecord, TaskSetRecord, parse_footprint
from redun.store.mending.work import Work
from redun.store.objects import IN_FILE, kind_of
from redun.store.ports import Backend

_START: Final = 8
_UNKNOWN, _SOLID, _HOLLOW = 0, 1, 2


class Solidity:
    """Answers for one object after another, and looks at each only once. An object takes nine bytes of memory.

    Args:
        code: whether tasks and their code count. Whoever asks for a call puts its task by that.
    """

    def __init__(self, work: Work, *, code: bool) -> None:
        self._work = work
        self._code = code
        self._starts = _starts(work.backend)
        self._verdicts = bytearray(len(self._starts))

    def is_solid(self, root: Digest) -> bool:
        """Returns whether an object, and all that it leads to, is there."""
        # From the leaves up, without recursion: calls may be 100,000 deep.
        stack: list[tuple[bytes, list[Digest]]] = []
        verdict = self._enter(root, stack)
        while stack:
            digest, children = stack[-1]
            if verdict == _HOLLOW or not children:
                stack.pop()
                verdict = _HOLLOW if verdict == _HOLLOW else _SOLID
                self._verdicts[self._place(digest)] = verdict
            else:
                verdict = self._enter(children.pop(), stack)
        return verdict == _SOLID

    def _enter(self, digest: Digest, stack: list[tuple[bytes, list[Digest]]]) -> int:
        """Returns the verdict of an object, or puts it on the stack where there is none yet."""
        place = self._place(digest)
        if place < 0:  # where it is in the trash, whoever asks for it has it back
            return _SOLID if self._work.has(digest) else _HOLLOW
        if self._verdicts[place] == _UNKNOWN:
            children = self._inside(digest)
            if children is None:
                self._verdicts[place] = _HOLLOW
            else:
                self._verdicts[place] = _SOLID  # until its children say otherwise; nothing leads back to it
                if children:
                    stack.append((digest, children))
        return self._verdicts[place]

    def _inside(self, digest: Digest) -> list[Digest] | None:
        env = self._work.get("objects", digest)
        try:
            if env is None:
                return None
            if env[0] == IN_FILE and kind_of(env) == "blob":
                return []
            kind, content = self._work.objects.open(digest, env)
            return _children(kind, bytes(content), code=self._code)
        except (StoreDamaged, MalformedObject):
            return None

    def _place(self, digest: bytes) -> int:
        start = int.from_bytes(digest[:_START], "big")
        at = bisect_left(self._starts, start)
        return at if at < len(self._starts) and self._starts[at] == start else -1


def _children(kind: str, payload: bytes, *, code: bool) -> list[Digest]:
    if kind == "blob" or not any(head in payload for head in POINTER_HEADS.values()):
        return []
    if code:
        return list(references(payload))
    if kind in ("task", "source"):
        return []
    if kind == "footprint" and isinstance(parse_footprint(payload), TaskSetRecord):
        return []
    found: Sequence[Digest] = references(payload)
    return list(found[1:]) if kind == "call" and found[0] == CallRecord.parse(payload).task else list(found)


def _starts(backend: Backend) -> array[int]:
    """The first eight bytes of all ids as numbers, in their order."""
    starts = array("Q")
    at = b""
    while True:
        page = backend.read(lambda txn, at=at: txn.scan_keys("objects", at, limits.SCAN_KEYS))  # type: ignore[misc]
        starts.frombytes(b"".join([key[:_START].ljust(_START, b"\0") for key in page]))
        if len(page) < limits.SCAN_KEYS:
            break
        at = page[-1] + b"\0"
    if sys.byteorder == "little":
        starts.byteswap()
    return starts
