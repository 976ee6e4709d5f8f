"""The objects of a store under the ids of another object format, and what became of each id (table `former`)."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from redun.core import limits
from redun.core.codec import POINTER_HEADS
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import InternalError
from redun.core.frame import object_id, stream_id
from redun.core.keys import call_key
from redun.core.objects import CallRecord, Outcome
from redun.store.blobs import FileBlobs
from redun.store.copying import Loaded
from redun.store.objects import Collided, Objects, Rows, file_row
from redun.store.ports import Backend, WriteTransaction
from redun.store.rewriting import awaited_in, codes_in, compared_in, may_change, rewritten

FORMER: Final = "former"
_BATCH: Final = 5_000
_BATCH_BYTES: Final = 16 * limits.MIB
#: What is hashed, before its old id, for something that is not there and was pointed to, as it may be.
_GONE: Final = b"gone "


class Renaming:
    """Writes objects under new ids, and tells which those are.

    Args:
        before, after: the object formats.
        backend, objects: the store that is written.
        old_files, new_files: large payloads of both; the same files serve both stores where they can.
    """

    def __init__(
        self,
        before: ObjectFormat,
        after: ObjectFormat,
        backend: Backend,
        objects: Objects,
        old_files: FileBlobs,
        new_files: FileBlobs,
    ) -> None:
        self.before = before
        self.after = after
        self._backend = backend
        self._objects = objects
        self._old_files = old_files
        self._new_files = new_files
        self._head = POINTER_HEADS[before.size]
        self._ids: dict[bytes, Digest] = {}
        self._added: dict[Digest, tuple[str, bytes]] = {}
        self._files: Rows = []
        self._bytes = 0
        #: Ids of code by its name, as values have them: there are as many as versions of classes that were arguments.
        self.code: defaultdict[str, set[Digest]] = defaultdict(set)
        #: Calls that have not ended, by their key: nothing else leads from a row of the cache to them.
        self.partial: dict[bytes, Digest] = {}

    # -- ids --

    def new_ids(self, digests: Iterable[bytes]) -> dict[bytes, Digest]:
        """Returns the new id of each of the ids that has one."""
        found: dict[bytes, Digest] = {}
        wanted = []
        for digest in digests:
            new = self._ids.get(digest)
            if new is None:
                wanted.append(digest)
            else:
                found[digest] = new
        if wanted:
            wanted.sort()
            rows = self._backend.read(lambda txn: txn.get_many(FORMER, wanted))
            found.update((old, Digest(new)) for old, new in rows)
        return found

    def gone(self, digest: bytes) -> Digest:
        """Returns what stands for the id of something that is not there. It leads to nothing, as that did."""
        return Digest(self.after.hash(_GONE + digest))

    # -- objects --

    @staticmethod
    def names(loaded: Loaded) -> list[Digest]:
        """Returns the ids that an object holds without pointing to them; what is there of these comes before it.

        Raises:
            MalformedObject: if its payload cannot be read.
        """
        if not isinstance(loaded.payload, bytes):
            return []
        if loaded.kind == "jobs":
            return compared_in(loaded.payload)
        if loaded.kind == "expr":
            return awaited_in(loaded.payload)
        return [digest for _, digest in codes_in(loaded.payload)] if loaded.kind == "value" else []

    def add(self, digest: Digest, loaded: Loaded) -> None:
        """Writes an object; what it points to was written before.

        Raises:
            MalformedObject: if its payload cannot be read.
            Collided, DigestCollision: if another object has its new id.
            StoreFull: if there is no room.
        """
        kind, payload, points_to = loaded
        if kind == "blob" and isinstance(payload, memoryview):
            new = self._link(digest, payload)
        else:
            new = self._rewrite(digest, kind, bytes(payload), points_to)
        self._ids[digest] = new
        if len(self._ids) >= _BATCH or self._bytes >= _BATCH_BYTES:
            self.flush()

    def _rewrite(self, digest: Digest, kind: str, payload: bytes, points_to: Iterable[Digest]) -> Digest:
        if kind == "call":
            self._note_partial(digest, payload)
        if kind != "blob" and may_change(kind, payload, self._head):
            codes = codes_in(payload) if kind == "value" else []
            for name, code in codes:
                self.code[name].add(code)
            compared = compared_in(payload) if kind == "jobs" else []
            awaited = awaited_in(payload) if kind == "expr" else []
            known = self.new_ids({*points_to, *compared, *awaited, *(code for _, code in codes)})
            if any(inner not in known for inner in points_to):
                raise InternalError(f"{kind} {digest.hex()} comes before what it points to")
            payload = rewritten(kind, payload, lambda old: known.get(old) or self.gone(old), known)
        new = object_id(self.after, kind, payload)
        there = self._added.setdefault(new, (kind, payload))
        if there != (kind, payload):
            raise Collided(new, there, (kind, payload))
        self._bytes += len(payload)
        return new

    def _note_partial(self, digest: Digest, payload: bytes) -> None:
        record = CallRecord.parse(payload)
        if record.outcome is Outcome.PARTIAL:
            self.partial[call_key(self.before, record.task, record.args)] = digest

    def _link(self, digest: Digest, payload: memoryview) -> Digest:
        new = stream_id(self.after, "blob", len(payload), _parts(payload))
        old_path, new_path = self._old_files.path_of(digest), self._new_files.path_of(new)
        try:
            new_path.parent.mkdir(parents=True, exist_ok=True)
            os.link(old_path, new_path)
            self._new_files.owe(new_path.parent.parent)
            self._new_files.owe(new_path.parent)
        except OSError:  # no second names here
            self._files += self._objects.put_stream("blob", _parts(payload), len(payload))[1]
        else:
            self._files.append((new, file_row("blob", len(payload))))
        return new

    def flush(self) -> None:
        """Writes what is waiting to be."""
        rows = sorted(self._objects.prepare(self._added) + self._files)
        former = sorted(self._ids.items())

        def write(txn: WriteTransaction) -> None:
            self._objects.add(txn, rows)
            txn.put_many(FORMER, former)

        self._backend.write(write)
        self._ids.clear()
        self._added.clear()
        self._files.clear()
        self._bytes = 0


def _parts(payload: memoryview) -> Iterable[memoryview]:
    return (payload[start : start + limits.MIB] for start in range(0, len(payload), limits.MIB))
