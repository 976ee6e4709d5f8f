"""The table `lost`: objects that are gone and known to be, after damage. A loss that is declared is no damage any more.

A repair writes it, for what it could not save. Whoever makes such an object again puts it as any other; its row here
then says nothing, and is tidied. A row of an execution says which one was before it, so that the chain goes on there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgpack

from redun.core import limits
from redun.core.codec import packed
from redun.core.digest import Digest
from redun.store.checksums import body_of, with_checksum
from redun.store.ports import Backend, ReadTransaction, WriteTransaction, scan_prefix

#: Kinds of what tells of what happened: nobody makes it again.
WRITTEN_ONCE: Final = frozenset({"jobs", "exec", "trace", "note"})


class Loss(NamedTuple):
    """What is known of an object that is gone.

    Attributes:
        time: when it was given up, in microseconds since the epoch.
        kind: its kind, or "object" where that is not known.
        parent: of an execution, the one before it on its chain, where that is known.
    """

    time: int
    kind: str
    parent: Digest | None = None


def declare(txn: WriteTransaction, digest: bytes, loss: Loss) -> None:
    """Declares that an object is gone."""
    txn.put("lost", digest, with_checksum(digest, packed(list(loss))))


def among(txn: ReadTransaction, digests: Iterable[bytes]) -> dict[bytes, Loss]:
    """Returns the losses among some ids; a row that is not as it was written is none."""
    found = ((key, _read(key, row)) for key, row in txn.get_many("lost", sorted(digests)))
    return {key: loss for key, loss in found if loss is not None}


def tidy(txn: WriteTransaction, wanted: set[bytes]) -> None:
    """Forgets losses that came back, and those that are not wanted. That of an execution holds its chain together."""
    keys = txn.scan_keys("lost", b"", limits.SWEEP_ROWS)
    there = set(txn.present("objects", keys))
    for key, loss in among(txn, keys).items():
        if key in there or (key not in wanted and loss.kind != "exec"):
            txn.delete("lost", key)


def losses(backend: Backend) -> Iterator[tuple[Digest, Loss]]:
    """Returns everything that is declared and has not come back."""
    for key, row in scan_prefix(backend, "lost", b""):
        loss = _read(key, row)
        if loss is not None and not backend.read(lambda txn, key=key: txn.present("objects", [key])):  # type: ignore[misc]
            yield Digest(key), loss


def _read(key: bytes, row: bytes) -> Loss | None:
    body = body_of(key, row)
    if body is None:
        return None
    time, kind, parent = msgpack.unpackb(body)
    return Loss(time, kind, None if parent is None else Digest(parent))
