"""Whether what objects point to is there.

Many objects are searched at once for what looks like a pointer, which is twenty times faster than unpacking each. What
was found is looked up in sorted batches. Only where nothing lies under such an id are those objects asked one by one
whether they point there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from redun.core import limits
from redun.core.codec import POINTER_HEADS, references
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject
from redun.core.objects import ExecRecord
from redun.store import lost
from redun.store.gc import shallow
from redun.store.gc.shallow import Missing
from redun.store.ports import Backend, ReadTransaction

#: Different pointers that are looked up at a time: sorted, two of them share a page of a store of millions.
_BATCH: Final = 200_000
#: Missing objects that are remembered, so that each is told once.
_TOLD: Final = 10_000

Span = tuple[bytes, bytes]
"""The first and the last id of some neighbouring objects."""


class Pointers:
    """Gathers what objects point to, and finds what of it is missing.

    Args:
        backend: the tables.
        fmt: how objects are named.
        payloads: (id, kind, payload) of the objects of a span that are sound and may point to something.
    """

    def __init__(
        self, backend: Backend, fmt: ObjectFormat, payloads: Callable[[Span], Iterable[tuple[bytes, str, bytes]]]
    ) -> None:
        self._backend = backend
        self._head = POINTER_HEADS[fmt.size]
        [self._other_head] = [head for size, head in POINTER_HEADS.items() if size != fmt.size]
        looks = re.escape(self._head) + b"(.{%d})" % fmt.size
        self._find = re.compile(looks, re.DOTALL).findall
        self._find_hidden = re.compile(b"(?=%b)" % looks, re.DOTALL).findall
        self._payloads = payloads
        #: What may be pointed to, and the span of an object that may do so.
        self._waiting: dict[bytes, Span] = {}
        self._told: set[bytes] = set()

    @property
    def are_many(self) -> bool:
        """Whether it is time to look them up."""
        return len(self._waiting) >= _BATCH

    def follow(self, span: Span, parts: list[bytes], skip: int = 0) -> Iterator[tuple[int, MalformedObject]]:
        """Takes what may be pointers in some objects.

        Args:
            span: where they lie.
            parts: their payloads, each behind as many bytes as `skip` says.

        Returns:
            The place and the error of each that seems to have pointers and cannot be decoded.
        """
        joined = b"".join(parts)
        found = self._find(joined)
        if len(found) != joined.count(self._head):  # what looks like one may hide one that is
            found = [target for part in parts for target in self._in(part, skip)]
        self._waiting.update(dict.fromkeys(found, span))
        if self._other_head in joined:
            for place, part in enumerate(parts):
                if self._other_head in part:
                    try:
                        self._waiting.update(dict.fromkeys(references(part[skip:]), span))
                    except MalformedObject as error:
                        yield place, error

    def _in(self, part: bytes, skip: int) -> Sequence[bytes]:
        found: Sequence[bytes] = self._find(part)
        if len(found) != part.count(self._head):
            try:
                return references(part[skip:])
            except MalformedObject:
                hidden: Sequence[bytes] = self._find_hidden(part)
                return hidden
        return found

    def follow_execution(self, digest: bytes, payload: bytes) -> None:
        """Takes what an execution points to, without what is declared to be missing.

        Raises:
            MalformedObject: if it cannot be decoded.
        """
        self._waiting.update(dict.fromkeys(self._exactly(digest, "exec", payload), (digest, digest)))

    def missing(self) -> Iterator[tuple[bytes, bytes]]:
        """Looks up what was taken; returns (object, id) of what an object points to and is not there, each id once."""
        waiting, self._waiting = self._waiting, {}
        targets = sorted(waiting)
        spans: dict[Span, set[bytes]] = {}
        for start in range(0, len(targets), limits.SCAN_KEYS):
            some = targets[start : start + limits.SCAN_KEYS]
            present = self._backend.read(lambda txn, some=some: _present(txn, some))  # type: ignore[misc]
            if len(present) < len(some):
                for target in set(some).difference(present):
                    spans.setdefault(waiting[target], set()).add(target)
        for span, gone in sorted(spans.items()):
            for owner, target in self._owners(span, gone - self._told):
                if len(self._told) < _TOLD:
                    self._told.add(target)
                yield owner, target

    def _owners(self, span: Span, gone: set[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Returns (object, id) of objects of a span that point to something missing."""
        for owner, kind, payload in self._payloads(span) if gone else ():
            if gone.isdisjoint(self._find_hidden(payload)) and self._other_head not in payload:
                continue
            try:
                found = gone.intersection(self._exactly(owner, kind, payload))
            except MalformedObject:
                continue
            yield from ((owner, target) for target in sorted(found))
            gone -= found

    def _exactly(self, digest: bytes, kind: str, payload: bytes) -> set[Digest]:
        """What an object points to. Of an execution that was pruned or ends the chain, some may be missing."""
        pointers = set(references(payload))
        if kind != "exec":
            return pointers
        declared = self._backend.read(lambda txn: shallow.declared(txn, digest))
        parent = {ExecRecord.parse(payload).parent} - {None} if declared else set()
        if declared & Missing.CONTENTS:
            pointers &= parent
        return pointers - parent if declared & Missing.PARENT else pointers


def _present(txn: ReadTransaction, digests: list[bytes]) -> list[bytes]:
    """Those of the objects that are there, or in the trash, or known to be lost."""
    found = txn.present("objects", digests)
    if len(found) == len(digests):
        return found
    found = found + txn.present("trash", sorted(set(digests).difference(found)))
    return found + list(lost.among(txn, set(digests).difference(found)))
