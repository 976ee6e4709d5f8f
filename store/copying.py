"""Reading a whole store to copy it elsewhere: each object once, verified, and after everything that it points to.

In that order a copy is closed at every moment: what is there leads to nothing that is not. It holds however long the
reading takes and whatever is put meanwhile, since an object is put after, or together with, what it points to, and
never changes; only collecting garbage has to wait. So no transaction lasts longer than one look at a few objects.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isqrt
from pathlib import Path
from typing import Final, NamedTuple

from redun.core import limits
from redun.core.codec import POINTER_HEADS, references
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject, StoreDamaged, StoreLocked, StoreReadOnly
from redun.store import locks, lost
from redun.store.gc import trash
from redun.store.gc.shallow import Missing, all_shallow
from redun.store.objects import RAW, Objects, kind_of, size_of
from redun.store.ports import Backend, ReadTransaction

#: So many bytes of an id tell where in the sorted list of ids it is.
_START: Final = 8
#: Objects read in one transaction.
_TOGETHER: Final = 1_000
#: Objects that are kept in memory while what they point to is dealt with.
_KEPT: Final = 256
_REPAIR: Final = "redun fsck --repair"


class Loaded(NamedTuple):
    """An object: its payload (a view of its file where it lies in one), and what it points to and is there."""

    kind: str
    payload: bytes | memoryview
    points_to: Sequence[Digest]


class Source:
    """The objects of a store that is copied.

    Args:
        backend, objects, fmt: those of the store.
    """

    def __init__(self, backend: Backend, objects: Objects, fmt: ObjectFormat) -> None:
        self._backend = backend
        self._objects = objects
        self._head = POINTER_HEADS[fmt.size]
        self._declared = all_shallow(backend)
        self._lost = {digest for digest, _ in lost.losses(backend)}

    def load(self, digest: Digest) -> Loaded:
        """Returns an object, verified.

        Raises:
            StoreDamaged: if it is missing or does not fit its id.
        """

        def look(txn: ReadTransaction) -> bytes | None:
            env = txn.get("objects", digest)
            if env is None:
                return next((thrown for _, thrown in trash.find(txn, [digest])), None)
            return env

        env = self._backend.read(look)
        if env is None:
            raise StoreDamaged(f"object {digest.hex()} is pointed to and missing", hint=_REPAIR)
        kind, payload = self._objects.open(digest, env)
        return Loaded(kind, payload, self._points_to(digest, kind, payload))

    def load_many(self, digests: Sequence[Digest]) -> dict[Digest, Loaded]:
        """Returns objects, verified, read in one transaction; those that are not in the table are left out."""
        rows = self._backend.read(lambda txn: txn.get_many("objects", sorted(digests)))
        found = {}
        for key, env in rows:
            kind, payload = self._objects.open(key, env)
            digest = Digest(key)
            found[digest] = Loaded(kind, payload, self._points_to(digest, kind, payload))
        return found

    def points(self, digests: Sequence[Digest]) -> Iterator[Sequence[Digest]]:
        """Yields what each object points to and is there, in the order asked. Those that point to nothing are left out,
        and not verified.

        Raises:
            StoreDamaged: as `load`.
        """
        for start in range(0, len(digests), _TOGETHER):
            some = digests[start : start + _TOGETHER]
            rows = dict(self._backend.read(lambda txn, some=some: txn.get_many("objects", sorted(some))))  # type: ignore[misc]
            for digest in some:
                env = rows.get(digest)
                if env is None:
                    yield self.load(digest).points_to
                elif (env[0] != RAW or self._head in env) and kind_of(env) != "blob":
                    kind, payload = self._objects.open(digest, env)
                    yield self._points_to(digest, kind, payload)

    def size(self, digest: Digest) -> int:
        """Returns the bytes that an object takes, compressed where it is; 0 where it is missing."""
        env = self._backend.read(lambda txn: txn.get("objects", digest))
        return 0 if env is None else size_of(env)

    def kind(self, digest: Digest) -> str:
        """Returns the kind of an object.

        Raises:
            StoreDamaged: if it is missing.
        """
        env = self._backend.read(lambda txn: txn.get("objects", digest))
        return self.load(digest).kind if env is None else kind_of(env)

    def declared(self, digest: Digest) -> Missing:
        """Returns what of an execution may be missing."""
        return self._declared.get(digest, Missing(0))

    def _points_to(self, digest: Digest, kind: str, payload: bytes | memoryview) -> Sequence[Digest]:
        if kind == "blob" or (isinstance(payload, bytes) and self._head not in payload):
            return ()
        try:
            found = references(payload)
        except MalformedObject as error:
            raise StoreDamaged(f"{kind} {digest.hex()} cannot be read: {error.message}", hint=_REPAIR) from error
        if self._declared.get(digest, Missing(0)):
            return self.present(found)
        return [inner for inner in found if inner not in self._lost] if self._lost else found

    def present(self, digests: Iterable[Digest]) -> list[Digest]:
        """Returns those of the ids that name an object."""
        wanted = sorted(set(digests))
        return [Digest(found) for found in self._backend.read(lambda txn: txn.present("objects", wanted))]

    def children_first(
        self, root: Digest, is_done: Callable[[Digest], bool], read: Mapping[Digest, Loaded] | None = None
    ) -> Iterator[tuple[Digest, Loaded]]:
        """Returns what can be reached from an object and is not done, itself included, each after what it points to.

        The caller has to see to it that what it was given is done when it asks for the next one.

        Args:
            read: objects that were read before.

        Raises:
            StoreDamaged: as `load`.
        """
        waiting = [root]
        kept: dict[Digest, Loaded] = {}
        while waiting:
            digest = waiting[-1]
            if is_done(digest):
                kept.pop(waiting.pop(), None)
                continue
            loaded = kept.pop(digest, None) or (read or {}).get(digest) or self.load(digest)
            before = [inner for inner in dict.fromkeys(loaded.points_to) if not is_done(inner)]
            if before:
                waiting += before
                if len(kept) < _KEPT and len(loaded.payload) <= limits.CHILD_BYTES:
                    kept[digest] = loaded  # others are read again when it is their turn
                continue
            waiting.pop()
            yield digest, loaded


def ids(backend: Backend) -> Iterator[list[bytes]]:
    """Returns the ids of all objects in their order, in pages."""
    start = b""
    while True:
        page = backend.read(lambda txn, at=start: txn.scan_keys("objects", at, limits.SCAN_KEYS))  # type: ignore[misc]
        yield page
        if len(page) < limits.SCAN_KEYS:
            return
        start = page[-1] + b"\0"


class Marks:
    """Which objects of a store were dealt with: nine bytes for each of those that it has when this is made."""

    def __init__(self, backend: Backend) -> None:
        self._starts = array("Q")
        for page in ids(backend):
            self._starts.frombytes(b"".join([key[:_START] for key in page]))
        if sys.byteorder == "little":
            self._starts.byteswap()
        #: How far from its guessed place an id may be: ids are as good as random.
        self._slack = 4 * isqrt(len(self._starts)) + 8
        self._marks = bytearray(len(self._starts))
        #: Those that the list does not have, or cannot tell from another.
        self._others: set[bytes] = set()
        self.total = len(self._starts)

    def add(self, digest: bytes) -> None:
        """Marks an object."""
        at = self._place(digest)
        if at < 0:
            self._others.add(digest)
        else:
            self._marks[at] = 1

    def has(self, digest: bytes) -> bool:
        """Returns whether an object was marked."""
        at = self._place(digest)
        return digest in self._others if at < 0 else bool(self._marks[at])

    def _place(self, digest: bytes) -> int:
        start, starts = int.from_bytes(digest[:_START], "big"), self._starts
        guess = start * len(starts) >> 8 * _START
        low, high = max(guess - self._slack, 0), min(guess + self._slack, len(starts))
        at = bisect_left(starts, start, low, high)
        if at in (low, high):  # so far off are few
            at = bisect_left(starts, start)
        if at == len(starts) or starts[at] != start:
            return -1
        is_alone = at + 1 == len(starts) or starts[at + 1] != start
        return at if is_alone else -1


@contextmanager
def no_collection(directory: Path | None, *, alone: bool = False, wait: bool = False) -> Iterator[None]:
    """Keeps garbage from being collected meanwhile, where there is the right to.

    Args:
        alone: whether nobody else may keep it from that.
        wait: whether to wait for the end of a collection.

    Raises:
        StoreLocked: if it is just being collected.
    """
    if directory is None:
        yield
        return
    try:
        turn = locks.take(directory / "gc.lock", shared=not alone, wait=wait)
    except StoreReadOnly:  # then others may collect; what they take too early is missed and said so
        yield
        return
    if turn is None:
        raise StoreLocked(f"gc is at work in {directory}", path=str(directory), hint="try again when it has ended")
    try:
        yield
    finally:
        turn.release()
