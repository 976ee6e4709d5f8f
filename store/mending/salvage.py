"""Salvage: what can be read of a data file is copied to a new one, which takes its place, whole or not at all.

Tables are read along their trees. Only where a tree has lost leaves are the leaves searched that no tree leads to: they
may be of former times, and what they hold is taken only where it vouches for itself, and nothing newer is there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from redun.core import limits
from redun.core.digest import Digest, Key
from redun.core.errors import LibraryMissing, StoreDamaged, StoreError
from redun.store import meta, meta_pages
from redun.store.blobs import FileBlobs
from redun.store.filesystem import make_directory, sync_directory, translated
from redun.store.lmdb_backend import LmdbBackend
from redun.store.memo import decode_row, last_seq
from redun.store.mending import cache
from redun.store.mending.aside import Aside
from redun.store.mending.pages import DataFile, Row, Tree
from redun.store.objects import IN_FILE, Objects
from redun.store.ports import TABLES
from redun.store.problems import Progress
from redun.store.refs import log_name, read_entry

#: Names of tables that are made again from the others begin so.
_DERIVED: Final = "ix."
_BATCH: Final = 2000
_BATCH_BYTES: Final = 16 * limits.MIB
#: Numbers may have been given out that no row tells of.
_UNSEEN_NUMBERS: Final = 1_000_000
_NUMBER_BYTES: Final = 8
#: Letters in which the name of a table may differ from what it was.
_ODD_LETTERS: Final = 2
#: Bits in which a damaged id of the store may differ; those of two stores differ in about 64.
_ODD_BITS: Final = 16
#: How envelopes begin.
_CODECS: Final = (b"\0", b"\1", b"\2")


class Salvaged:
    """What came of a salvage.

    Attributes:
        objects: how many objects were saved.
        broken: names of tables of which rows may be missing.
    """

    def __init__(self) -> None:
        self.objects = 0
        self.broken: list[str] = []


def salvage(directory: Path, fmt: meta.Format, aside: Aside, progress: Progress) -> Salvaged | None:
    """Puts a new data file in the place of a damaged one, which is kept aside. Returns None where it holds nothing.

    Raises:
        StoreFull: if there is no room for two more; nothing changed.
        StoreError: if it cannot be read.
    """
    place = directory / "incoming" / "salvaged"
    with translated(directory):
        shutil.rmtree(place, ignore_errors=True)
        make_directory(place)
        source = DataFile(directory / "data.mdb")
    try:
        target = LmdbBackend(place)
        try:
            salvaged = _Copier(source, target, fmt, FileBlobs(directory), progress).copy()
            # A compact copy knows of no transactions: those that made it may be more than the damaged file has had.
            target.compact()
        finally:
            target.close()
        if salvaged is not None:
            aside.copy(directory / "data.mdb")
            with translated(directory):
                _take_over_number(place / "data.mdb", meta_pages.newest(directory)[0])
                os.replace(place / "data.mdb", directory / "data.mdb")
                sync_directory(directory)
        return salvaged
    finally:
        source.close()
        shutil.rmtree(place, ignore_errors=True)


def _take_over_number(copy: Path, number: int) -> None:
    """Lets a new data file go on where the damaged one was: who reads that one keeps lock.mdb, which counts on."""
    if 0 < number < 2**62:  # damaged bytes may say anything
        with open(copy, "r+b") as file:
            meta_pages.renumber(file.fileno(), number)
            os.fsync(file.fileno())


class _Copier:
    def __init__(
        self, source: DataFile, target: LmdbBackend, fmt: meta.Format, blobs: FileBlobs, progress: Progress
    ) -> None:
        self._source = source
        self._target = target
        self._format = fmt
        self._objects = Objects(fmt.object_format, blobs)
        self._progress = progress
        self._newest = 0
        self._salvaged = Salvaged()

    def copy(self) -> Salvaged | None:
        trees = _known(self._source.tables())
        self._check_owner(trees.get("meta"))
        rows = 0
        for name in TABLES:
            tree = trees.get(name)
            if name.startswith(_DERIVED):
                continue
            before = self._source.skipped
            copied = 0 if tree is None else self._table(name, tree)
            rows += copied
            if tree is None or copied != tree.rows or self._source.skipped != before:
                self._salvaged.broken.append(name)
        if self._salvaged.broken:
            rows += self._put("loose", self._loose())
        if not rows:
            return None
        self._salvaged.objects = self._target.read(lambda txn: txn.count("objects"))
        meta.write_identity(self._target, self._format)
        unseen = _UNSEEN_NUMBERS if self._salvaged.broken else 0
        seq = max(self._target.read(last_seq), self._newest + unseen)  # what is said may be damaged, too
        self._target.write(lambda txn: txn.put("meta", b"seq", seq.to_bytes(_NUMBER_BYTES, "big")))
        if "superseded" in self._salvaged.broken:
            cache.doubt_all(self._target, self._objects, self._format.object_format)
        return self._salvaged

    def _check_owner(self, tree: Tree | None) -> None:
        """Checks that the file is this store's, where it says whose it is."""
        rows = {} if tree is None else {row.key: row.value for row in self._source.rows(tree)}
        said = int.from_bytes(rows.get(b"id", self._format.store_id), "big")
        if (said ^ int.from_bytes(self._format.store_id, "big")).bit_count() > _ODD_BITS:
            raise StoreDamaged("the data file belongs to another store than FORMAT")
        if tree is not None:
            self._target.write(lambda txn: txn.put_many("meta", sorted(rows.items())))

    def _table(self, name: str, tree: Tree) -> int:
        if name == "meta":  # it is small, and copied
            return self._target.read(lambda txn: txn.count("meta"))
        rows = (row for row in self._source.rows(tree) if name != "objects" or self._is_sound(row))
        return self._put(name, ((name, row) for row in rows))

    def _put(self, what: str, rows: Iterable[tuple[str, Row]]) -> int:
        """Adds rows that are not there yet, in batches; returns how many came."""
        batch: list[tuple[str, bytes, bytes]] = []
        total = size = 0
        for table, row in rows:
            self._note_number(table, row)
            batch.append((table, row.key, row.value))
            total, size = total + 1, size + len(row.value)
            if len(batch) >= _BATCH or size >= _BATCH_BYTES:
                self._flush(batch)
                size = 0
                self._progress(f"salvaged {what}", total, total)
        self._flush(batch)
        return total

    def _flush(self, batch: list[tuple[str, bytes, bytes]]) -> None:
        by_table: dict[str, list[tuple[bytes, bytes]]] = {}
        for table, key, value in batch:
            by_table.setdefault(table, []).append((key, value))

        def write(txn: object) -> None:
            for table, rows in by_table.items():
                txn.add_many(table, sorted(rows))  # type: ignore[attr-defined]

        self._target.write(write)
        batch.clear()

    def _is_sound(self, row: Row) -> bool:
        # Its file is looked at later.
        return row.value[:1] == bytes((IN_FILE,)) or self._opens(row)

    def _opens(self, row: Row) -> bool:
        try:
            self._objects.open(Digest(row.key), row.value)
        except LibraryMissing:
            raise
        except StoreError:
            return False
        return True

    def _loose(self) -> Iterator[tuple[str, Row]]:
        """What vouches for itself in leaves that no tree leads to: objects, entries of logs, and rows of the cache."""
        broken, size = set(self._salvaged.broken), self._format.object_format.size
        remembered: dict[bytes, tuple[int, Row]] = {}
        for row in self._source.loose_rows():
            if "objects" in broken and len(row.key) == size and row.value[:1] in _CODECS and self._opens(row):
                yield "objects", row
            elif "reflog" in broken and row.key[-9:-8] == b"\0" and log_name(row.key) and _is_entry(row):
                yield "reflog", row
            elif "memo" in broken and len(row.key) == size:
                memo = decode_row(Key(row.key), row.value, size)
                if memo is not None and len(memo.calls) <= limits.MEMO_CALLS:
                    number = max((call.seq for call in memo.calls), default=0)
                    if number >= remembered.get(row.key, (0, row))[0]:
                        remembered[row.key] = number, row
        yield from (("memo", row) for _, row in remembered.values())

    def _note_number(self, table: str, row: Row) -> None:
        if table == "reflog":
            self._newest = max(self._newest, int.from_bytes(row.key[-_NUMBER_BYTES:], "big"))
        elif table == "memo":
            memo = decode_row(Key(row.key), row.value, self._format.object_format.size)
            if memo is not None:
                self._newest = max([self._newest, *(call.seq for call in memo.calls)])


def _known(found: dict[bytes, Tree]) -> dict[str, Tree]:
    """The tables by name. One whose name is damaged is known by what is left of it."""
    names = {name.encode(): name for name in TABLES}
    known = {names[key]: tree for key, tree in found.items() if key in names}
    for key, tree in found.items():
        if key not in names:
            missing = [name for name in names if names[name] not in known and len(name) == len(key)]
            near = [name for name in missing if sum(a != b for a, b in zip(name, key, strict=True)) <= _ODD_LETTERS]
            if len(near) == 1:
                known[names[near[0]]] = tree
    return known


def _is_entry(row: Row) -> bool:
    try:
        read_entry(row.key, row.value)
    except (StoreDamaged, ValueError, TypeError):
        return False
    return True
