"""What of a store sync works on. A store hands it out, so that nothing here knows what a `Store` is."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from redun.core.digest import Digest, ObjectFormat
from redun.store.objects import Objects
from redun.store.ports import Backend, WriteTransaction

Write = Callable[[Callable[[WriteTransaction], Any]], Any]


class SyncParts(NamedTuple):
    """Tables, objects and format of a store, who it is, and what it does for others."""

    backend: Backend
    objects: Objects
    format: ObjectFormat
    store_id: bytes
    path: Path | None
    read_only: bool
    write: Write
    get_many: Callable[[Sequence[Digest]], list[tuple[str, bytes] | None]]

    def absent(self, digests: Sequence[Digest]) -> list[Digest]:
        """Returns those of the ids that name no object, in the order asked. What was swept counts as absent, and comes
        again: who is sent something new that leads to it would not see that it is about to go."""
        some = sorted(set(digests))
        there = set(self.backend.read(lambda txn: txn.present("objects", some)))
        return [digest for digest in digests if digest not in there]


class Opened(Protocol):
    """A store that was opened for a transfer."""

    def sync_parts(self) -> SyncParts:
        """Returns its parts."""
        ...

    def close(self) -> None:
        """Closes it."""
        ...


class Opener(Protocol):
    """Opens the store at a path."""

    def __call__(self, path: Path, /, *, read_only: bool) -> Opened:
        """Returns the store."""
        ...
