"""A whole store as one file. Runs may go on: what the backup holds is closed, and its history ends where it began.

First the names are read, in one transaction; then every object, each after what it points to (`copying`); then what the
cache knows, as far as its objects are in the backup; last what makes calls doubtful, since too much of it costs a
call and too little would give a wrong answer. A transaction over all of it would keep every page that a run writes
meanwhile from being used again.

Not in it: live runs, the trash, what this machine alone can use (`stat`), indexes, and the key of secrets, without
which nobody who finds the backup can try which secret was meant.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TypeVar

from redun.core import limits
from redun.core.digest import Digest, Key, ObjectFormat
from redun.core.errors import StoreError
from redun.store import meta, packs
from redun.store.copying import Marks, Source, ids, no_collection
from redun.store.filesystem import new_name, sync_directory, translated
from redun.store.journal import now
from redun.store.memo import MemoRow, decode_row, encode_row
from redun.store.objects import Objects
from redun.store.ports import Backend, ReadTransaction, scan_prefix
from redun.store.problems import Progress
from redun.store.refs import target_of

PURPOSE: Final = "backup"
#: Tables whose rows a backup has, in the order in which they come: names, then objects, then the rest.
NAMES: Final = ("refs", "reflog", "shallow", "lost", "remotes")
CLAIMS: Final = ("memo", "tally", "superseded")

_EVERY: Final = 1_000
_Made = TypeVar("_Made")


class Backup(NamedTuple):
    """What a backup holds: objects, rows of tables, and its size in bytes."""

    objects: int
    rows: int
    size: int


class Parts(NamedTuple):
    """What of a store a backup is made of. `directory` is None for one in memory."""

    backend: Backend
    objects: Objects
    format: ObjectFormat
    store_id: bytes
    directory: Path | None


def write(parts: Parts, target: packs.Writable, progress: Progress) -> Backup:
    """Writes a backup to a stream; see `Store.backup`."""
    with no_collection(parts.directory):
        return _Backup(parts, target, progress).write()


def write_file(parts: Parts, path: Path, progress: Progress) -> Backup:
    """Writes a backup to a file that is not there yet: whole, or not at all; see `Store.backup`."""
    return new_file(path, lambda file: write(parts, file, progress))


def new_file(path: Path, write_to: Callable[[BinaryIO], _Made]) -> _Made:
    """Writes a file that is not there yet, whole or not at all, readable for its owner alone.

    Raises:
        StoreError: if something has that name.
        StoreFull, StoreReadOnly: if there is no room, or no permission.
    """
    taken = StoreError(f"{path} is there already", path=str(path), hint="name another file, or move it away")
    if os.path.lexists(path):
        raise taken
    with translated(path):
        temporary = new_name(path.parent, f".{path.name[:200]}.")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with translated(path), open(descriptor, "wb", buffering=limits.MIB) as file:
            made = write_to(file)
            file.flush()
            os.fsync(descriptor)
        with translated(path):
            _give_name(temporary, path, taken)
            sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return made


def _give_name(temporary: Path, path: Path, taken: StoreError) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise taken from None
    except OSError:  # no second names here, as on some disks for cameras
        if os.path.lexists(path):
            raise taken from None
        os.rename(temporary, path)


class _Backup:
    def __init__(self, parts: Parts, target: packs.Writable, progress: Progress) -> None:
        self._parts = parts
        self._target = target
        self._progress = progress
        self._marks = Marks(parts.backend)
        self._source = Source(parts.backend, parts.objects, parts.format)

    def write(self) -> Backup:
        parts = self._parts
        names = parts.backend.read(_names)
        header = packs.Header(parts.format, PURPOSE, parts.store_id, now())
        writer = packs.Writer(self._target, header)
        for row in names:
            writer.row(row)
        for root in self._roots(names):
            self._closure(writer, root)
        for kept in self._claims():
            writer.row(kept)
        writer.end()
        self._progress("objects", writer.objects, writer.objects)
        return Backup(writer.objects, writer.rows, writer.size)

    def _roots(self, names: list[packs.Row]) -> Iterator[Digest]:
        """What refs name first, so that a history that grows meanwhile cannot leave a ref behind; then everything."""
        for row in names:
            if row.table == "refs":
                yield target_of(row.key, row.value)
        for page in ids(self._parts.backend):
            yield from map(Digest, page)

    def _closure(self, writer: packs.Writer, root: Digest) -> None:
        marks = self._marks
        if marks.has(root):
            return
        for digest, loaded in self._source.children_first(root, marks.has):
            writer.object(digest, loaded.kind, loaded.payload)
            marks.add(digest)
            if writer.objects % _EVERY == 0:
                self._progress("objects", writer.objects, max(writer.objects, marks.total))

    # -- what the cache knows --

    def _claims(self) -> Iterator[packs.Row]:
        backend, size = self._parts.backend, self._parts.format.size
        for key, value in scan_prefix(backend, "memo", b""):
            row = decode_row(Key(key), value, size)
            left = None if row is None else held(row, self._marks.has)
            if left is not None:
                yield packs.Row("memo", key, value if left == row else encode_row(key, left))
        for key, value in scan_prefix(backend, "tally", b""):
            if self._marks.has(key):
                yield packs.Row("tally", key, value)
        for key, value in scan_prefix(backend, "superseded", b""):
            yield packs.Row("superseded", key, value)


def held(row: MemoRow, is_there: Callable[[bytes], bool]) -> MemoRow | None:
    """Returns a row of the cache without the calls that are not there, or None if nothing is left of it."""
    if not is_there(row.reduction):
        return None
    calls = tuple(call for call in row.calls if is_there(call.call) and is_there(call.head))
    return row._replace(calls=calls) if calls or not row.calls else None


def _names(txn: ReadTransaction) -> list[packs.Row]:
    setting = txn.get("meta", meta.COMPRESSION)
    found = [] if setting is None else [packs.Row("meta", meta.COMPRESSION, setting)]
    for table in NAMES:
        start = b""
        while page := txn.scan(table, start, _EVERY):
            found += [packs.Row(table, key, value) for key, value in page]
            start = page[-1][0] + b"\0"
    return found
