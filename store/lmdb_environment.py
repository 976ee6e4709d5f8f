"""Open LMDB environments of this process: one per data file, shared, counted, grown and guarded.

LMDB's rules that shape this file: an environment must not be opened twice in a process (its locks belong to the pair
of process and file); must not be used after a fork; and its map must not be resized while a transaction of this process
is open.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from pathlib import Path
from typing import Any

import lmdb

from redun.core import limits
from redun.core.errors import InternalError, StoreDamaged, StoreError, StoreFull, StoreLocked, StoreReadOnly
from redun.store import meta_pages
from redun.store.filesystem import FORBIDDEN, FULL, MAKE_ROOM, failing, is_full, read_only, sync_directory, translated
from redun.store.ports import SETS, TABLES

#: A slot costs a few bytes.
_MAX_TABLES = 128
_ALL_TABLES = (*TABLES, *SETS)
#: dupsort, dupfixed: the rows of a key form a tree of their own, whose pages hold nothing but rows.
_AS_SET: dict[str, Any] = {"dupsort": True, "dupfixed": True}
#: One slot per reading thread of every process that has the store open.
_MAX_READERS = 510
#: Size of lock.mdb: 64 bytes for each of them but the last, and 192 for what is there besides.
_LOCK_BYTES = 64 * (_MAX_READERS - 1) + 192


def store_error(error: lmdb.Error, path: Path) -> StoreError:
    """Returns the error of ours for one of LMDB's."""
    code = getattr(error, "code", 0)
    where = str(path)
    # A disk that fills up in the middle of a write takes a part of it, which LMDB reports as an input/output error.
    if isinstance(error, lmdb.DiskError) or code in FULL or (code == errno.EIO and is_full(path)):
        return StoreFull(f"the disk of {where} is full; nothing was changed", path=where, hint=MAKE_ROOM)
    if isinstance(error, (lmdb.ReadonlyError, lmdb.LockError)) or code in FORBIDDEN:
        return read_only(path)
    if isinstance(error, lmdb.ReadersFullError):
        return StoreLocked(f"too many readers of {where}", path=where, hint="wait for other redun processes to end")
    if isinstance(error, lmdb.PanicError):  # LMDB then trusts its own memory no more; the file is whole
        what = f"a write to {where} has failed, and nothing more is done until the store is opened again"
        # Who comes second may be told first: this says what was the matter with the first one, as far as can be known.
        if is_full(path):
            return StoreFull(f"{what}: the disk is full", path=where, hint=MAKE_ROOM)
        return failing(what, None, path)
    if isinstance(error, (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError)):
        return StoreDamaged(f"the data file of {where} is damaged: {error}", path=where, hint="redun fsck")
    if isinstance(error, lmdb.BadValsizeError):
        return StoreError(f"a key or value of a size that the store does not take ({where})", path=where)
    if code == errno.EIO:
        return failing(f"the data file of {where} cannot be used", error, path)
    return StoreError(f"the data file of {where} cannot be used: {error}", path=where)


