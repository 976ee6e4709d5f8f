"""Objects out of packs. Of a pack that is needed, what is missing on this machine is read at once: all of it where that
is most of it, else its ranges."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryFile
from types import TracebackType
from typing import Final, Self

from redun.core import limits
from redun.core.arrivals import arrived
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject
from redun.store.sync.peers import Ask, Boundary, Item, Large, Sent
from redun.store.sync.storage.bucket import Bucket
from redun.store.sync.storage.catalog import Catalog
from redun.store.sync.storage.records import PACK_SUFFIX, PACKS, Place

#: Packs read at a time, and objects on the way whose packs are looked at for that.
_AT_ONCE: Final = 4
_LOOKED_AT: Final = 4_000
#: A pack of no more bytes is read whole, whatever is wanted of it; one of more bytes is read in ranges only.
_SMALL_BYTES: Final = limits.MIB
_WHOLE_BYTES: Final = 64 * limits.MIB
#: Of a large payload, what is read at a time.
_PART_BYTES: Final = 8 * limits.MIB
#: Objects given together, and the bytes after which fewer are.
_TOGETHER: Final = 1_000
_BYTES: Final = 4 * limits.MIB
_SHA: Final = 32


class Reading:
    """Gives what some objects lead to and this machine lacks, each after what it points to.

    Args:
        ask: tells what this machine lacks.
    """

    def __init__(self, bucket: Bucket, fmt: ObjectFormat, catalog: Catalog, ask: Ask) -> None:
        self._bucket = bucket
        self._format = fmt
        self._catalog = catalog
        self._ask = ask
        self._spool = TemporaryFile()  # noqa: SIM115 - closed by leaving
        self._end = 0
        self._opened: set[int] = set()
        #: Missing objects of packs that were read: where in the spool they are, large ones as they are in their pack.
        self._here: dict[Digest, tuple[int, int, str]] = {}
        self._large: dict[Digest, tuple[str, Place]] = {}
        self._pool = ThreadPoolExecutor(_AT_ONCE, "redun-storage")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._spool.close()

    # -- the walk -----------------------------------------------------------------------------------------------------

    def batches(self, roots: Sequence[Digest]) -> Iterator[Sequence[Item]]:
        """Returns the objects, in batches.

        Raises:
            RemoteError: if one is missing there, or a pack cannot be read.
        """
        batch: list[Item] = []
        size = 0
        for item in self._items(roots):
            batch.append(item)
            if isinstance(item, Large):  # its bytes are read while it is taken
                yield batch
                batch, size = [], 0
            elif isinstance(item, Sent):
                size += len(item.payload)
                if len(batch) >= _TOGETHER or size >= _BYTES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    def _items(self, roots: Sequence[Digest]) -> Iterator[Item]:
        """Walks down from the roots: an object is given when all that it points to has been."""
        met: set[Digest] = set()
        stack: list[Digest | Sent] = list(reversed(self._present(roots)))
        while stack:
            top = stack.pop()
            if isinstance(top, Sent):
                yield top
                continue
            if top in met:
                continue
            met.add(top)
            item = self._found(top, stack)
            if item is None:
                continue
            yield from self._boundary(item)
            if isinstance(item, Large):
                yield item
                continue
            below = self._absent([digest for digest in self._points(item) if digest not in met])
            if below:
                stack.append(item)
                stack += below
            else:
                yield item

    def _present(self, roots: Sequence[Digest]) -> list[Digest]:
        for root in roots:
            if root not in self._catalog:
                raise self._lacks(root)
        return list(self._absent(roots))

    def _lacks(self, digest: Digest) -> Exception:
        return self._bucket.error(
            f"object {digest.hex()} is pointed to, and in no pack there",
            hint="a pack was removed there: push to another place in the bucket, from where its objects are",
        )

    def _boundary(self, item: Sent | Large) -> Iterator[Boundary]:
        one = self._catalog.execution(item.digest) if item.kind == "exec" else None
        if one is not None and one.missing:
            yield Boundary(item.digest, one.missing)

    def _points(self, item: Sent) -> Iterable[Digest]:
        """Returns what is to be looked for of what an object points to."""
        try:
            points = arrived(item.kind, item.payload, self._format.size)
        except MalformedObject:
            return ()  # whoever takes it says so
        one = self._catalog.execution(item.digest) if item.kind == "exec" else None
        if one is not None and one.missing:
            return [digest for digest in points if digest in self._catalog]
        return points

    def _absent(self, digests: Sequence[Digest]) -> Sequence[Digest]:
        """Returns those of some objects that this machine may lack. What it has it has with all that it leads to, so
        that packs in which there is nothing else are not looked at."""
        unknown = [digest for digest in digests if self._catalog.pack_of(digest) not in self._opened]
        if not unknown:
            return digests
        there = set(unknown).difference(self._ask(unknown))
        return [digest for digest in digests if digest not in there] if there else digests

    def _found(self, digest: Digest, waiting: Sequence[Digest | Sent]) -> Sent | Large | None:
        """Returns an object, None if this machine has it."""
        number = self._catalog.pack_of(digest)
        if number is None:
            raise self._lacks(digest)
        if number not in self._opened:
            self._open(self._next_packs(number, waiting))
        large = self._large.get(digest)
        if large is not None:
            pack, place = large
            return Large(digest, place.kind, place.size, self._parts(pack, place))
        here = self._here.get(digest)
        if here is None:
            return None
        offset, size, kind = here
        self._spool.seek(offset)
        return Sent(digest, kind, self._spool.read(size))

    def _next_packs(self, number: int, waiting: Sequence[Digest | Sent]) -> list[int]:
        """Returns the packs to read now: one, and others that are wanted next."""
        packs = {number: None}
        for one in waiting[: -_LOOKED_AT - 1 : -1]:
            other = None if isinstance(one, Sent) else self._catalog.pack_of(one)
            if other is not None and other not in self._opened:
                packs[other] = None
                if len(packs) == _AT_ONCE:
                    break
        return list(packs)

    # -- packs --------------------------------------------------------------------------------------------------------

    def _open(self, numbers: Sequence[int]) -> None:
        """Reads what is missing on this machine of some packs."""
        wanted: list[tuple[str, int, list[tuple[Digest, Place]]]] = []
        for number in numbers:
            self._opened.add(number)
            index = self._catalog.index(number)
            places = self._catalog.places(number)
            small = []
            for digest in self._ask(list(places)):
                if self._catalog.pack_of(digest) != number:
                    continue
                place = places[digest]
                if place.size > limits.INLINE_BYTES:
                    self._large[digest] = index.pack, place
                else:
                    small.append((digest, place))
            if small:
                wanted.append((index.pack, index.size, small))
        for (_, _, small), payloads in zip(
            wanted, self._pool.map(lambda some: self._payloads(*some), wanted), strict=True
        ):
            for (digest, place), payload in zip(small, payloads, strict=True):
                self._here[digest] = self._end, place.size, place.kind
                self._spool.seek(self._end)
                self._spool.write(payload)
                self._end += place.size

    def _payloads(self, pack: str, size: int, small: Sequence[tuple[Digest, Place]]) -> list[bytes]:
        path = f"{PACKS}/{pack}{PACK_SUFFIX}"
        most = size <= _WHOLE_BYTES and 2 * sum(place.size for _, place in small) >= size
        if most or size <= _SMALL_BYTES:
            [data] = self._bucket.ranges(path, [0], [size])
            if data[-_SHA:].hex() != pack or hashlib.sha256(data[:-_SHA]).hexdigest() != pack:
                raise self._bucket.error(
                    f"{path} is not what was written",
                    hint="push to another place in the bucket, from where its objects are",
                )
            return [data[place.offset : place.offset + place.size] for _, place in small]
        starts = [place.offset for _, place in small]
        ends = [place.offset + place.size for _, place in small]
        return self._bucket.ranges(path, starts, ends)

    def _parts(self, pack: str, place: Place) -> Iterator[bytes]:
        end = place.offset + place.size
        for start in range(place.offset, end, _PART_BYTES):
            yield from self._bucket.ranges(f"{PACKS}/{pack}{PACK_SUFFIX}", [start], [min(start + _PART_BYTES, end)])
