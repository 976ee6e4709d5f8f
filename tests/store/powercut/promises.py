"""What a store promises about a loss of power (`store/FORMAT.md`, section 10), checked against what a cut has left."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import lmdb
from lmdb import verify

from redun.core.codec import references
from redun.core.digest import Digest
from redun.core.errors import NotAStore
from redun.core.objects import Status
from redun.executor.scheduler import Scheduler
from redun.store import Store
from redun.store.ports import TABLES
from redun.store.soundness import last_transaction
from tests.store.powercut import flow
from tests.store.powercut.recording import Note
from tests.store.powercut.replay import NAMES, Disk, Order

#: Where the recorded programs keep their store, below the root of the recording.
STORE: Final = "project/.redun/store"

Tables = dict[str, dict[bytes, bytes]]
Check = Callable[[Path], object]


def tables_of(directory: Path) -> Tables:
    """Returns everything in a data file, read without the store."""
    with lmdb.open(str(directory), readonly=True, lock=False, max_dbs=len(TABLES), lib_version=0) as env:
        handles = {name: env.open_db(name.encode(), create=False) for name in TABLES}
        with env.begin() as txn:
            return {name: dict(txn.cursor(handle)) for name, handle in handles.items()}


class Recording:
    """What programs did to a disk on which they kept a store, and what the store was after each transaction.

    Args:
        notes: what they did, as they are in the file `source`.
        folder: room for a copy of the data file.
        durable: whether the store was opened so, and promises more.
    """

    def __init__(self, notes: Sequence[Note], folder: Path, *, durable: bool, source: Path | None = None) -> None:
        self.notes = notes
        self.source = source
        self.durable = durable
        self._folder = folder
        self._after: dict[int, Tables] = {}
        self._replay_transactions()

    def _replay_transactions(self) -> None:
        disk, last = Disk(), 0
        place = self._folder / "reference"
        place.mkdir(exist_ok=True)
        for note in self.notes:
            disk.apply(note)
            if note.what == "W" and note.inode == disk.inode(f"{STORE}/data.mdb"):
                (place / "data.mdb").write_bytes(disk.content(f"{STORE}/data.mdb"))
                now = last_transaction(place)
                if now > last:
                    self._after[now] = tables_of(place)
                    last = now

    def tables_after(self, transaction: int) -> Tables:
        """Returns what the tables held after a transaction."""
        return self._after[transaction]

    @property
    def transactions(self) -> int:
        """How many transactions there were."""
        return len(self._after)

    def must_have(self, marks: Sequence[str]) -> int:
        """Returns the number of the transaction that a cut after these marks must not undo."""
        returned = _last(marks, "returned")
        return returned if self.durable else max(returned - 1, _last(marks, "synced"))


def _last(marks: Sequence[str], word: str) -> int:
    return max((int(mark.split()[1]) for mark in marks if mark.startswith(word)), default=0)


def cut(recording: Recording, order: Order, seed: int, folder: Path, *, check: Check | None = None) -> None:
    """Cuts power at a random moment of a recording, and checks the promises. A failure says how to see it again.

    Args:
        check: what is checked in the end besides; it is given the root of the disk.
    """
    chance = random.Random(f"{order} {seed}")
    at = chance.randint(0, len(recording.notes))
    names = chance.choice(NAMES)
    place = folder / f"{order} {seed}"
    try:
        disk = Disk(recording.notes[:at])
        place.mkdir()
        disk.write_out(place, order, names, chance)
        _check(recording, disk, place)
        if check is not None:
            check(place)
    except BaseException as error:
        error.add_note(
            f"power lost after note {at} of {recording.source}, {order}, names {names}, seed {seed}: {place}"
        )
        raise
    shutil.rmtree(place)


def _check(recording: Recording, disk: Disk, place: Path) -> None:
    directory = place / STORE
    if not (directory / "FORMAT").exists():
        assert "made" not in disk.marks, "the store is gone"
        check_can_be_made(directory)
        return
    _next_boot(directory, disk.inode(f"{STORE}/data.mdb"))
    assert verify.verify(str(directory)) == []
    transaction = last_transaction(directory)
    assert transaction >= recording.must_have(disk.marks), "a transaction that was promised to stay is undone"
    assert tables_of(directory) == recording.tables_after(transaction), f"not as after transaction {transaction}"
    check_store(directory)
    check_works(directory)


def _next_boot(directory: Path, inode: int) -> None:
    """Makes the record of what was synced say what it would say on the same disk after the machine came up again."""
    try:
        boot, recorded, *rest = (directory / "synced").read_text().split()
        if int(recorded) == inode:
            recorded = str(os.stat(directory / "data.mdb").st_ino)
        (directory / "synced").write_text(" ".join([f"not-{boot}", recorded, *rest]))
    except (OSError, ValueError):
        return  # not there, or torn: it may be either


def check_can_be_made(directory: Path) -> None:
    """Checks that where half a store was left there is none yet, and that making one works."""
    try:
        Store.open(directory).close()
        raise AssertionError("a store without FORMAT was opened")
    except NotAStore:
        pass
    Store.init(directory).close()
    check_works(directory)


def check_store(directory: Path) -> None:
    """Checks the invariants of a store, once it has been opened for writing: the musts of section 9 of FORMAT.md."""
    with Store.open(directory) as store:
        assert store.live_runs() == []
        problems = list(store.check())
        assert not problems, problems
        tables = tables_of_open(store)
        objects = {Digest(key) for key in tables["objects"]}
        for digest in objects:
            payload = store.open_blob(digest)  # hashed, whether it lies in a row or in a file
            kind = store.get(digest)[0]
            if kind != "blob":
                missing = set(references(bytes(payload))) - objects
                assert not missing, f"{kind} {digest.hex()} points to what is not there"
        for name, digest in store.refs().items():
            assert store.get(digest)[0] == ("exec" if name.startswith("executions/") else store.get(digest)[0])
        for _, record in store.executions():
            assert record.status in (Status.DONE, Status.INTERRUPTED)
            assert {row.number for page in store.job_pages(record.pages) for row in page.rows} <= set(
                range(record.rows)
            )
        for row in store.lookup({}, list(tables["memo"])):  # type: ignore[misc]
            assert row is not None
            assert {row.reduction, *(x for call in row.calls for x in (call.call, call.head))} <= objects


def tables_of_open(store: Store) -> Tables:
    """Returns everything in the tables of an open store."""
    read: Any = store._backend.read
    return {name: dict(read(lambda txn, table=name: txn.scan(table, b"", 1_000_000))) for name in TABLES}


def check_works(directory: Path) -> None:
    """Checks that runs go on as if nothing had happened, and are there the next time."""
    with Store.open(directory) as store:
        assert Scheduler(store, threads=4).run(flow.main(2)) == flow.expected(2)
        kept = [digest for digest, _ in store.executions()]
    with Store.open(directory, read_only=True) as store:
        assert [digest for digest, _ in store.executions()] == kept
        assert store.live_runs() == []