class Environment:
    """An open data file. Transactions enter and leave; resizing waits until none is inside."""

    def __init__(self, path: Path, *, writable: bool, map_bytes: int) -> None:
        self.path = path
        self.writable = writable
        self.pid = os.getpid()
        self.users = 0
        self.tables: dict[str, Any] = {}
        self._least_map = map_bytes
        self._lock = threading.Lock()
        self._gate = threading.Condition(self._lock)
        self._inside = 0
        self._resizing = False
        self.env = self._open()

    def _open(self) -> lmdb.Environment:
        data = self.path / "data.mdb"
        size = data.stat().st_size if data.exists() else 0
        least = self._least_map
        while least < 2 * size:
            least *= 2
        try:
            env = self._open_files(min(least, limits.MAP_BYTES_MAX))
            try:
                self.tables = self._open_tables(env)
            except BaseException:
                env.close()  # or this process could not open it again
                raise
        except lmdb.Error as error:
            raise store_error(error, self.path) from error
        return env

    def _open_files(self, map_bytes: int) -> lmdb.Environment:
        # lib_version=0 pins the engine of 0.9 (the package bundles 1.0 too, with another file format): it is the one
        #   whose behaviour at a loss of power was measured. The default may change with the package; files must not.
        # metasync=False: a commit syncs its pages but not the meta page that makes it current, so after a loss of power
        #   the file holds this commit or the one before it, never anything else. `sync` (at a seal, and after each
        #   commit of a durable store) makes up for it.
        # sync=True: without it, writes that the disk reorders leave a file that cannot be used. No weaker level exists.
        # writemap=False: with it a stray pointer could write into the file, and a full disk would be SIGBUS.
        # meminit=True: pages are zeroed before they are used, so that no memory of the process ends up in the file.
        # mode: the umask decides, as for every other file.
        # create: only where `init` or a writable open made the directory; reading creates nothing.
        options: dict[str, Any] = {
            "map_size": map_bytes,
            "subdir": True,
            "readonly": not self.writable,
            "metasync": False,
            "sync": True,
            "writemap": False,
            "meminit": True,
            "mode": 0o666,
            "create": self.writable,
            "max_readers": _MAX_READERS,
            "max_dbs": _MAX_TABLES,
            "lib_version": 0,
        }
        if self.writable or (self.path / "data.mdb").exists():
            _make_room_for_locks(self.path)
        try:
            env = lmdb.open(os.fsencode(self.path), lock=True, **options)
        except (lmdb.ReadonlyError, lmdb.LockError):
            if self.writable:
                raise
            # lock=False: a reader registers itself in lock.mdb; where it may not write there, it goes unregistered. A
            #   writer elsewhere may then reuse pages under it; transactions are short, every object's hash is checked.
            env = lmdb.open(os.fsencode(self.path), lock=False, **options)
        if self.writable:
            env.reader_check()  # slots of readers that died would keep the file growing
        return env

    def _open_tables(self, env: lmdb.Environment) -> dict[str, Any]:
        self._check_names(env)
        found: dict[str, Any]
        if self.writable:
            with env.begin(write=True) as txn:  # writes nothing where all exist
                found = {name: env.open_db(name.encode(), txn=txn) for name in TABLES}
                return found | {name: env.open_db(name.encode(), txn=txn, **_AS_SET) for name in SETS}
        found = {}
        for name in _ALL_TABLES:
            # In a transaction of its own each: handles opened in a reading one that is handed in do not outlive it.
            with contextlib.suppress(lmdb.NotFoundError):
                found[name] = env.open_db(name.encode(), create=False, **(_AS_SET if name in SETS else {}))
        return found

    def _check_names(self, env: lmdb.Environment) -> None:
        """Checks that no table has lost its name: it would be taken for one that an older program did not make, and be
        empty. Programs append tables, so that a store with one that we do not know has all that we know.

        Raises:
            StoreDamaged: if one has.
        """
        with env.begin() as txn:
            names = set(txn.cursor().iternext(values=False))
        ours = {name.encode() for name in _ALL_TABLES}
        missing, unknown = ours - names, names - ours
        if missing and unknown:
            lost, found = (b", ".join(sorted(some)).decode("utf-8", "backslashreplace") for some in (missing, unknown))
            raise StoreDamaged(
                f"the data file of {self.path} lacks table {lost} and has {found}",
                path=str(self.path),
                hint="redun fsck",
            )

    def enter(self) -> None:
        """Registers a transaction; waits while the map is being resized.

        Raises:
            StoreError: in a process that was forked from the one that opened the store, or after closing.
        """
        if _pid != self.pid:  # kept by `_after_fork`: every get comes through here, and asking the kernel costs a fifth
            raise _forked(self.path, self.pid)
        with self._lock:  # the gate's own, entered without a frame of Python
            while self._resizing:
                self._gate.wait()
            if self.users == 0:
                raise _closed(self.path)
            self._inside += 1

    def leave(self) -> None:
        """Takes the registration back."""
        with self._lock:
            self._inside -= 1
            if self._resizing and not self._inside:
                self._gate.notify_all()

    def _alone(self) -> None:
        """Waits until no transaction is inside, and keeps new ones out. The caller holds the gate."""
        while self._resizing:
            self._gate.wait()
        self._resizing = True
        try:
            while self._inside:
                self._gate.wait()
        except BaseException:  # an interrupt, which must not lock everybody out
            self._admit()
            raise

    def _admit(self) -> None:
        self._resizing = False
        self._gate.notify_all()

    def map_size(self) -> int:
        """Returns the size of the map in bytes."""
        return self.env.info()["map_size"]

    def grow(self, seen: int) -> None:
        """Doubles the map, unless another thread has done so since the caller saw it at `seen` bytes.

        Raises:
            StoreFull: if the map is as large as it may become.
        """
        with self._gate:
            self._alone()
            try:
                now = self.map_size()
                if now >= limits.MAP_BYTES_MAX:
                    raise StoreFull(f"the data file of {self.path} is as large as it may become", path=str(self.path))
                if now <= seen:
                    self.env.set_mapsize(min(2 * now, limits.MAP_BYTES_MAX))
            finally:
                self._admit()

    def follow_growth(self) -> None:
        """Takes over the size that another process has given the map."""
        with self._gate:
            self._alone()
            try:
                self.env.set_mapsize(0)
            finally:
                self._admit()

    def make_writable(self) -> None:
        """Opens again for writing what was opened for reading."""
        with self._gate:
            self._alone()
            try:
                self.env.close()
                self.writable = True
                self.env = self._open()
            finally:
                self._admit()

    def replace(self) -> None:
        """Puts a compact copy in the place of the data file, whole or not at all, and opens that.

        Who reads the old file goes on doing so, until it is closed there.
        """
        copy = self.path / "incoming" / "data.mdb"
        with self._gate:
            self._alone()
            try:
                copy.parent.mkdir(exist_ok=True)
                copy.unlink(missing_ok=True)
                descriptor = os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
                try:
                    self._check_no_sets()
                    number = self.env.info()["last_txnid"]
                    self.env.copyfd(descriptor, compact=True)
                    meta_pages.renumber(descriptor, number)
                    os.fsync(descriptor)
                except BaseException:
                    copy.unlink(missing_ok=True)
                    raise
                finally:
                    os.close(descriptor)
                self.env.close()
                os.replace(copy, self.path / "data.mdb")
                sync_directory(self.path)
                self.env = self._open()
            finally:
                self._admit()

    def _check_no_sets(self) -> None:
        """Checks that nobody has forgotten to empty the tables of sets: of one with keys of more than a page of rows,
        the compacting copy of LMDB 0.9 dies (SIGSEGV).

        Raises:
            InternalError: if there are rows.
        """
        with self.env.begin() as txn:
            full = [name for name in SETS if name in self.tables and txn.stat(self.tables[name])["entries"]]
        if full:
            raise InternalError(f"tables {', '.join(full)} of {self.path} are to be emptied before it is compacted")

    def close(self) -> None:
        """Closes the data file. Waits for the transactions of other threads: LMDB would go on reading unmapped pages.

        The caller has seen to it that there are no users any more, so none enters afterwards.
        """
        with self._gate:
            self._alone()
            try:
                self.env.close()
            finally:
                self._admit()


