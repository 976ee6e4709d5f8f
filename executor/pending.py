"""The store as one run sees it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from redun.core.digest import Digest, Key
from redun.core.errors import NotFound
from redun.core.values import Encoder, Item
from redun.executor.writer import Writer
from redun.store import Batch, MemoRow, Store
from redun.store.objects import same_bytes
from redun.store.secret_key import secret_key


class Pending:
    """The store as this run sees it: what is stored, and what it has still to write."""

    def __init__(self, store: Store, encoder: Encoder) -> None:
        self.store = store
        self.encoder = encoder
        self.objects: dict[Digest, tuple[str, bytes]] = {}
        #: Sizes of blobs whose files are written and which no batch has named yet.
        self.blobs: dict[Digest, int] = {}
        self._written: set[Digest] = set()
        #: New objects that no lookup has compared, and those of them that are on their way to the store.
        self._uncompared: dict[Digest, Item] = {}
        self._late: dict[Digest, Item] = {}
        encoder.write_blob = self._write_blob
        encoder.secret_key = partial(secret_key, store)
        encoder.collision = store.collision
        self._writer = Writer(store)

    def settle(self) -> dict[Digest, tuple[str, bytes]]:
        """Moves what the encoder has made to what is to be written, and returns it.

        Raises:
            DigestCollision: if something else is to be written under one of their ids.
        """
        fresh = self.encoder.objects
        self.encoder.objects = {}
        for before in (self.objects, self._writer.objects):
            for digest in fresh.keys() & before.keys():
                if fresh[digest] != before[digest]:
                    raise self.store.collision(digest, before[digest], fresh[digest])
        self.objects.update(fresh)
        self._uncompared = {**self._uncompared, **fresh} if self._uncompared else fresh
        return fresh

    def lookup(self, keys: Sequence[Key]) -> list[MemoRow | None]:
        """Returns memo rows, after comparing every new object with what is stored.

        Raises:
            DigestCollision: if one has the id of another.
        """
        self.settle()
        objects = self._uncompared
        if self._late and self._writer.is_busy():
            # Keys may be made of the ids of values that are on their way: these are compared too late there.
            objects = objects | {digest: item for digest, item in self._late.items() if item[0] == "value"}
        self._uncompared, self._late = {}, {}
        return self.store.lookup(objects, keys)

    def get_many(self, digests: Sequence[Digest]) -> list[tuple[str, Any] | None]:
        """Returns (kind, payload) of each object, None where there is none."""
        return list(self.store.get_many(digests))

    def _write_blob(self, digest: Digest, data: bytes | memoryview) -> None:
        if digest in self._written and same_bytes(self.store.written_blob(digest), data):
            return
        self.store.write_blob(digest, data)
        self._written.add(digest)
        self.blobs[digest] = len(data) if isinstance(data, bytes) else data.nbytes

    def adopt_blob(self, digest: Digest, size: int) -> None:
        """Takes over a blob whose file another process of this run has written.

        Raises:
            NotFound: if there is none.
        """
        self.store.confirm_blob(digest)
        self._written.add(digest)
        self.blobs[digest] = size

    def is_unwritten(self, digest: Digest) -> bool:
        """Returns whether an object is not in the store yet. A blob whose file is written counts as stored."""
        return digest in self.encoder.objects or digest in self.objects or digest in self._writer.objects

    def write(self, batch: Batch) -> None:
        """Begins to write a batch, once the one before is written.

        Raises:
            StoreError: if the one before could not be written.
        """
        self._writer.write(batch)
        self._late, self._uncompared = self._uncompared, {}

    def finish(self) -> None:
        """Waits until every batch is written.

        Raises:
            StoreError: if the last one could not be written.
        """
        self._writer.finish()

    def close(self) -> None:
        """Ends the writing, whatever becomes of a batch that is on its way. Harmless after `finish`."""
        self._writer.close()

    def tally(self, call: Digest) -> list[int] | None:
        """Returns how many jobs of each task the subtree of a call has; None where that is not kept."""
        return self.store.tally(call)

    def fetch(self, digest: Digest) -> tuple[str, Any]:
        """Returns (kind, payload) of an object that this run refers to.

        Raises:
            NotFound: if it is neither stored nor about to be.
        """
        found = self.encoder.objects.get(digest) or self.objects.get(digest) or self._writer.objects.get(digest)
        if found is not None:
            return found
        if digest in self._written:
            return "blob", self.store.written_blob(digest)
        stored = self.store.get_many([digest])[0]
        if stored is None:
            raise NotFound(f"object {digest.hex()} is missing", hint="redun fsck tells what else is")
        if stored[0] == "blob":
            return "blob", self.store.open_blob(digest)
        return stored
