"""Object storage as the other side of a sync. Nobody serves it: whoever syncs reads and writes it as this says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from redun.core import limits
from redun.core.arrivals import arrived
from redun.core.digest import OBJECT_FORMATS, Digest
from redun.core.errors import MalformedObject, RemoteError
from redun.core.frame import object_id
from redun.core.version import VERSION
from redun.store.gc.shallow import Missing
from redun.store.sync.peers import Ask, Boundary, Hello, Item, Large, Sent, Taken, Update
from redun.store.sync.storage.bucket import Bucket, endpoint_of, opened
from redun.store.sync.storage.building import Building, write_large
from redun.store.sync.storage.catalog import Catalog, absent
from redun.store.sync.storage.naming import Names
from redun.store.sync.storage.reading import Reading
from redun.store.sync.storage.records import MARKER, SMALL_BYTES, Marker, marker_bytes, parse_marker
from redun.store.sync.storage.sending import Sending

_MOST_STRUCTURE: Final = 64 * limits.MIB


class StoragePeer:
    """A store in a bucket.

    Args:
        marker: what it says of itself.
        kept: directory of this machine for its indexes, None to keep none.
    """

    def __init__(self, bucket: Bucket, marker: Marker, *, kept: Path | None = None, writable: bool = True) -> None:
        self.bucket = bucket
        self._marker = marker
        self._format = marker.format
        self._catalog = Catalog(bucket, marker.format, kept)
        self._names = Names(bucket, marker.format, self._catalog)
        self.hello = Hello(marker.format.name, marker.store_id, VERSION, writable)

    def refs(self, prefix: str) -> Mapping[str, Digest]:
        """Returns its refs whose names start so.

        Raises:
            RemoteError: if they cannot be read.
        """
        return self._names.all(prefix)

    def missing(self, digests: Sequence[Digest]) -> Sequence[Digest]:
        """Returns those of the objects that it does not have.

        Raises:
            RemoteError: if its indexes cannot be read.
        """
        self._catalog.load()
        return absent(self._catalog, digests)

    def take(self, items: Iterable[Sequence[Item]], updates: Sequence[Update]) -> Taken:
        """Writes objects, and moves refs.

        Raises:
            RemoteError: if something cannot be written, or is not what it says, or leads to what is not there.
        """
        self._catalog.load()
        taking = _Taking(self.bucket, self._marker, self._catalog)
        taking.take(items)
        moved = tuple([self._names.move(update) for update in updates])
        return Taken(taking.objects, taking.size, moved)

    def give(self, roots: Sequence[Digest], ask: Ask) -> Iterator[Sequence[Item]]:
        """Returns what some of its objects lead to and `ask` says is missing, in batches.

        Raises:
            RemoteError: if something of it is missing or cannot be read.
        """
        self._catalog.load()
        with Reading(self.bucket, self._format, self._catalog, ask) as reading:
            yield from reading.batches(roots)

    def close(self) -> None:
        """Does nothing: there is no connection."""


class _Taking:
    """Takes objects for a bucket: proves each, as any store does with what arrives, and sends it in a pack."""

    def __init__(self, bucket: Bucket, marker: Marker, catalog: Catalog) -> None:
        self._bucket = bucket
        self._format = marker.format
        self._store_id = marker.store_id
        self._catalog = catalog
        self._building = Building(marker.format, marker.store_id)
        self._boundaries: dict[Digest, Missing] = {}
        self._new: set[Digest] = set()
        self.objects = 0
        self.size = 0

    def take(self, batches: Iterable[Sequence[Item]]) -> None:
        with Sending(self._bucket, self._format, self._catalog) as sending:
            for batch in batches:
                for item in batch:
                    self._item(item, sending)
            self._send(sending)

    def _item(self, item: Item, sending: Sending) -> None:
        if isinstance(item, Boundary):
            self._boundaries[item.execution] = item.missing
        elif item.digest not in self._new:
            try:
                self._large(item, sending) if isinstance(item, Large) else self._small(item, sending)
            except (MalformedObject, ValueError) as error:
                what = f"what is to go there as {item.kind} {item.digest.hex()} is none: {error}"
                raise self._bucket.error(what, hint="redun fsck tells more") from error

    def _small(self, item: Sent, sending: Sending) -> None:
        digest, kind, payload = item
        if len(payload) > limits.INLINE_BYTES:
            raise MalformedObject(f"it has {len(payload):,} bytes")
        if object_id(self._format, kind, payload) != digest:
            raise MalformedObject("its bytes do not fit its id")
        missing = self._boundaries.get(digest, Missing(0)) if kind == "exec" else Missing(0)
        points = arrived(kind, payload, self._format.size)
        if not missing:
            self._check(points)
        if digest in self._catalog:
            return
        self._note(digest, len(payload))
        self._building.add(item, missing)
        if self._building.full:
            self._send(sending)

    def _large(self, item: Large, sending: Sending) -> None:
        if item.kind != "blob" and item.size > _MOST_STRUCTURE:
            raise MalformedObject(f"it has {item.size:,} bytes")
        self._send(sending)  # what it leads to is to be there before it
        with TemporaryFile() as spool:
            index = write_large(self._format, self._store_id, item, spool)
            if item.kind != "blob":
                spool.seek(index.offsets[0])
                self._check(arrived(item.kind, spool.read(item.size), self._format.size))
                spool.seek(0)
            if item.digest in self._catalog:
                return
            self._note(item.digest, item.size)
            sending.send_file(index, spool)

    def _note(self, digest: Digest, size: int) -> None:
        self._new.add(digest)
        self.objects += 1
        self.size += size

    def _check(self, points: Iterable[Digest]) -> None:
        """Checks that what an object points to is there, or goes there before it."""
        for digest in points:
            if digest not in self._new and digest not in self._catalog:
                raise MalformedObject(f"it leads to {digest.hex()}, which is not there")

    def _send(self, sending: Sending) -> None:
        built = self._building.build()
        if built is not None:
            sending.send(built)


def connect(url: str, *, name: str, read_only: bool = True, make: str = "") -> StoragePeer:
    """Returns the store in a bucket.

    Args:
        read_only: whether nothing is to be written.
        make: object format of the store to make where there is none, empty to make none. If nothing is to be written,
            it is as if there were an empty one.

    Raises:
        RemoteError: if it cannot be reached, or there is none.
    """
    bucket = opened(url, name)
    marker = read_marker(bucket, "" if read_only else make)
    if marker is None:
        if not make:
            raise bucket.error("there is no store yet", hint="redun push makes one")
        marker = Marker(OBJECT_FORMATS[make], os.urandom(16))
    return StoragePeer(bucket, marker, kept=_kept(url, marker), writable=not read_only)


def read_marker(bucket: Bucket, make: str = "") -> Marker | None:
    """Returns what says that there is a store, and makes one where there is none if that is wanted.

    Raises:
        RemoteError: if there is one that is not known here.
    """
    found = bucket.read(MARKER, SMALL_BYTES)
    if found is None and make:
        try:
            bucket.create(MARKER, marker_bytes(Marker(OBJECT_FORMATS[make], os.urandom(16))))
        except RemoteError:
            if bucket.read(MARKER, SMALL_BYTES) is None:  # else only the answer got lost
                raise
        found = bucket.read(MARKER, SMALL_BYTES)  # of two that make it at once one has
    if found is None:
        return None
    try:
        return parse_marker(found.data)
    except MalformedObject as error:
        raise bucket.error(error.message, hint="name a place in the bucket that is free") from None


def _kept(url: str, marker: Marker) -> Path | None:
    """Returns where on this machine the indexes of a bucket are kept: apart for each place, so that none tells what
    another one has."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    place = hashlib.sha256(f"{endpoint_of(url)} {url} {marker.store_id.hex()}".encode()).hexdigest()[:32]
    return Path(caches, "redun", "indexes", place) if os.path.isabs(caches) else None
