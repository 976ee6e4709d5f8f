"""Sending objects: each after what it points to, so that whatever has arrived when a transfer breaks off is whole, and
the next one goes on from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    left = planned.left
    total, done = len(left), 0
    batch: list[Item] = []
    size = 0
    # What was found last lies deepest, so that nearly always what an object points to has been sent before it.
    for end in range(len(planned.objects), 0, -_TOGETHER):
        some = [digest for digest in planned.objects[max(end - _TOGETHER, 0) : end] if digest in left]
        read = source.load_many(some)
        for digest, loaded in _ordered(source, some, read, left):
            left.discard(digest)
            payload = loaded.payload
            batch.append(Sent(digest, loaded.kind, payload) if type(payload) is bytes else _large(digest, loaded))
            size += len(payload)
            if len(batch) >= _TOGETHER or size >= _BYTES:
                yield batch
                done += len(batch)
                progress("objects", done, total)
                batch, size = [], 0
    if batch:
        yield batch
        progress("objects", done + len(batch), total)


def _ordered(
    source: Source, some: Sequence[Digest], read: Mapping[Digest, Loaded], left: set[Digest]
) -> Iterator[tuple[Digest, Loaded]]:
    """Returns objects, the last first, each after what of it is left."""
    for digest in reversed(some):
        loaded = read.get(digest)
        if loaded is not None and left.isdisjoint(loaded.points_to):
            if digest in left:
                yield digest, loaded
        else:
            yield from source.children_first(digest, lambda one: one not in left, read)


def _large(digest: Digest, loaded: Loaded) -> Large:
    payload = memoryview(loaded.payload)
    parts = (payload[start : start + limits.MIB] for start in range(0, len(payload), limits.MIB))
    return Large(digest, loaded.kind, len(payload), parts)