class Closed(Environment):
    """What a user that has closed has in place of an environment that others may go on using."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def enter(self) -> None:
        """Tells the caller.

        Raises:
            StoreError: always.
        """
        raise _closed(self.path)


def _make_room_for_locks(directory: Path) -> None:
    """Gives lock.mdb its room on the disk. LMDB makes it without and maps it: where the disk is full, the first reader
    that registers in it would kill the process (SIGBUS).

    The file must not be in use by this process: closing it gives up the process's locks on it.

    Raises:
        StoreFull: if there is none.
    """
    # macOS has no such call: LMDB makes the file there, as it would here.
    if not hasattr(os, "posix_fallocate"):
        return
    path = directory / "lock.mdb"
    with contextlib.suppress(StoreReadOnly), translated(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if os.fstat(descriptor).st_size < _LOCK_BYTES:
                os.posix_fallocate(descriptor, 0, _LOCK_BYTES)
        finally:
            os.close(descriptor)


_open_environments: dict[tuple[int, int], Environment] = {}
_registry = threading.RLock()
_pid = os.getpid()


def _after_fork() -> None:
    global _pid, _registry
    _pid = os.getpid()
    _registry = threading.RLock()  # a thread that does not exist in the child may have held it


os.register_at_fork(after_in_child=_after_fork)


def _closed(path: Path) -> StoreError:
    return StoreError(f"the store at {path} was closed", path=str(path), hint="open it again")


def _forked(path: Path, pid: int) -> StoreError:
    return StoreError(
        f"the store at {path} was opened by process {pid}, and this process is a fork of it",
        path=str(path),
        hint="open the store before no fork: start workers with the `spawn` method, or hand them values",
    )


def acquire(path: Path, *, writable: bool, map_bytes: int = limits.MAP_BYTES) -> Environment:
    """Returns the environment of the data file in that directory, opening it if this process has not.

    Raises:
        StoreError: if it cannot be opened, or belongs to the process that this one was forked from.
    """
    with _registry:
        shared = _open_environments.get(_identity(path)) if (path / "data.mdb").exists() else None
        if shared is None:
            shared = Environment(path, writable=writable, map_bytes=map_bytes)
            _open_environments[_identity(path)] = shared
        elif shared.pid != os.getpid():
            raise _forked(path, shared.pid)
        elif writable and not shared.writable:
            shared.make_writable()
        shared.users += 1
        return shared


def compact(shared: Environment) -> None:
    """Gives the file system back the pages that no table uses. Nobody else may have the file open for writing.

    Raises:
        StoreFull: if there is no room for a copy; nothing changed.
        StoreError: in a process forked from the one that opened it.
    """
    if os.getpid() != shared.pid:
        raise _forked(shared.path, shared.pid)
    with _registry:
        names = [identity for identity, other in _open_environments.items() if other is shared]
        with translated(shared.path):
            shared.replace()
        for identity in names:
            del _open_environments[identity]
        _open_environments[_identity(shared.path)] = shared


def release(shared: Environment) -> None:
    """Gives an environment back; the last user closes it."""
    if os.getpid() != shared.pid:
        return  # closing here would take the reader slots away from the process that owns them
    with _registry:
        shared.users -= 1
        if shared.users == 0:
            for identity, other in list(_open_environments.items()):
                if other is shared:
                    del _open_environments[identity]
            shared.close()


def _identity(path: Path) -> tuple[int, int]:
    status = os.stat(path / "data.mdb")
    return status.st_dev, status.st_ino
