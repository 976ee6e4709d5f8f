"""Taking objects in. What arrives is proven before it can be seen: its size, its bytes by its id, its form by a strict
decoding, and that all it points to is there. Several batches are one transaction; refs move after the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Final

from redun.core import limits
from redun.core.arrivals import arrived
from redun.core.digest import Digest
from redun.core.errors import DigestCollision, MalformedObject, NotFound, RemoteError
from redun.core.frame import object_id
from redun.core.objects import ExecRecord
from redun.store import refs
from redun.store.gc import shallow
from redun.store.gc.shallow import Missing
from redun.store.objects import Rows
from redun.store.ports import ReadTransaction, WriteTransaction
from redun.store.sync.parts import SyncParts
from redun.store.sync.peers import Boundary, Item, Large, Sent, Taken, Update

#: Executions that are looked at to see whether a chain goes on from where it was.
_STEPS: Final = 1_000_000
#: No object has more bytes; and none that is not a blob.
_MOST_BYTES: Final = 1 << 40
_MOST_STRUCTURE: Final = 64 * limits.MIB
#: What is written in one transaction at most: ids are as good as random, so that each is a page of its own to write
#: unless many come together. And how long what has come may wait for more: that much is to be sent again.
_OBJECTS: Final = 20_000
_BYTES: Final = 16 * limits.MIB
_WAIT_S: Final = 2.0


class Intake:
    """Takes objects of another store into one.

    Args:
        parts: of the store.
        sender: what errors call the other side.
    """

    def __init__(self, parts: SyncParts, sender: str) -> None:
        self._backend = parts.backend
        self._objects = parts.objects
        self._format = parts.format
        self._write = parts.write
        self._sender = sender
        self._boundaries: dict[Digest, Missing] = {}
        self.pages: list[Digest] = []
        self._count = 0
        self._size = 0
        self._added: dict[Digest, tuple[str, bytes]] = {}
        self._large_rows: Rows = []
        self._wanted: set[Digest] = set()
        self._waiting_bytes = 0
        self._written_at = monotonic()

    def take(self, batches: Iterable[Sequence[Item]], updates: Sequence[Update]) -> Taken:
        """Takes in all batches, and moves refs.

        Raises:
            RemoteError: if what came is not what it says, or leads to what is not there.
            StoreFull, StoreReadOnly: as `Store.put`.
        """
        arriving = iter(batches)
        while True:
            try:
                batch = next(arriving, None)
            except Exception:
                self._flush()  # what has come is whole, and need not come again
                raise
            if batch is None:
                break
            self._batch(batch)
            if (
                len(self._added) >= _OBJECTS
                or self._waiting_bytes >= _BYTES
                or monotonic() - self._written_at > _WAIT_S
            ):
                self._flush()
        self._flush()
        moved = tuple([self._move(update) for update in updates])
        return Taken(self._count, self._size, moved)

    # -- objects ------------------------------------------------------------------------------------------------------

    def _batch(self, batch: Sequence[Item]) -> None:
        """Proves what can be proven of each object by itself."""
        for item in batch:
            if isinstance(item, Boundary):
                self._boundaries[item.execution] = item.missing
                continue
            digest, kind = item.digest, item.kind
            try:
                points_to = self._small(item) if type(item) is Sent else self._large(item)  # type: ignore[arg-type]
            except (MalformedObject, ValueError) as error:
                raise self._lie(item, str(error)) from error
            if kind == "exec" and digest in self._boundaries:
                points_to = self._needed(item, self._boundaries[digest], points_to)
            self._wanted.update(points_to)
            if kind == "jobs":
                self.pages.append(digest)

    def _small(self, item: Sent) -> Sequence[Digest]:
        digest, kind, payload = item
        if len(payload) > limits.INLINE_BYTES:
            raise MalformedObject(f"it has {len(payload):,} bytes")
        if object_id(self._format, kind, payload) != digest:
            raise MalformedObject("its bytes do not fit its id")
        points_to = arrived(kind, payload, self._format.size)
        self._added[digest] = kind, payload
        self._waiting_bytes += len(payload)
        return points_to

    def _large(self, item: Large) -> Sequence[Digest]:
        if item.size > _MOST_BYTES or (item.kind != "blob" and item.size > _MOST_STRUCTURE):
            raise MalformedObject(f"it has {item.size:,} bytes")
        digest, row = self._objects.put_stream(item.kind, item.parts, item.size)
        if digest != item.digest:
            raise MalformedObject("its bytes do not fit its id")
        self._large_rows += row
        self._waiting_bytes += item.size
        if item.kind == "blob":
            return ()
        view = self._objects.written(digest)
        return arrived(item.kind, b"" if view is None else bytes(view), self._format.size)

    def _needed(self, item: Sent | Large, missing: Missing, points_to: Sequence[Digest]) -> Sequence[Digest]:
        """Returns what has to be there of what an execution points to: all but what is said to be missing."""
        payload = item.payload if isinstance(item, Sent) else bytes(self._objects.written(item.digest) or b"")
        parent = ExecRecord.parse(payload).parent
        if not missing & Missing.CONTENTS:
            return [inner for inner in points_to if inner != parent]
        return [] if missing & Missing.PARENT or parent is None else [parent]

    def _flush(self) -> None:
        """Writes what has come, after a look that it leads to nothing that is not there."""
        added, large, wanted = self._added, self._large_rows, self._wanted
        self._added, self._large_rows, self._wanted = {}, [], set()
        if added or large:
            self._check(wanted.difference(added, [Digest(digest) for digest, _ in large]))
            self._put(added, large)
            self._size += self._waiting_bytes
        self._waiting_bytes = 0
        self._written_at = monotonic()

    def _check(self, wanted: Iterable[Digest]) -> None:
        """Checks that objects are there."""
        some = sorted(wanted)
        there = set(self._backend.read(lambda txn: txn.present("objects", some)))
        for digest in some:
            if digest not in there:
                raise RemoteError(
                    f"{self._sender} sent what leads to {digest.hex()}, which it did not send, and which is not here",
                    hint="nothing of that was kept; redun fsck over there tells more",
                )

    def _put(self, added: dict[Digest, tuple[str, bytes]], large: Rows) -> None:
        rows = sorted(self._objects.prepare(added) + large)
        boundaries = [(digest, missing) for digest, missing in self._boundaries.items() if digest in added]

        def write(txn: WriteTransaction) -> int:
            before = txn.count("objects")
            self._objects.add(txn, rows)
            for digest, missing in boundaries:
                shallow.add(txn, digest, missing)
            return txn.count("objects") - before

        try:
            self._count += self._write(write)
        except DigestCollision as error:
            raise RemoteError(f"{self._sender} sent other bytes for an id: {error.message}", hint=error.hint) from error

    def _lie(self, item: Sent | Large, why: str) -> RemoteError:
        return RemoteError(
            f"{self._sender} sent a {item.kind} as {item.digest.hex()}, and it is none: {why}",
            hint="nothing of that was kept; redun fsck over there tells more",
        )

    # -- refs ---------------------------------------------------------------------------------------------------------

    def _move(self, update: Update) -> tuple[str, str]:
        """Moves a ref; a chain that has gone another way here goes under a name of its own."""

        def write(txn: WriteTransaction) -> str:
            at = refs.read(txn, refs.check_name(update.name))
            if at == update.new:
                return ""
            name = update.name
            if at is not None and not self._leads(txn, update.new, at):
                if self._leads(txn, at, update.new):
                    return ""  # this side is ahead
                name = f"{update.name}-{update.new.hex()[:8]}"
                at = refs.read(txn, refs.check_name(name))
                if at == update.new:
                    return name
            refs.move(txn, name, update.new, expected=at, reason=f"sync with {self._sender}")
            return name

        try:
            moved = self._write(write)
        except NotFound as error:
            raise RemoteError(f"{self._sender} moves {update.name} to what it did not send: {error.message}") from error
        return update.name, moved

    def _leads(self, txn: ReadTransaction, head: Digest, older: Digest) -> bool:
        """Whether a chain leads from one execution to an older one."""
        at: Digest | None = head
        for _ in range(_STEPS):
            if at is None or at == older:
                return at is not None
            env = txn.get("objects", at)
            if env is None:
                return False
            kind, payload = self._objects.open(at, env)
            if kind != "exec":
                return False
            at = ExecRecord.parse(bytes(payload)).parent
        return False
