"""The store: immutable objects named by their hash, and a few mutable names. `FORMAT.md` has the bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, cast

from redun.core import limits
from redun.core.digest import DEFAULT_FORMAT, Digest, Key, ObjectFormat, self_test
from redun.core.errors import DigestCollision, NotFound, StoreError, StoreLocked, StoreReadOnly
from redun.core.frame import object_id
from redun.core.objects import ExecRecord, JobsRecord
from redun.store import filesystem, history, locks, meta, refs, soundness, stats, tallies, walk
from redun.store.batch import Batch
from redun.store.blobs import BlobArea, FileBlobs, MemoryBlobs
from redun.store.journal import UUID_BYTES, Journal, LiveInfo, LiveRun, check_live
from redun.store.memo import MemoRow, MemoTable
from redun.store.memory_backend import MemoryBackend
from redun.store.objects import Collided, Objects, Rows, kind_of, not_found
from redun.store.ports import Backend, ReadTransaction, T, WriteTransaction
from redun.store.readers import Reader
from redun.store.refs import RefLogEntry

Durability = Literal["normal", "durable"]


class Store:
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
        self.format: Final[ObjectFormat] = fmt.object_format
        self.id: Final = fmt.store_id
        self.path: Final = path
        self.read_only: Final = read_only
        self._backend = backend
        self._run_locks = run_locks
        self._session = session
        self._objects = Objects(self.format, blobs)
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
    ) -> Self:
        """Returns the store at a path, made if there is none; doing it again is harmless.

        Raises:
            StoreFormatError: if there is one of another object format, or this program does not know the format.
            StoreError: on a network file system, or where the directory cannot be made.
        """
        # Late, as in `open`.
        from redun.store import creation

        directory = Path(os.path.abspath(path))
        creation.create(directory, object_format)
        return cls.open(directory, durability=durability)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, read_only: bool = False, durability: Durability = "normal") -> Self:
        """Returns the store at a path. An open that writes seals the runs of this host that have died.

        Raises:
            NotAStore: if there is none.
            StoreFormatError: if it is of a format that this program does not read.
            StoreLocked: if gc is at work.
            StoreReadOnly: if it is opened for writing and permission is missing.
            StoreDamaged: if the data file belongs to another store, or cannot be read.
        """
        # Late: a run without a store never loads the database.
        from redun.store.lmdb_backend import LmdbBackend

        directory = Path(os.path.abspath(path))
        fmt = meta.read_format(directory)
        self_test([fmt.object_format])
        filesystem.refuse_network(directory)
        session = None if read_only else _join_session(directory)
        try:
            soundness.check(directory)
            if not read_only:
                soundness.record(directory, soundness.last_transaction(directory))
            backend = LmdbBackend(directory, writable=not read_only, durable=durability == "durable")
        except BaseException:
            if session is not None:
                session.release()
            raise
        store = cls(
            fmt,
            backend,
            FileBlobs(directory),
            locks.FileRunLocks(directory / "runs"),
            path=directory,
            read_only=read_only,
            session=session,
        )
        try:
            meta.check_identity(backend, fmt, directory)
            if not read_only:
                store._journal.seal_dead_runs()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def memory(cls, object_format: str = DEFAULT_FORMAT.name) -> Self:
        """Returns a new store in memory. It behaves as one on disk does, and ends with the process."""
        fmt = meta.new_format(object_format)
        self_test([fmt.object_format])
        return cls(fmt, MemoryBackend(), MemoryBlobs(), locks.MemoryRunLocks(), path=None, read_only=False)

    def close(self) -> None:
        """Closes the store. A run of it that is not sealed counts as dead from here on. Closing twice is harmless."""
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

    # -- objects --

    def put(self, kind: str, payload: bytes) -> Digest:
        """Puts an object; returns its id. See `put_many`."""
        return self.put_many([(kind, payload)])[0]

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> list[Digest]:
        """Puts objects in one transaction; returns their ids. What exists is compared and left alone.

        Raises:
            DigestCollision: if an id exists with other bytes; nothing was written.
            StoreFull, StoreReadOnly: nothing was written.
        """
        items = list(items)
        digests = [object_id(self.format, kind, payload) for kind, payload in items]
        objects = dict(zip(digests, items, strict=True))
        if len(objects) < len(items):
            for digest, item in zip(digests, items, strict=True):
                if objects[digest] != item:
                    raise self.collision(digest, item, objects[digest])
        self.commit(Batch(objects=objects))
        return digests

    def get(self, digest: Digest) -> tuple[str, bytes]:
        """Returns (kind, payload) of an object.

        Raises:
            NotFound: if there is none of that id.
            StoreDamaged: if its bytes do not fit the id.
        """
        env = self._backend.read(lambda txn: txn.get("objects", digest))
        if env is None:
            raise not_found(digest, str(self.path or ""))
        kind, payload = self._objects.open([(digest, env)])[digest]
        return kind, payload if isinstance(payload, bytes) else self._in_memory(payload)

    def get_many(self, digests: Sequence[Digest]) -> list[tuple[str, bytes] | None]:
        """Returns (kind, payload) of each object, in the order asked, None where there is none.

        Raises:
            StoreDamaged: if the bytes of one do not fit its id.
            StoreError: if one is larger than `limits.OBJECT_BYTES`, which only `open_blob` gives.
        """
        found = self._fetch(digests)
        for place, item in enumerate(found):
            if item is not None and isinstance(item[1], memoryview):
                found[place] = item[0], self._in_memory(item[1])
        return cast("list[tuple[str, bytes] | None]", found)

    @staticmethod
    def _in_memory(payload: memoryview) -> bytes:
        if len(payload) > limits.OBJECT_BYTES:
            raise StoreError(
                f"an object of {len(payload)} bytes is not read as a whole", hint="Store.open_blob maps it"
            )
        return bytes(payload)

    def _fetch(self, digests: Sequence[Digest]) -> list[tuple[str, bytes | memoryview] | None]:
        found = self._objects.open(self._backend.read(lambda txn: txn.get_many("objects", sorted(digests))))
        return list(map(found.get, digests))

    def has(self, digest: Digest) -> bool:
        """Returns whether there is an object of that id."""
        return bool(self._backend.read(lambda txn: txn.present("objects", [digest])))

    def resolve(self, prefix_hex: str, limit: int = 20) -> list[tuple[str, Digest]]:
        """Returns (kind, id) of the objects whose id in hexadecimal starts so: at most `limit`, in the order of ids."""
        prefix = prefix_hex.lower()
        try:
            start = bytes.fromhex(prefix + "0" * (len(prefix) % 2))
        except ValueError:
            return []

        def scan(txn: ReadTransaction) -> list[tuple[bytes, bytes]]:
            keys = txn.scan_keys("objects", start, limit)
            return txn.get_many("objects", [key for key in keys if key.hex().startswith(prefix)])

        return [(kind_of(env), Digest(key)) for key, env in self._backend.read(scan)]

    def put_blob(self, parts: Iterable[bytes | memoryview], size: int) -> Digest:
        """Puts a `blob` of `size` bytes that arrive in parts, never holding all of them in memory; returns its id.

        Raises:
            ValueError: if the parts do not add up to `size`.
            DigestCollision, StoreFull, StoreReadOnly: as `put_many`.
        """
        self._check_writable()
        if size <= limits.INLINE_BYTES:
            data = b"".join(parts)
            if len(data) != size:
                raise ValueError(f"{len(data)} bytes arrived where {size} were announced")
            return self.put("blob", data)
        digest, rows = self._objects.put_stream("blob", parts, size)
        self._write(lambda txn: self._objects.add(txn, rows))
        return digest

    def write_blob(self, digest: Digest, data: bytes | memoryview) -> None:
        """Writes the payload of a blob, whose id the caller has computed, to a file. It becomes an object with the
        `Batch` that names it; until then `written_blob` reads it.

        Raises:
            DigestCollision, StoreFull, StoreReadOnly: as `put_many`.
        """
        self._check_writable()
        self._objects.write_file(digest, "blob", data)

    def written_blob(self, digest: Digest) -> memoryview:
        """Returns the payload that `write_blob` wrote.

        Raises:
            NotFound: if it wrote none.
        """
        found = self._objects.written(digest)
        if found is None:
            raise NotFound(f"no blob {digest.hex()} was written")
        return found

    def open_blob(self, digest: Digest) -> memoryview:
        """Returns the payload of an object of any kind, without a copy where it lies in a file of its own.

        Raises:
            NotFound, StoreDamaged: as `get`.
        """
        found = self._fetch([digest])[0]
        if found is None:
            raise not_found(digest, str(self.path or ""))
        return memoryview(found[1])

    def walk(self, roots: Iterable[Digest]) -> Iterator[tuple[Digest, str, bytes | memoryview]]:
        """Returns (id, kind, payload) of everything that can be reached from the roots, each once.

        A payload in a file of its own is a view of it, so that a walk over large blobs reads none of them.

        Raises:
            NotFound: if something is pointed to and missing.
            StoreDamaged: as `get`.
        """
        return walk.walk(self._fetch, roots)

    def collision(self, digest: Digest, known: tuple[str, bytes], offered: tuple[str, bytes]) -> DigestCollision:
        """Returns the error for two objects of one id that met before they reached the store, after keeping both."""
        return self._objects.settle(Collided(digest, known, offered))

    # -- refs --

    def refs(self) -> dict[str, Digest]:
        """Returns every ref, by name in order."""
        return refs.all_refs(self._backend)

    def ref(self, name: str) -> Digest | None:
        """Returns what a ref points to, or None if there is no such ref.

        Raises:
            StoreError: if the name cannot be that of a ref.
        """
        key = refs.check_name(name)
        found = self._backend.read(lambda txn: txn.get("refs", key))
        return None if found is None else Digest(found)

    def set_ref(self, name: str, new: Digest | None, *, expected: Digest | None, reason: str) -> None:
        """Moves a ref by compare-and-swap and logs the move. None is no ref: `new=None` removes it.

        Raises:
            RefMoved: if the ref is not at `expected`.
            NotFound: if `new` names no object.
            StoreError: if the name cannot be that of a ref.
        """
        self._write(lambda txn: refs.move(txn, name, new, expected=expected, reason=reason))

    def reflog(self, name: str) -> list[RefLogEntry]:
        """Returns the moves of a ref, newest first; they stay when the ref is removed."""
        return list(refs.read_log(self._backend, name))

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

    def job_pages(self, pages: Sequence[Digest]) -> Iterator[JobsRecord]:
        """Returns the pages of job rows that an execution or a live run lists."""
        return history.job_pages(self.get, pages)

    def readers(self) -> list[Reader]:
        """Returns the transactions that are reading this store now, in any process, longest first.

        None lasts long unless something is wrong with its process; while one lasts, the data file grows.
        """
        return self._backend.readers()

    # -- within --

    def _check_writable(self) -> None:
        if self.read_only:
            raise StoreReadOnly(f"the store at {self.path} is open for reading only", path=str(self.path))

    def _write(self, function: Callable[[WriteTransaction], T]) -> T:
        try:
            return self._backend.write(function)
        except Collided as error:
            raise self._objects.settle(error) from None


def _join_session(directory: Path) -> locks.Held:
    held = locks.take(directory / "session.lock", shared=True)
    if held is None:
        raise StoreLocked(f"gc is at work in {directory}", path=str(directory), hint="try again when it has ended")
    return held
