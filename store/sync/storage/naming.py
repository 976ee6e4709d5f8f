"""The refs in a bucket: created only where there is none, moved only from where they were. Where others move them too,
and where a reply is lost, none moves twice or back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject, RemoteError, StoreError
from redun.store.refs import check_name
from redun.store.sync.peers import Update
from redun.store.sync.storage.bucket import Bucket
from redun.store.sync.storage.catalog import Catalog
from redun.store.sync.storage.records import REFS, SMALL_BYTES, RefRecord, parse_ref, ref_bytes

_AT_ONCE: Final = 8
#: How often a ref that others move too is tried.
_TRIES: Final = 20


class _At(NamedTuple):
    """Where a ref is, and the tag of what says so."""

    record: RefRecord
    tag: str


class Names:
    """The refs in a bucket."""

    def __init__(self, bucket: Bucket, fmt: ObjectFormat, catalog: Catalog) -> None:
        self._bucket = bucket
        self._format = fmt
        self._catalog = catalog

    def all(self, prefix: str) -> Mapping[str, Digest]:
        """Returns the refs whose names start so.

        Raises:
            RemoteError: if they cannot be read, or one is none.
        """
        listed = [found.name.removeprefix(f"{REFS}/") for found in self._bucket.names(REFS)]
        names = [name for name in listed if name.startswith(prefix)]
        for name in names:
            self._path(name)
        if not names:
            return {}
        with ThreadPoolExecutor(_AT_ONCE, "redun-storage") as pool:
            found = dict(zip(names, pool.map(self._read, names), strict=True))
        return {name: at.record.digest for name, at in found.items() if at is not None}

    def move(self, update: Update) -> tuple[str, str]:
        """Moves a ref; a chain that has gone another way there goes under a name of its own. Returns what `Taken` says
        of it.

        Raises:
            RemoteError: if it leads to what is not there, its name can be none, or it cannot be written.
        """
        new = update.new
        if new not in self._catalog:
            raise self._bucket.error(f"{update.name} is to move to {new.hex()}, which is not there")
        for _ in range(_TRIES):
            name = update.name
            at = self._read(name)
            if at is not None:
                there = at.record.digest
                if there == new:
                    return update.name, ""
                if there not in self._catalog:
                    self._catalog.refresh()  # somebody else has just moved it
                if not self._catalog.leads(new, there):
                    if self._catalog.leads(there, new):
                        return update.name, ""  # it is ahead
                    name = f"{update.name}-{new.hex()[:8]}"
                    at = self._read(name)
                    if at is not None and at.record.digest == new:
                        return update.name, name
            if self._write(name, new, at):
                return update.name, name
        raise self._bucket.error(f"others move {update.name} all the time", hint="try again later")

    def _write(self, name: str, new: Digest, at: _At | None) -> bool:
        """Writes a ref where it is as it was; returns whether it is the one that was written here."""
        record = RefRecord(new, os.urandom(16))
        data = ref_bytes(record)
        path = self._path(name)
        try:
            if self._bucket.create(path, data) if at is None else self._bucket.swap(path, data, at.tag):
                return True
        except RemoteError:
            # It may have been written, and only the answer got lost: then what is there says so.
            if self._is(name, record):
                return True
            raise
        return self._is(name, record)  # an attempt whose answer got lost makes the next one fail

    def _is(self, name: str, record: RefRecord) -> bool:
        at = self._read(name)
        return at is not None and at.record == record

    def _read(self, name: str) -> _At | None:
        found = self._bucket.read(self._path(name), SMALL_BYTES)
        if found is None:
            return None
        try:
            return _At(parse_ref(found.data, self._format.size), found.tag)
        except MalformedObject as error:
            raise self._bucket.error(
                f"the ref {name!r} cannot be read: {error.message}", hint="remove it there"
            ) from None

    def _path(self, name: str) -> str:
        try:
            check_name(name)
        except StoreError as error:
            raise self._bucket.error(error.message, hint="remove it there") from None
        return f"{REFS}/{name}"
