"""What is in a bucket: all of its indexes, each read once and then kept on this machine.

An index counts only beside its pack: what is in a pack that somebody removed is missing, and goes there again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject
from redun.store.gc.shallow import Missing
from redun.store.sync.storage.bucket import Bucket
from redun.store.sync.storage.records import (
    INDEX_BYTES,
    INDEX_SUFFIX,
    PACK_SUFFIX,
    PACKS,
    Execution,
    Index,
    Place,
    is_pack_name,
    parse_index,
)

#: Requests at a time.
_AT_ONCE: Final = 8


class Catalog:
    """The objects in a bucket, and where each is.

    Args:
        kept: directory of this machine for the indexes of that bucket, None to keep none.
    """

    def __init__(self, bucket: Bucket, fmt: ObjectFormat, kept: Path | None) -> None:
        self._bucket = bucket
        self._format = fmt
        self._kept = kept
        self._indexes: list[Index] = []
        self._numbers: dict[str, int] = {}
        self._pack_of: dict[Digest, int] = {}
        self._executions: dict[Digest, Execution] = {}
        self._places: dict[int, dict[Digest, Place]] = {}
        self._read = False

    # -- what is there ------------------------------------------------------------------------------------------------

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._pack_of

    def execution(self, digest: Digest) -> Execution | None:
        """Returns what is told of an execution that is there."""
        return self._executions.get(digest)

    def pack_of(self, digest: Digest) -> int | None:
        """Returns the number of the pack that has an object, None if none has."""
        return self._pack_of.get(digest)

    def index(self, number: int) -> Index:
        """Returns the index of a pack."""
        return self._indexes[number]

    def places(self, number: int) -> dict[Digest, Place]:
        """Returns where the objects of a pack are in it."""
        found = self._places.get(number)
        if found is None:
            found = self._places[number] = self._indexes[number].places(self._format.size)
        return found

    def leads(self, head: Digest, older: Digest) -> bool:
        """Returns whether a chain leads from one execution to an older one."""
        at: Digest | None = head
        seen: set[Digest] = set()
        while at is not None and at != older and at not in seen:
            seen.add(at)
            one = self._executions.get(at)
            at = one.parent if one is not None and not one.missing & Missing.PARENT else None
        return at == older

    # -- reading ------------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Reads what is there, once.

        Raises:
            RemoteError: if it cannot be read, or an index is none.
        """
        if not self._read:
            self.refresh()

    def refresh(self) -> None:
        """Reads what has come since the last time.

        Raises:
            RemoteError: as `load`.
        """
        listed = {found.name: found.size for found in self._bucket.names(PACKS)}
        new = [name for name in self._complete(listed) if name not in self._numbers]
        with ThreadPoolExecutor(_AT_ONCE, "redun-storage") as pool:
            for index in pool.map(self._index, new):
                if listed[f"{PACKS}/{index.pack}{PACK_SUFFIX}"] == index.size:
                    self.add(index)
        self._forget(set(self._numbers))
        self._read = True

    def _complete(self, listed: dict[str, int]) -> Iterator[str]:
        for path in sorted(listed):
            name = path.removeprefix(f"{PACKS}/").removesuffix(INDEX_SUFFIX)
            if path.endswith(INDEX_SUFFIX) and is_pack_name(name) and f"{PACKS}/{name}{PACK_SUFFIX}" in listed:
                yield name

    def add(self, index: Index) -> None:
        """Notes a pack that is there."""
        number = len(self._indexes)
        self._indexes.append(index)
        self._numbers[index.pack] = number
        for digest in index.digests(self._format.size):
            self._pack_of.setdefault(digest, number)
        for one in index.executions:
            self._executions.setdefault(one.digest, one)

    def _index(self, name: str) -> Index:
        known = self._known(name)
        if known is not None:
            return known
        path = f"{PACKS}/{name}{INDEX_SUFFIX}"
        found = self._bucket.read(path, INDEX_BYTES)
        try:
            if found is None:
                raise MalformedObject("it was removed meanwhile")
            index = parse_index(found.data, name, self._format)
        except MalformedObject as error:
            why = f"the index {path} cannot be read: {error.message}"
            raise self._bucket.error(
                why, hint="push to another place in the bucket, from where its objects are"
            ) from None
        self._keep(name, found.data)
        return index

    # -- on this machine ----------------------------------------------------------------------------------------------

    def _known(self, name: str) -> Index | None:
        if self._kept is None:
            return None
        try:
            return parse_index((self._kept / name).read_bytes(), name, self._format)
        except (OSError, MalformedObject):
            return None

    def _keep(self, name: str, data: bytes) -> None:
        if self._kept is None:
            return
        with contextlib.suppress(OSError):  # then it is read once more the next time
            self._kept.mkdir(parents=True, exist_ok=True)
            part = self._kept / f"{name}.{os.getpid()}.part"
            part.write_bytes(data)
            part.replace(self._kept / name)

    def _forget(self, there: Iterable[str]) -> None:
        """Removes indexes of packs that are gone."""
        if self._kept is None:
            return
        with contextlib.suppress(OSError):
            for name in set(os.listdir(self._kept)).difference(there):
                if is_pack_name(name):
                    (self._kept / name).unlink()


def absent(catalog: Catalog, digests: Sequence[Digest]) -> list[Digest]:
    """Returns those of the objects that are in no pack."""
    return [digest for digest in digests if digest not in catalog]
