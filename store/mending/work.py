"""What all steps of a repair work on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from redun.core.digest import Digest, ObjectFormat
from redun.store.blobs import BlobArea
from redun.store.journal import Journal
from redun.store.mending.aside import Aside
from redun.store.mending.records import Mended
from redun.store.objects import Objects
from redun.store.ports import Backend, WriteTransaction
from redun.store.problems import Progress, no_progress

Write = Callable[[Callable[[WriteTransaction], Any]], Any]


class Work:
    """A store that nobody else has open for writing, and what has been done to it.

    Attributes:
        done: what was done so far.
        progress: is told how far something long has come.
    """

    def __init__(
        self,
        backend: Backend,
        fmt: ObjectFormat,
        blobs: BlobArea,
        objects: Objects,
        journal: Journal,
        write: Write,
        aside: Aside,
    ) -> None:
        self.backend = backend
        self.format = fmt
        self.blobs = blobs
        self.objects = objects
        self.journal = journal
        self.write = write
        self.aside = aside
        self.done: list[Mended] = []
        self.progress: Progress = no_progress

    def note(self, what: str, where: str, message: str, *, lost: bool = False) -> None:
        """Notes something that was done."""
        self.done.append(Mended(what, where, message, lost))

    def get(self, table: str, key: bytes) -> bytes | None:
        """Returns a row, or None."""
        return self.backend.read(lambda txn: txn.get(table, key))

    def has(self, digest: bytes) -> bool:
        """Returns whether an object is there or in the trash."""
        some = [digest]
        return bool(self.backend.read(lambda txn: txn.present("objects", some) or txn.present("trash", some)))

    def payload(self, digest: bytes) -> tuple[str, bytes] | None:
        """Returns (kind, payload) of an object that is there.

        Raises:
            StoreDamaged: if its bytes do not fit its id.
        """
        env = self.get("objects", digest)
        if env is None:
            return None
        kind, payload = self.objects.open(Digest(digest), env)
        return kind, bytes(payload)

    def replace(self, table: str, keys: Iterable[bytes], rows: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Replaces rows by others, or by none, in one transaction, after keeping them aside."""
        gone, new = list(keys), sorted(rows)
        for key, value in self.backend.read(lambda txn: txn.get_many(table, gone)):
            self.aside.row(table, key, value)
        self.aside.settle()

        def write(txn: WriteTransaction) -> None:
            for key in gone:
                txn.delete(table, key)
            txn.put_many(table, new)

        self.write(write)
