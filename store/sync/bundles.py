"""Bundles: history as a file, all of it or what is new since something, to be carried where no connection goes.

A bundle is a pack (`packs`): the names in it, what was pruned on purpose, then objects, each after what it points to.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from redun.core import limits
from redun.core.codec import references
from redun.core.digest import Digest
from redun.core.errors import MalformedObject, StoreError
from redun.core.frame import object_id, stream_id
from redun.core.objects import ExecRecord, check
from redun.store import packs
from redun.store.backup import new_file
from redun.store.checksums import with_checksum
from redun.store.copying import Marks, Source, no_collection
from redun.store.journal import now
from redun.store.problems import Progress, no_progress
from redun.store.refs import EXECUTIONS, PINS, all_refs, check_name
from redun.store.sync.bundle_reading import NAMES, PURPOSE, BundleReader
from redun.store.sync.parts import SyncParts
from redun.store.sync.peers import Ask, Boundary, Item, Large, Sent
from redun.store.sync.planning import Plan, plan
from redun.store.sync.sending import batches
from redun.store.sync.signing import Sign, Signed

#: A structure that is larger is none: what reads one into memory stops there.
_MOST_STRUCTURE: Final = 64 * limits.MIB


class Bundle(NamedTuple):
    """What a bundle holds.

    Attributes:
        objects, size: how many objects, and bytes of all of it.
        refs: the names in it.
        needs: what it builds on, and whoever takes it has to have.
    """

    objects: int
    size: int
    refs: Mapping[str, Digest]
    needs: tuple[Digest, ...] = ()


class Contents(NamedTuple):
    """What a bundle says of itself.

    Attributes:
        format: name of the object format.
        store_id: the store that it was made from.
        time: when, in microseconds since the epoch.
        refs, needs: as in `Bundle`.
    """

    format: str
    store_id: bytes
    time: int
    refs: Mapping[str, Digest]
    needs: tuple[Digest, ...]


def contents(reader: BundleReader) -> Contents:
    """Returns what a bundle says of itself: whether it is true is not known before it is verified."""
    header = reader.header
    return Contents(header.format.name, header.store_id, header.time, reader.refs, header.needs)


# -- making one -------------------------------------------------------------------------------------------------------


def create(
    parts: SyncParts,
    target: str | os.PathLike[str] | packs.Writable,
    names: Mapping[str, Digest] | None,
    since: Sequence[Digest],
    progress: Progress,
    sign: Sign | None = None,
) -> Bundle:
    """Writes a bundle; see `Sync.create_bundle`."""
    with no_collection(parts.path):
        wanted = all_refs(parts.backend, EXECUTIONS) if names is None else names
        source = Source(parts.backend, parts.objects, parts.format)
        fresh, planned = _planned(parts, source, wanted, since, progress)
        header = packs.Header(parts.format, PURPOSE, parts.store_id, now(), tuple(dict.fromkeys(since)))

        def write(file: packs.Writable) -> Bundle:
            return _write(packs.Writer(file, header), source, fresh, planned, progress, sign)._replace(
                needs=header.needs
            )

        if isinstance(target, str | os.PathLike):
            return new_file(Path(target), write)
        return write(target)


def _planned(
    parts: SyncParts, source: Source, names: Mapping[str, Digest], since: Sequence[Digest], progress: Progress
) -> tuple[dict[str, Digest], Plan]:
    """Returns the names that lead to something new, and what that is."""
    if not names:
        raise StoreError("there is no history to make a bundle of", hint="redun run first, or name an id")
    for name in names:
        if not name.startswith(NAMES):
            raise StoreError(f"{name!r} can be no name in a bundle", hint=f"it begins with {' or '.join(NAMES)}")
        check_name(name)
    there = _closure(parts, source, since) if since else None

    def ask(digests: Sequence[Digest]) -> Sequence[Digest]:
        return digests if there is None else [digest for digest in digests if not there.has(digest)]

    fresh = {name: at for name, at in names.items() if there is None or not there.has(at)}
    if not fresh:
        raise StoreError("there is nothing new since then", hint="redun log shows what there is")
    return fresh, plan(source, list(fresh.values()), ask, progress)


def _closure(parts: SyncParts, source: Source, roots: Iterable[Digest]) -> Marks:
    """Marks what some objects lead to, themselves included."""
    marks = Marks(parts.backend)
    waiting = list(dict.fromkeys(roots))
    for digest in waiting:
        marks.add(digest)
    while waiting:
        found: list[Digest] = []
        for points in source.points(waiting):
            for digest in points:
                if not marks.has(digest):
                    marks.add(digest)
                    found.append(digest)
        waiting = found
    return marks


def _write(
    writer: packs.Writer,
    source: Source,
    names: Mapping[str, Digest],
    planned: Plan,
    progress: Progress,
    sign: Sign | None,
) -> Bundle:
    for name, at in sorted(names.items()):
        key = name.encode()
        writer.row(packs.Row("refs", key, with_checksum(key, at)))
    for batch in batches(source, planned, progress):
        for item in batch:
            _entry(writer, item)
    if sign is not None:
        writer.sign(sign)
    writer.end()
    return Bundle(writer.objects, writer.size, dict(names))


def _entry(writer: packs.Writer, item: Item) -> None:
    if isinstance(item, Boundary):
        writer.row(packs.Row("shallow", item.execution, bytes((item.missing,))))
    elif isinstance(item, Sent):
        writer.object(item.digest, item.kind, item.payload)
    else:
        writer.stream(item.digest, item.kind, item.size, item.parts)


def names_of(parts: SyncParts, digests: Sequence[Digest]) -> dict[str, Digest]:
    """Returns the names under which objects go into a bundle: an execution under that of its chain, where one of
    several on a chain has the older ones with it; all else as pins."""
    wanted = set(digests)
    found: dict[str, Digest] = {}
    source = Source(parts.backend, parts.objects, parts.format)
    on_chains = {digest for digest in wanted if source.kind(digest) == "exec"}
    for name, head in all_refs(parts.backend, EXECUTIONS).items():
        at: Digest | None = head
        while at is not None and on_chains:
            if at in on_chains:
                found.setdefault(name, at)
                on_chains.discard(at)
                wanted.discard(at)
            [item] = parts.get_many([at])
            at = None if item is None else ExecRecord.parse(item[1]).parent
    return {**found, **{f"{PINS}{digest.hex()}": digest for digest in sorted(wanted)}}


# -- looking at one ---------------------------------------------------------------------------------------------------


class Verified(NamedTuple):
    """What was found out about a bundle that is sound.

    Attributes:
        objects, size, refs, needs: as in `Bundle`.
        missing: what it builds on and is not here; None where there was no store to look into.
        signed: whose signature it has.
    """

    objects: int
    size: int
    refs: Mapping[str, Digest]
    needs: tuple[Digest, ...]
    missing: tuple[Digest, ...] | None
    signed: Signed | None


def verify(reader: BundleReader, absent: Ask | None, *, progress: Progress = no_progress) -> Verified:
    """Reads a bundle to its end and proves all that can be proven: its bytes, those of every object, their forms, and
    that nothing leads to what is not there. What it builds on is looked for in a store, if there is one.

    Args:
        absent: tells which objects the store does not have; None where there is none.

    Raises:
        StoreDamaged: if it is cut off or damaged, or is not what it says.
    """
    needs = reader.header.needs
    missing = None if absent is None else tuple(absent(needs))
    # Where all that it builds on is here, what leads out of it has to be here as well; else nobody can tell.
    outside: Ask | None = None if needs and (absent is None or missing) else (absent if needs else _all_absent)
    proof = _Proof(reader, outside)
    for batch in reader.items():
        proof.batch(batch)
        progress("objects", reader.objects, 0)
    for name, at in reader.refs.items():
        if at not in proof.seen:
            raise reader.damaged(f"{name} leads to what is not in it")
    return Verified(reader.objects, reader.size, reader.refs, needs, missing, reader.signed)


def _all_absent(digests: Sequence[Digest]) -> Sequence[Digest]:
    return digests


class _Proof:
    def __init__(self, reader: BundleReader, outside: Ask | None) -> None:
        self._reader = reader
        self._format = reader.header.format
        self._outside = outside
        self._boundaries: set[Digest] = set()
        self.seen: set[Digest] = set()

    def batch(self, batch: Sequence[Item]) -> None:
        """Proves a batch."""
        unknown: set[Digest] = set()
        for item in batch:
            if isinstance(item, Boundary):
                self._boundaries.add(item.execution)
                continue
            try:
                unknown.update(digest for digest in self._points_to(item) if digest not in self.seen)
            except MalformedObject as error:
                told = f"{item.digest.hex()} is no {item.kind}: {error.message}"
                raise self._reader.damaged(told) from error
            if item.digest in self.seen:
                raise self._reader.damaged(f"{item.digest.hex()} comes twice")
            self.seen.add(item.digest)
        if unknown and self._outside is not None:
            for digest in self._outside(sorted(unknown)):
                raise self._reader.damaged(f"{digest.hex()} is pointed to, and neither before that nor in the store")

    def _points_to(self, item: Sent | Large) -> Collection[Digest]:
        """Returns what an object leads to that has to be there, once it is known to be what it says."""
        if isinstance(item, Large) and item.kind != "blob" and item.size > _MOST_STRUCTURE:
            raise MalformedObject(f"it has {item.size:,} bytes")
        if isinstance(item, Large) and item.kind == "blob":
            payload, digest = b"", stream_id(self._format, item.kind, item.size, item.parts)
        else:
            payload = item.payload if isinstance(item, Sent) else b"".join(item.parts)
            digest = object_id(self._format, item.kind, payload)
        if digest != item.digest:
            raise MalformedObject("its bytes do not fit its id")
        if item.kind == "blob":
            return ()
        check(item.kind, payload)
        return () if item.kind == "exec" and item.digest in self._boundaries else references(payload)
