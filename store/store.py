"""The store: immutable objects named by their hash, and a few mutable names. `FORMAT.md` has the bytes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

from redun.core.digest import DEFAULT_FORMAT, Digest, Key, self_test
from redun.core.objects import ExecRecord, JobsRecord
from redun.store import history, locks, meta, refs, soundness, stats, tallies
from redun.store.batch import Batch
from redun.store.blobs import BlobArea, FileBlobs, MemoryBlobs
from redun.store.compression import check_compression
from redun.store.journal import UUID_BYTES, Journal, LiveInfo, LiveRun, check_live
from redun.store.locate import directory_of
from redun.store.memo import MemoRow, MemoTable
from redun.store.memory_backend import MemoryBackend
from redun.store.name_access import NameAccess
from redun.store.objects import Collided, Rows
from redun.store.ports import Backend, ReadTransaction, WriteTransaction
from redun.store.problems import DEEPEST, Problem, Progress, no_progress
from redun.store.readers import Reader

if TYPE_CHECKING:
    from redun.store.backup import Backup
    from redun.store.gc.collect import Collection, GcOptions, Parts
    from redun.store.gc.retention import KeepRules, Pruning
    from redun.store.indexes.gather import Source
    from redun.store.indexes.index import Index
    from redun.store.lineage import LineageStep
    from redun.store.mending.aside import Aside
    from redun.store.mending.records import Repaired
    from redun.store.packs import Writable
    from redun.store.statistics import Statistics
    from redun.store.sync.parts import SyncParts
    from redun.store.sync.sync import Sync
    from redun.store.transaction import Transaction

Durability = Literal["normal", "durable"]
Compression = Literal["none", "zstd"]


class Store(NameAccess):
    """A store of objects. Made by `init`, `open` or `memory`; a context manager that closes itself.

    A store may be used from several threads. It must not be used in a process forked from the one that opened it.

    Attributes:
        format: how objects are named.
        id: 16 random bytes, given at `init`.
        path: the directory, or None for one in memory.
        read_only: whether it was opened for reading.
    """

    def __init__(
        self,
        fmt: meta.Format,
        backend: Backend,
        blobs: BlobArea,
        run_locks: locks.RunLocks,
        *,
        path: Path | None,
        read_only: bool,
        session: locks.Held | None = None,
    ) -> None:
        super().__init__(fmt.object_format, backend, blobs, path=path, read_only=read_only)
        self.id: Final = fmt.store_id
        self._run_locks = run_locks
        self._session = session
        self._close_lock = threading.Lock()
        self._memo = MemoTable(self.format)
        self._journal = Journal(
            backend,
            self.format,
            self.id,
            run_locks,
            write=self._write,
            prepare=self._objects.prepare,
            apply=self._apply,
        )

    # -- opening and closing --

    @classmethod
    def init(
        cls,
        path: str | os.PathLike[str],
        *,
        object_format: str = DEFAULT_FORMAT.name,
        durability: Durability = "normal",
        compression: Compression | None = None,
    ) -> Self:
        """Returns the store at a path, made if there is none; doing it again is harmless.

        Args:
            path: the directory that is, or will be, the store; or a pointer file to one that exists, as for `open`.
            object_format: how objects are named, for the life of the store: `xxh3-128`, or `sha256` for a store that
                takes objects from people you do not trust.
            durability: as for `open`.
            compression: `zstd` or `none`, for what is put from now on, by whoever opens the store; what is there stays
                as it is. None leaves it at what it is, which in a new store is `none`.

        Raises:
            StoreFormatError: if there is one of another object format, or this program does not know the format.
            NotAStore: if the path is a file that does not lead to a store.
            StoreReadOnly, StoreFull: if the place admits no writing, or has no room.
            StoreError: on a network file system, where the directory cannot be made, or zstd is not installed.
        """
        # Late, as in `open`.
        from redun.store import creation
        from redun.store.opening import check_durability

        check_durability(durability)
        if compression is not None:
            check_compression(compression)
        directory = directory_of(path)
        creation.create(directory, object_format)
        store = cls.open(directory, durability=durability)
        if compression is not None:
            meta.write_compression(store._backend, compression)
            store._objects.compresses = compression == "zstd"
        return store

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, read_only: bool = False, durability: Durability = "normal") -> Self:
        """Returns the store at a path. An open that writes seals the runs of this host that have died.

        One path may be opened several times in a process, with other settings too: all share one map of the file, and
        each is closed by itself.

        Args:
            path: the directory that is the store; or a *pointer file*, one line with the path of a directory that holds
                it as `store/` (`redun init --at` writes one).
            read_only: whether writing is an error. Reading makes no file and needs no right to write.
            durability: what is left after a loss of power: `normal`, all but the last write or the one before it;
                `durable`, every write that returned, which then takes a disk's sync.

        Raises:
            NotAStore: if there is none.
            StoreFormatError: if it is of a format that this program does not read.
            StoreLocked: if gc is at work.
            StoreReadOnly: if it is opened for writing and permission is missing.
            StoreDamaged: if the data file belongs to another store, or cannot be read.
            StoreError: on a network file system, or in a fork of a process that has it open.
        """
        # Late: a run without a store never loads the database.
        from redun.store.opening import open_directory

        directory = directory_of(path)
        opened = open_directory(directory, read_only=read_only, durability=durability)
        store = cls(
            opened.format,
            opened.backend,
            FileBlobs(directory),
            locks.FileRunLocks(directory / "runs"),
            path=directory,
            read_only=read_only,
            session=opened.session,
        )
        try:
            store._objects.compresses = meta.read_compression(store._backend) == "zstd"
            if not read_only:
                store._journal.seal_dead_runs()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def memory(cls, object_format: str = DEFAULT_FORMAT.name, *, compression: Compression = "none") -> Self:
        """Returns a new store in memory. It behaves as one on disk does, and ends with the process.

        Raises:
            StoreFormatError: if this program knows no object format of that name.
            StoreError: if zstd is asked for and not installed.
        """
        fmt = meta.new_format(object_format)
        self_test([fmt.object_format])
        check_compression(compression)
        store = cls(fmt, MemoryBackend(), MemoryBlobs(), locks.MemoryRunLocks(), path=None, read_only=False)
        store._objects.compresses = compression == "zstd"
        return store

    def close(self) -> None:
        """Closes the store. A run of it that is not sealed counts as dead from here on. Closing twice is harmless.

        Other threads finish what they are reading or writing; what they begin afterwards raises StoreError. Views that
        `open_blob` gave stay valid.
        """
        self._closing.set()
        with self._close_lock:
            self._run_locks.close()
            try:
                if self._session is not None and self._session.is_held and self.path is not None:
                    transaction = soundness.last_transaction(self.path)
                    self._backend.sync()
                    soundness.record(self.path, transaction)
            finally:
                if self._session is not None:
                    self._session.release()
                self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Store {self.path or 'in memory'}, {self.format.name}{', read only' if self.read_only else ''}>"

    def transaction(self) -> Transaction:
        """Returns a transaction, for `with store.transaction() as txn:`. What is put and moved through `txn` is written
        as one when the block ends, or not at all.

        What is done through the store itself meanwhile is no part of it. A transaction inside another one of the same
        store, in one thread or asyncio task, is an error.

        Raises:
            StoreReadOnly: if the store was opened for reading.
            DigestCollision, StoreFull, RefMoved, NotFound: when the block ends; then nothing was written.
        """
        # Late: runs write batches of their own.
        from redun.store.transaction import Transaction

        self._check_writable()
        return Transaction(self)

    # -- the hot path --

    def lookup(self, objects: Mapping[Digest, tuple[str, bytes]], keys: Sequence[Key]) -> list[MemoRow | None]:
        """Returns the memo row of each key, after comparing those of the objects that exist with what is stored.

        Both happen in one transaction: a key is made of ids, and an id counts only once its bytes have been compared.

        Raises:
            DigestCollision: if an id exists with other bytes.
        """

        def look(txn: ReadTransaction) -> list[MemoRow | None]:
            if objects:
                self._objects.compare(txn, objects)
            return self._memo.read(txn, keys)

        try:
            return self._backend.read(look)
        except Collided as error:
            raise self._objects.settle(error) from None

    def commit(self, batch: Batch) -> None:
        """Writes a batch in one transaction: all of it, or nothing.

        Raises:
            DigestCollision, StoreFull, StoreReadOnly: nothing was written.
            RefMoved, NotFound, StoreError: if a move of a ref cannot be made; nothing was written.
        """
        self._check_writable()
        rows = self._objects.prepare(batch.objects, batch.blobs) if batch.objects or batch.blobs else []
        live = None if batch.run is None else self._journal.entries(batch.run)

        def write(txn: WriteTransaction) -> None:
            self._apply(txn, rows, batch)
            if live is not None:
                check_live(txn, live[0][0][:UUID_BYTES])
                txn.put_many("live", live)

        self._write(write)

    def _apply(self, txn: WriteTransaction, rows: Rows, batch: Batch) -> None:
        if rows:
            self._objects.add(txn, rows)
        if batch.memo:
            self._memo.apply(txn, batch.memo)
        if batch.stats:
            stats.put(txn, self.format, batch.stats)
        if batch.tallies:
            tallies.put(txn, batch.tallies)
        for move in batch.moves:
            refs.move(txn, move.name, move.new, expected=move.expected, reason=move.reason)

    def superseded(self, fullname: str) -> int:
        """Returns the number above which a recorded call that involves the task is to be believed; 0: all are."""
        return self._backend.read(lambda txn: self._memo.superseded(txn, fullname))

    def stat_memo_get(self, path: str) -> tuple[int, int, int, int, bytes] | None:
        """Returns (size, mtime_ns, ctime_ns, inode, sha256) of a file as last remembered, or None."""
        return self._backend.read(lambda txn: stats.get(txn, self.format, path))

    def stat_memo_get_many(self, paths: Sequence[str]) -> list[tuple[int, int, int, int, bytes] | None]:
        """Returns what `stat_memo_get` does for each path, in one transaction."""
        return self._backend.read(lambda txn: stats.get_many(txn, self.format, paths))

    def tally(self, call: Digest) -> list[int] | None:
        """Returns how many jobs of each task the subtree of a call has, or None where that is not kept.

        Numbers stand in the order of the distinct names of the call's task set.
        """
        return self._backend.read(lambda txn: tallies.get(txn, call))

    # -- history --

    def begin_run(self, argv: Sequence[str], info: Mapping[str, str]) -> LiveRun:
        """Begins a run: from here on `live_runs` shows it, and a crash leaves an interrupted execution.

        The store adds `host`, `boot` (the kernel's boot id) and `pid` to `info` where they are missing.

        Raises:
            StoreReadOnly: if the store was opened for reading.
        """
        self._check_writable()
        return self._journal.begin(argv, info)

    def live_runs(self) -> list[LiveInfo]:
        """Returns the runs that are not sealed, oldest first."""
        return self._journal.live()

    def executions(self) -> Iterator[tuple[Digest, ExecRecord]]:
        """Returns every sealed execution, newest first; chains of several stores are merged by time.

        Raises:
            StoreDamaged: if a chain is broken.
        """
        return history.executions(self._backend, self.get)

    def chained_executions(self) -> Iterator[tuple[str, Digest, ExecRecord]]:
        """Returns what `executions` does, each with the ref of its chain: `executions/` and the id of the store that
        made it, in hexadecimal digits.

        Raises:
            StoreDamaged: if a chain is broken.
        """
        return history.chained(self._backend, self.get)

    def watch(self, *, timeout: float | None = None, poll: float = 0.1) -> Iterator[tuple[Digest, ExecRecord]]:
        """Returns the executions that are sealed from this call on, by any process, each once, as they are sealed.

        Waiting costs little: every `poll` seconds a number is read from the mapped file, in a few microseconds and
        without a transaction; only when somebody has written are heads of history read. Nobody is kept from anything
        while one waits. It ends when the store is closed, by whichever thread.

        Args:
            timeout: seconds after which it ends when none has come; None waits for ever. The time that the caller takes
                between two executions does not count.
            poll: seconds between two looks: an execution is given at most so long after it was sealed.

        Raises:
            StoreDamaged: if a chain of executions is broken.
            StoreError: if the store was closed before.
        """
        # Late: next to nobody watches.
        from redun.store import watching

        return watching.watch(self._backend, self._execution, self._closing, timeout=timeout, poll=poll)

    def _execution(self, digest: Digest) -> ExecRecord:
        return ExecRecord.parse(self.get(digest)[1])

    def job_pages(self, pages: Sequence[Digest]) -> Iterator[JobsRecord]:
        """Returns the pages of job rows that an execution or a live run lists."""
        return history.job_pages(self._backend, self.get, pages)

    def check(self, *, level: int = DEEPEST, progress: Progress = no_progress) -> Iterator[Problem]:
        """Returns what is wrong with the contents of the store, as it is found; nothing if all is well.

        Others may use the store meanwhile. `redun.store.check` looks at the files of the store as well, before it opens
        it.

        Args:
            level: what is looked at; see `problems.LEVELS`. Each level includes those below it.
        """
        # Late: reading and writing never need it.
        from redun.store.checks import check_tables

        return check_tables(self._backend, self.format, self._blobs, self._journal, level=level, progress=progress)

    def repair(self, *, level: int = DEEPEST, progress: Progress = no_progress) -> Repaired:
        """Mends what `check` finds. What cannot be mended is taken out, kept aside and declared lost, and what the
        cache says of it forgotten, so that the next run makes it again.

        `redun.store.repair` mends the files of a store as well, where this finds nothing to open. A store in memory is
        assumed to be nobody else's.

        Raises:
            StoreLocked: if the store is open for writing elsewhere.
            StoreReadOnly: if it was opened for reading.
            StoreFull: if there is no room; what was done until then is done.
        """
        # Late: reading and writing never need it.
        from redun.store.mending.aside import Aside

        self._check_writable()
        return self._mend(Aside(self.path), level, progress)

    def _mend(self, aside: Aside, level: int, progress: Progress) -> Repaired:
        from redun.store.mending import mend
        from redun.store.mending.work import Work

        work = Work(self._backend, self.format, self._blobs, self._objects, self._journal, self._write, aside)
        return mend.mend_alone(
            work, self._session, lambda level, told: self.check(level=level, progress=told), level, progress
        )

    # -- housekeeping --

    def plan_pruning(self, rules: KeepRules, *, progress: Progress = no_progress) -> Pruning:
        """Returns which executions stay by some rules, and which would go."""
        # Late, as all housekeeping: reading and writing never need it.
        from redun.store.gc import retention

        listed = history.counted(self.executions(), progress)
        return retention.plan(self._backend, listed, rules, self.tags_of_executions)

    def prune(self, pruning: Pruning) -> None:
        """Takes executions out of the history. What only they lead to is there until `collect_garbage` sweeps it.

        Raises:
            StoreReadOnly: if the store was opened for reading.
        """
        from redun.store.gc import retention

        retention.prune(self._write, pruning)

    def collect_garbage(self, options: GcOptions | None = None, progress: Progress = no_progress) -> Collection:
        """Moves what no ref, execution or run leads to into the trash, from where it can be had back until it expires.

        Runs may go on meanwhile, in this process and in others, except where the file is compacted.

        Raises:
            StoreLocked: if another collection is at work, or the file is to be compacted and the store is open
                for writing elsewhere.
            StoreDamaged: if something that is to stay is missing or damaged; then nothing was swept.
            StoreReadOnly: if there is more to do than to look, and the store was opened for reading.
            StoreFull: if there is no room to compact; all else was done.
        """
        from redun.store.gc import collect

        return collect.collect_in(self._gc_parts(), self._session, options or collect.GcOptions(), progress)

    def statistics(self, *, largest: int = 10, quick: bool = False, progress: Progress = no_progress) -> Statistics:
        """Returns what the store holds: by kind of object, by task and by age, how it grew, and its largest values with
        who made them.

        The heads of all objects are read; to tell who made the largest values, also what may lead there; and unless it
        is to be quick, every object, to tell what each execution was the first to name.

        Args:
            largest: of how many values it is told who made them.
            quick: whether to leave out what takes following every pointer: ages, growth, and how often objects are
                named.

        Raises:
            StoreDamaged: if the history, or an object that has to be read to tell who made another, is damaged.
        """
        from redun.store import statistics

        history = self.executions()
        return statistics.measure(self._backend, self._objects, self.format, history, largest, progress, quick=quick)

    def index(self, *, progress: Progress = no_progress) -> Index:
        """Returns what answers questions against the direction of pointers: which jobs a task had, who made a value,
        who took it, which values hold a file.

        It knows every execution that is sealed by now. Those that its tables do not have yet are taken in first, which
        takes some 20 seconds for a million jobs and milliseconds when little has happened; where the store was opened
        for reading they are kept in memory and forgotten.

        Raises:
            StoreFull: if there is no room for what is taken in.
        """
        from redun.store.indexes.opening import open_index

        return open_index(self._index_source(), None if self.read_only else self._write, progress)

    def lineage(
        self, start: Digest, *, up: bool = True, depth: int | None = None, progress: Progress = no_progress
    ) -> Iterator[LineageStep]:
        """Returns the calls that a value, or what a call gave, came from, or those that took it and what came of it:
        nearest first, each once, as they are found.

        It tells of executions that are sealed. What it keeps in memory is less than 100 bytes a call that it has met,
        and the largest expressions it passes.

        Args:
            start: the id of a value or a call.
            up: whether to go to what it was made of, not to what was made of it.
            depth: how far; 0 is those calls alone that gave it, or took it. None for all.
            progress: is told how far the index has come.

        Raises:
            StoreFull: as `index`.
        """
        from redun.store.lineage import lineage

        return lineage(self, start, up=up, depth=depth, progress=progress)

    def index_as_it_is(self) -> Index:
        """Returns what `index` does, of the executions that its tables have: it takes in none, however many there
        are."""
        from redun.store.indexes.opening import stored_index

        return stored_index(self._index_source())

    def rebuild_index(self, *, progress: Progress = no_progress) -> int:
        """Drops the tables of `index` and makes them again; returns how many executions they have. Nothing is lost with
        them, and others may use the store meanwhile.

        Raises:
            StoreReadOnly, StoreFull: it may then be incomplete; `index` goes on.
        """
        from redun.store.indexes.opening import rebuild

        self._check_writable()
        return rebuild(self._index_source(), self._write, progress)

    def _index_source(self) -> Source:
        from redun.store.indexes.gather import Source

        return Source(self._backend, self._objects, self.format)

    def backup(self, target: str | os.PathLike[str] | Writable, *, progress: Progress = no_progress) -> Backup:
        """Writes the whole store as one file, from which `restore` makes one: on another machine too.

        Runs may go on meanwhile. What they have not sealed is not in it; what they have computed may be.

        Args:
            target: the file, which must not be there yet and appears whole or not at all; or a stream to write to.

        Raises:
            StoreDamaged: if something is missing or damaged.
            StoreLocked: if garbage is being collected.
            StoreFull, StoreReadOnly, StoreError: if the file cannot be written.
        """
        from redun.store import backup

        parts = backup.Parts(self._backend, self._objects, self.format, self.id, self.path)
        if isinstance(target, str | os.PathLike):
            return backup.write_file(parts, Path(target), progress)
        return backup.write(parts, target, progress)

    @property
    def sync(self) -> Sync:
        """What moves objects between this store and others: remotes, push, fetch and pull."""
        from redun.store.sync.sync import Sync

        return Sync(self.sync_parts(), type(self).open)

    def sync_parts(self) -> SyncParts:
        """Returns what `redun.store.sync` works on."""
        from redun.store.sync.parts import SyncParts

        return SyncParts(
            self._backend,
            self._objects,
            self.format,
            self.id,
            self.path,
            self.read_only,
            self._write,
            self.get_many,
        )

    def _gc_parts(self) -> Parts:
        from redun.store.gc.collect import Parts

        return Parts(
            self._backend,
            self._objects,
            self._blobs,
            self.format,
            get=self.get,
            get_many=self.get_many,
            write=self._write,
            live=self.live_runs,
            directory=self.path,
            read_only=self.read_only,
        )

    def readers(self) -> list[Reader]:
        """Returns the transactions that are reading this store now, in any process, longest first.

        None lasts long unless something is wrong with its process; while one lasts, the data file grows.
        """
        return self._backend.readers()
