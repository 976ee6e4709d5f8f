"""Sending objects: each after what it points to, so that whatever has arrived when a transfer breaks off is whole, and
the next one goes on from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from redun.core import limits
from redun.core.digest import Digest
from redun.store.copying import Loaded, Source
from redun.store.problems import Progress
from redun.store.sync.peers import Item, Large, Sent
from redun.store.sync.planning import Plan

#: Objects read and sent together, and the bytes after which fewer are.
_TOGETHER: Final = 1_000
_BYTES: Final = 4 * limits.MIB


def batches(source: Source, planned: Plan, progress: Progress) -> Iterator[Sequence[Item]]:
    """Returns what was planned, in batches: boundaries first, then objects, each after what it points to.

    Raises:
        StoreDamaged: if one is missing or damaged.
    """
    if planned.boundaries:
        yield planned.boundaries
    left = set(planned.objects)
    total, done = len(left), 0
    batch: list[Item] = []
    size = 0
    # What was found last lies deepest, so that nearly always what an object points to has been sent before it.
    for end in range(len(planned.objects), 0, -_TOGETHER):
        some = [digest for digest in planned.objects[max(end - _TOGETHER, 0) : end] if digest in left]
        read = source.load_many(some)
        for root in reversed(some):
            for digest, loaded in source.children_first(root, lambda digest: digest not in left, read):
                left.discard(digest)
                batch.append(_item(digest, loaded))
                size += len(loaded.payload)
                if len(batch) >= _TOGETHER or size >= _BYTES:
                    yield batch
                    done += len(batch)
                    progress("objects", done, total)
                    batch, size = [], 0
    if batch:
        yield batch
        progress("objects", done + len(batch), total)


def _item(digest: Digest, loaded: Loaded) -> Item:
    payload = loaded.payload
    if isinstance(payload, bytes):
        return Sent(digest, loaded.kind, payload)
    parts = (payload[start : start + limits.MIB] for start in range(0, len(payload), limits.MIB))
    return Large(digest, loaded.kind, len(payload), parts)
