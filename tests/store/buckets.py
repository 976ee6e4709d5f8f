"""A store in object storage in the place of another: what that has goes there first, what is there comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redun.store import Store
from redun.store.sync.local import LocalPeer
from redun.store.sync.peers import Peer, Update
from redun.store.sync.storage.bucket import Bucket
from redun.store.sync.storage.peer import StoragePeer, read_marker


def peer_in(place: Any, object_format: str, **options: Any) -> StoragePeer:
    """Returns the store in a bucket, made where there is none."""
    bucket = Bucket(place, "the bucket")
    marker = read_marker(bucket, object_format)
    assert marker is not None
    return StoragePeer(bucket, marker, **options)


def everything(store: Store) -> list[Any]:
    """Returns the ids of all objects of a store."""
    return [digest for prefix in "0123456789abcdef" for _, digest in store.resolve(prefix, limit=100_000)]


@contextmanager
def stored(store: Store, place: Any) -> Iterator[Peer]:
    """A bucket that has what a store has; what goes there while it is open is in the store afterwards."""
    parts = store.sync_parts()
    peer = peer_in(place, store.format.name)
    updates = [Update(name, None, at) for name, at in store.refs().items()]
    peer.take(LocalPeer(parts).give(everything(store), peer.missing), updates)
    yield peer
    back = peer_in(place, store.format.name)
    there = back.refs("")
    LocalPeer(parts).take(
        back.give(list(there.values()), store.absent), [Update(name, None, at) for name, at in there.items()]
    )
