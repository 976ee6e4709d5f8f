"""Making a store of a backup. Everything is checked, and nothing can be seen before all of it is there.

A backup is somebody's own: what its cache says is believed, as hashes cannot tell whether a task gives a result. The
store gets an id of its own, since the one that was backed up may live on: its history is shown, and that of the new
one begins beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from redun.core import limits
from redun.core.codec import references
from redun.core.digest import Digest, Key
from redun.core.errors import DigestCollision, MalformedObject, StoreDamaged, StoreError, StoreFormatError
from redun.core.frame import object_id
from redun.core.objects import check
from redun.store import backup, locks, meta, packs, refs
from redun.store.blobs import FileBlobs
from redun.store.checksums import body_of
from redun.store.compression import COMPRESSIONS
from redun.store.gc.shallow import Missing
from redun.store.lmdb_backend import LmdbBackend
from redun.store.memo import decode_row, raise_seq
from redun.store.objects import Collided, Objects, Rows, kind_of
from redun.store.ports import ReadTransaction, WriteTransaction
from redun.store.problems import Progress, no_progress
from redun.store.staging import Staging, remove

WHAT: Final = "restoring"
_BATCH_ROWS: Final = 5_000
_BATCH_BYTES: Final = 16 * limits.MIB
_NUMBER_BYTES: Final = 8


class Restored(NamedTuple):
    """What was restored: objects, rows of tables, the bytes of the backup, and how its objects are named."""

    objects: int
    rows: int
    size: int
    format: str


def restore(
    source: str | os.PathLike[str] | packs.Readable, path: str | os.PathLike[str], *, progress: Progress = no_progress
) -> Restored:
    """Makes a store of a backup. It is there whole, or not at all.

    Args:
        source: the file, or a stream that gives its bytes.
        path: the directory that will be the store: nothing may be there, or a store that holds nothing.

    Raises:
        StoreFormatError: if it is no backup, or one that this program does not read.
        StoreDamaged: if it is cut off or damaged.
        StoreError: if there is a store already, or the file cannot be read; or on a network file system.
        StoreFull, StoreReadOnly: if there is no room, or no permission.
    """
    if not isinstance(source, str | os.PathLike):
        return _restored(source, "the backup", path, progress)
    name = os.fspath(source)
    with _opened(name) as file:
        return _restored(file, name, path, progress)


def _opened(name: str) -> BinaryIO:
    try:
        return open(name, "rb")
    except OSError as error:
        told = f"cannot read {name}: {error.strerror}"
        raise StoreError(told, path=name, hint="redun backup FILE writes one") from error


def _restored(source: packs.Readable, name: str, path: str | os.PathLike[str], progress: Progress) -> Restored:
    place = Path(os.path.realpath(path))
    reader = packs.Reader(source, name)
    if reader.header.purpose != backup.PURPOSE or reader.header.needs:
        raise StoreFormatError(
            f"{name} is a pack that is no backup ({reader.header.purpose!r:.40})", path=name, hint="redun --help"
        )
    alone = _Empty(place)
    try:
        staging = Staging(place, WHAT, meta.new_format(reader.header.format.name))
        try:
            _Restore(reader, staging, progress).run()
            staging.complete()
            staging.place()
        except BaseException:
            staging.discard()
            raise
        if alone.was_there:
            remove(staging.path)
    finally:
        alone.release()
    return Restored(reader.objects, reader.rows, reader.size, reader.header.format.name)


class _Empty:
    """Sees to it that the place is free: nothing is there, or a store that nobody uses and that holds nothing."""

    def __init__(self, place: Path) -> None:
        self._session: locks.Held | None = None
        self.was_there = meta.is_store(place)
        if not self.was_there:
            if os.path.lexists(place) and not (place.is_dir() and not os.listdir(place)):
                raise StoreError(f"{place} is there already", path=str(place), hint="name another place with --at")
            return
        self._session = locks.take(place / "session.lock")
        taken = self._session is None
        try:
            if taken or not _is_empty(place):
                raise StoreError(
                    f"there is a store already: {place}",
                    path=str(place),
                    hint="a backup makes a new store: name another project with --at, or move this one away",
                )
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        if self._session is not None:
            self._session.release()


def _is_empty(place: Path) -> bool:
    backend = LmdbBackend(place, writable=False)
    try:
        tables = ("objects", "refs", "reflog", "live", "trash", "memo")
        return not any(backend.read(lambda txn: [txn.count(table) for table in tables]))
    finally:
        backend.close()


class _Restore:
    def __init__(self, reader: packs.Reader, staging: Staging, progress: Progress) -> None:
        self._reader = reader
        self._format = reader.header.format
        self._backend = staging.backend
        self._objects = Objects(self._format, FileBlobs(staging.path))
        self._progress = progress
        self._added: dict[Digest, tuple[str, bytes]] = {}
        self._files: Rows = []
        self._wanted: set[bytes] = set()
        self._rows: list[packs.Row] = []
        self._bytes = 0
        self._declared: dict[bytes, Missing] = {}
        #: Objects that may be missing: they were lost, and known to be.
        self._gone: set[bytes] = set()
        self._refs: list[packs.Row] = []
        #: The greatest number that a row has: those to be given out are greater.
        self._seq = 0

    def run(self) -> None:
        """Reads the pack to its end.

        Raises:
            StoreDamaged: if it is damaged, or something in it leads to what it does not have.
            StoreFormatError: if it has what this program does not know.
            StoreFull: if there is no room.
        """
        try:
            for entry in self._reader.entries():
                if isinstance(entry, packs.Row):
                    self._row(entry)
                else:
                    self._object(entry)
                if len(self._added) + len(self._files) + len(self._rows) >= _BATCH_ROWS or self._bytes >= _BATCH_BYTES:
                    self._flush()
            self._flush()
        except Collided as error:
            raise self._objects.settle(error) from None
        except (MalformedObject, DigestCollision) as error:
            raise self._reader.damaged(error.message) from error
        self._check_refs()
        self._backend.write(lambda txn: raise_seq(txn, self._seq))

    # -- objects --

    def _object(self, entry: packs.Entry) -> None:
        digest = entry.digest
        if entry.size > limits.INLINE_BYTES:
            self._large(entry)
            return
        payload = self._reader.payload()
        if object_id(self._format, entry.kind, payload) != digest:
            raise self._reader.damaged(f"the bytes of {entry.kind} {digest.hex()} do not fit its id")
        self._note(entry, payload)
        self._added[digest] = (entry.kind, payload)
        self._bytes += len(payload)

    def _large(self, entry: packs.Entry) -> None:
        digest, rows = self._objects.put_stream(entry.kind, self._reader.parts(), entry.size)
        if digest != entry.digest:
            raise self._reader.damaged(f"the bytes of {entry.kind} {entry.digest.hex()} do not fit its id")
        if entry.kind != "blob":
            payload = self._objects.written(digest)
            self._note(entry, b"" if payload is None else bytes(payload))
        self._files += rows

    def _note(self, entry: packs.Entry, payload: bytes) -> None:
        """Checks an object, and notes what it points to."""
        check(entry.kind, payload)
        if entry.kind == "blob" or (entry.kind == "exec" and entry.digest in self._declared):
            return
        self._wanted.update(references(payload))

    # -- rows --

    def _row(self, row: packs.Row) -> None:
        check_row = _CHECKS.get(row.table)
        if check_row is None:
            raise StoreFormatError(
                f"the backup has rows of a table {row.table!r:.40}, which this program does not know"
            )
        try:
            check_row(self, row)
        except (StoreError, ValueError) as error:
            raise self._reader.damaged(f"a row of {row.table}: {error}") from error
        self._rows.append(row)
        self._bytes += len(row.value)

    def _setting(self, row: packs.Row) -> None:
        if row.key != meta.COMPRESSION or row.value.decode("ascii", "replace") not in COMPRESSIONS:
            raise ValueError("it is no setting")
        self._objects.compresses = row.value == b"zstd"

    def _ref(self, row: packs.Row) -> None:
        refs.check_name(row.key.decode())
        if len(refs.target_of(row.key, row.value)) != self._format.size:
            raise ValueError("an id of another object format")
        self._refs.append(row)

    def _log(self, row: packs.Row) -> None:
        refs.check_name(refs.log_name(row.key).decode())
        refs.read_entry(row.key, row.value)
        self._seq = max(self._seq, int.from_bytes(row.key[-_NUMBER_BYTES:], "big"))

    def _shallow(self, row: packs.Row) -> None:
        if len(row.key) != self._format.size or len(row.value) != 1 or not 0 < row.value[0] <= 3:
            raise ValueError("it is none")
        self._declared[row.key] = Missing(row.value[0])

    def _lost(self, row: packs.Row) -> None:
        if len(row.key) != self._format.size or body_of(row.key, row.value) is None:
            raise ValueError("it does not fit its checksum")
        self._gone.add(row.key)

    def _remote(self, row: packs.Row) -> None:
        if body_of(row.key, row.value) is None:
            raise ValueError("it does not fit its checksum")

    def _memo(self, row: packs.Row) -> None:
        found = decode_row(Key(row.key), row.value, self._format.size)
        if found is None or len(row.key) != self._format.size:
            raise ValueError("it does not fit its checksum")
        self._wanted.add(found.reduction)
        for call in found.calls:
            self._wanted.update((call.call, call.head))
            self._seq = max(self._seq, call.seq)

    def _tally(self, row: packs.Row) -> None:
        if body_of(row.key, row.value) is None:
            raise ValueError("it does not fit its checksum")
        self._wanted.add(Digest(row.key))

    def _superseded(self, row: packs.Row) -> None:
        body = body_of(row.key, row.value)
        if body is None or len(body) < _NUMBER_BYTES:
            raise ValueError("it does not fit its checksum")
        self._seq = max(self._seq, int.from_bytes(body[:_NUMBER_BYTES], "big"))

    # -- writing --

    def _flush(self) -> None:
        """Writes what was read, after seeing that what it points to is there."""
        self._check_wanted()
        rows = sorted(self._objects.prepare(self._added) + self._files)

        def write(txn: WriteTransaction) -> None:
            self._objects.add(txn, rows)
            for table in sorted({row.table for row in self._rows}):
                txn.put_many(table, sorted((row.key, row.value) for row in self._rows if row.table == table))

        self._backend.write(write)
        self._progress("objects", self._reader.objects, self._reader.objects)
        self._added.clear()
        self._files.clear()
        self._rows.clear()
        self._bytes = 0

    def _check_wanted(self) -> None:
        known: set[bytes] = {*self._added, *(digest for digest, _ in self._files)}
        wanted = sorted(self._wanted - known)
        there = set(self._backend.read(lambda txn: txn.present("objects", wanted)))
        for digest in wanted:
            if digest not in there and digest not in self._gone:
                raise self._reader.damaged(f"object {digest.hex()} is pointed to and is not in it")
        self._wanted.clear()

    def _check_refs(self) -> None:
        def look(txn: ReadTransaction) -> list[str]:
            return [refs.text_of(row.key) for row in self._refs if not _leads(txn, row)]

        lost = self._backend.read(look)
        if lost:
            raise StoreDamaged(f"ref {lost[0]} leads to nothing in the backup", hint="take another copy of it")


def _leads(txn: ReadTransaction, row: packs.Row) -> bool:
    env = txn.get("objects", refs.target_of(row.key, row.value))
    if env is None:
        return False
    return not row.key.startswith(refs.EXECUTIONS.encode()) or kind_of(env) == "exec"


_CHECKS: Final = {
    "meta": _Restore._setting,
    "refs": _Restore._ref,
    "reflog": _Restore._log,
    "shallow": _Restore._shallow,
    "memo": _Restore._memo,
    "tally": _Restore._tally,
    "superseded": _Restore._superseded,
    "lost": _Restore._lost,
    "remotes": _Restore._remote,
}
