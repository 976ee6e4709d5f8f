"""The journal of live runs, and the seal that turns one into an execution on its store's chain.

A live run is five entries in the table `live`, under its uuid and one letter: h(eader), p(ages), s(ummary), t(ail),
r(unning). It holds a file lock from before its header is written until after it is sealed. So a header whose lock can
be taken is that of a run which died, and the next open that writes seals it as interrupted.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgpack

from redun.core import limits
from redun.core.codec import pack, packed, unpack
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import InternalError, MalformedObject, StoreDamaged
from redun.core.frame import object_id
from redun.core.objects import ExecRecord, JobRow, JobsRecord, Status, TaskCount, TreeRecord
from redun.store.batch import Batch, RunUpdate
from redun.store.checksums import body_of, with_checksum
from redun.store.locks import RunLocks
from redun.store.machine import boot_id, host_name
from redun.store.objects import Rows, raw_row
from redun.store.ports import Backend, ReadTransaction, T, WriteTransaction
from redun.store.refs import EXECUTIONS, move, read

UUID_BYTES: Final = 16
_VERSION: Final = 1
_HEADER, _PAGES, _SUMMARY, _TAIL, _RUNNING = b"h", b"p", b"s", b"t", b"r"
_LETTERS: Final = (_HEADER, _PAGES, _SUMMARY, _TAIL, _RUNNING)
#: Facts about the process that mean nothing once it has ended; they are not part of the execution.
_FLEETING: Final = ("boot", "pid")


class LiveInfo(NamedTuple):
    """A run that is not sealed. `alive`: it is running, or on another host, where nobody here can tell."""

    uuid: bytes
    argv: tuple[str, ...]
    info: dict[str, str]
    start: int
    alive: bool
    pages: tuple[Digest, ...]
    tail: tuple[JobRow, ...]
    running: tuple[JobRow, ...]
    root: Digest | None
    rows: int
    counts: tuple[TaskCount, ...]
    sources: tuple[tuple[Digest, Digest], ...]


def now() -> int:
    """Returns microseconds since the epoch."""
    return time.time_ns() // 1000


class Journal:
    """Begins, updates and seals runs.

    Args:
        write: runs a function as one transaction; see `Backend.write`.
        put: adds rows of objects within one.
        apply: writes what a batch says about anything but its run within one.
        prepare: turns objects into rows.
    """

    def __init__(
        self,
        backend: Backend,
        fmt: ObjectFormat,
        store_id: bytes,
        locks: RunLocks,
        *,
        write: Callable[[Callable[[WriteTransaction], T]], T],
        prepare: Callable[[Mapping[Digest, tuple[str, bytes]], Mapping[Digest, int] | None], Rows],
        apply: Callable[[WriteTransaction, Rows, Batch], None],
    ) -> None:
        self._backend = backend
        self._format = fmt
        self._store_id = store_id
        self._locks = locks
        self._write: Callable[[Callable[[WriteTransaction], Any]], Any] = write
        self._prepare = prepare
        self._apply = apply

    # -- a run's life --

    def begin(self, argv: Sequence[str], info: Mapping[str, str]) -> LiveRun:
        """See `Store.begin_run`."""
        uuid = _new_uuid()
        facts = {"host": host_name(), "boot": boot_id(), "pid": str(os.getpid()), **info}
        facts = {_text(name): _text(fact) for name, fact in sorted(facts.items())}
        words = tuple(map(_text, argv))
        start = now()
        header = pack([_VERSION, list(words), [list(pair) for pair in facts.items()], start])
        if not self._locks.take(uuid):
            raise InternalError(f"the lock of the new run {uuid.hex()} is held")
        key = uuid + _HEADER
        row = with_checksum(key, header)
        self._write(lambda txn: txn.put("live", key, row))
        return LiveRun(self, uuid, start, words, facts)

    def abandon(self, uuid: bytes) -> None:
        """See `LiveRun.abandon`."""
        with contextlib.suppress(InternalError):  # it is sealed already
            self._locks.drop(uuid)

    def entries(self, update: RunUpdate) -> Rows:
        """Returns the rows of `live` for an update: a constant number of them, whatever the number of jobs."""
        uuid = update.uuid
        counts = [[c.fullname, c.pending, c.running, c.failed, c.cached, c.done] for c in update.counts]
        summary = packed([_VERSION, update.root, update.rows, counts, update.sources])
        bodies = [
            (uuid + _PAGES, b"".join(update.pages)),
            (uuid + _RUNNING, _packed_rows(uuid, update.running)),
            (uuid + _SUMMARY, summary),
            (uuid + _TAIL, _packed_rows(uuid, update.tail)),
        ]
        return [(key, with_checksum(key, body)) for key, body in bodies]

    def seal(self, run: LiveRun, batch: Batch, record: ExecRecord, rows: Sequence[JobRow]) -> Digest:
        """Writes a batch, the last page, and the execution on top of its chain; ends the run."""
        objects, pages = self._final_pages(record.uuid, record.pages, rows)
        prepared = self._prepare({**batch.objects, **objects}, batch.blobs)
        record = record._replace(pages=pages)
        digest: Digest = self._write(lambda txn: self._seal_in(txn, prepared, batch, record, "run"))
        self._backend.sync()
        self._locks.drop(run.uuid)
        return digest

    def _seal_in(self, txn: WriteTransaction, rows: Rows, batch: Batch, record: ExecRecord, reason: str) -> Digest:
        check_live(txn, record.uuid)
        self._apply(txn, rows, batch)
        name = EXECUTIONS + self._store_id.hex()
        parent = read(txn, name.encode())
        # Read here, in the transaction that moves the ref: so a chain never forks, however many runs end at once.
        payload = record._replace(parent=parent).payload()
        digest = object_id(self._format, "exec", payload)
        self._apply(txn, [raw_row(digest, "exec", payload)], Batch())
        move(txn, name, digest, expected=parent, reason=reason)
        for letter in _LETTERS:
            txn.delete("live", record.uuid + letter)
        return digest

    def _final_pages(
        self, uuid: bytes, pages: Sequence[Digest], rows: Sequence[JobRow]
    ) -> tuple[dict[Digest, tuple[str, bytes]], tuple[Digest, ...]]:
        objects: dict[Digest, tuple[str, bytes]] = {}

        def put(kind: str, payload: bytes) -> Digest:
            digest = object_id(self._format, kind, payload)
            objects[digest] = (kind, payload)
            return digest

        chunks = [tuple(rows[i : i + limits.PAGE_ROWS]) for i in range(0, len(rows), limits.PAGE_ROWS)]
        listed = [*pages, *(put("jobs", JobsRecord(uuid, chunk).payload()) for chunk in chunks)]
        level, total = 0, len(listed)
        while len(listed) > limits.TREE_FANOUT or (level and len(listed) > 1):
            groups = [tuple(listed[i : i + limits.TREE_FANOUT]) for i in range(0, len(listed), limits.TREE_FANOUT)]
            listed = [put("tree", TreeRecord(level, total, group).payload()) for group in groups]
            level += 1
        return objects, tuple(listed)

    # -- looking at runs --

    def live(self) -> list[LiveInfo]:
        """See `Store.live_runs`.

        Raises:
            StoreDamaged: if an entry cannot be read.
        """
        found = (self.info(uuid) for uuid in self.uuids())
        return sorted((info for info in found if info is not None), key=lambda info: info.start)

    def uuids(self) -> list[bytes]:
        """Returns the uuids of the runs that are not sealed."""
        return self._backend.read(_live_uuids)

    def info(self, uuid: bytes) -> LiveInfo | None:
        """Returns what is known of a run, or None if it has been sealed in the meantime.

        Raises:
            StoreDamaged: if an entry of it cannot be read.
        """
        pairs = self._backend.read(lambda txn: txn.get_many("live", [uuid + letter for letter in _LETTERS]))
        if not pairs:
            return None
        size = self._format.size
        try:
            entries = _bodies(pairs)
            version, argv, facts, start = unpack(entries[_HEADER])
            if version != _VERSION:
                raise MalformedObject(f"version {version}")
            info = dict(facts)
            listed = entries.get(_PAGES, b"")
            root, rows, counts, sources = (None, 0, [], [])
            if _SUMMARY in entries:
                _, root, rows, counts, sources = msgpack.unpackb(entries[_SUMMARY])
            return LiveInfo(
                uuid=uuid,
                argv=tuple(argv),
                info=info,
                start=start,
                alive=not _of_this_host(info) or self._locks.is_held(uuid),
                pages=tuple(Digest(listed[i : i + size]) for i in range(0, len(listed), size)),
                tail=_unpacked_rows(entries.get(_TAIL, b"")),
                running=_unpacked_rows(entries.get(_RUNNING, b"")),
                root=root,
                rows=rows,
                counts=tuple(TaskCount(*row) for row in counts),
                sources=tuple((task, source) for task, source in sources),
            )
        except (MalformedObject, ValueError, TypeError, msgpack.UnpackException) as error:
            raise StoreDamaged(f"the journal of run {uuid.hex()} is damaged: {error}", hint="redun fsck") from None

    # -- the dead --

    def seal_dead_runs(self) -> None:
        """Seals runs of this host whose process has died as interrupted, and removes locks that nobody needs.

        A run whose entries are damaged is left for fsck: it must not keep the store from being opened.
        """
        for uuid in self.uuids():
            try:
                info = self.info(uuid)
            except StoreDamaged:
                continue
            if info is not None and not info.alive and self._locks.take(uuid):
                self._bury(uuid)
        live = set(self.uuids())
        for uuid in self._locks.known():
            if uuid not in live and self._locks.take(uuid):
                self._bury(uuid)

    def _bury(self, uuid: bytes) -> None:
        """Seals a run whose lock this process has taken, unless another has done so before."""
        try:
            info = self.info(uuid)
            if info is not None:
                self._seal_interrupted(info)
        finally:
            self._locks.drop(uuid)

    def _seal_interrupted(self, info: LiveInfo) -> None:
        rows = (*info.tail, *(row._replace(status=Status.INTERRUPTED) for row in info.running))
        first = next((row.call for row in rows if row.number == 0), None)
        objects, pages = self._final_pages(info.uuid, info.pages, rows)
        record = ExecRecord(
            uuid=info.uuid,
            store=self._store_id,
            parent=None,
            root=info.root or first,
            status=Status.INTERRUPTED,
            start=info.start,
            end=info.start + max((row.start + max(row.duration, 0) for row in rows), default=0),
            argv=info.argv,
            info=lasting(info.info),
            pages=pages,
            rows=max([info.rows, *(row.number + 1 for row in rows)]),
            counts=info.counts,
            sources=tuple(sorted(info.sources)),
        )
        prepared = self._prepare(objects, None)
        self._write(lambda txn: self._seal_in(txn, prepared, Batch(), record, "interrupted"))
        self._backend.sync()

    @property
    def store_id(self) -> bytes:
        """The id of the store that runs are sealed in."""
        return self._store_id


class LiveRun:
    """A run from its start to its seal. It holds the run's lock: when the process dies, the kernel gives that back.

    Attributes:
        uuid: 16 random bytes.
        start: microseconds since the epoch.
        argv, info: as given to `Store.begin_run`, and what the store knows of the process.
    """

    def __init__(self, journal: Journal, uuid: bytes, start: int, argv: tuple[str, ...], info: dict[str, str]) -> None:
        self._journal = journal
        self.uuid = uuid
        self.start = start
        self.argv = argv
        self.info = info

    def seal(
        self,
        batch: Batch,
        *,
        root: Digest | None,
        status: Status,
        rows: int,
        counts: Sequence[TaskCount],
        sources: Sequence[tuple[Digest, Digest]],
        trace: Digest | None = None,
        tail: Sequence[JobRow] = (),
        pages: Sequence[Digest] = (),
        tags: Sequence[tuple[str, str]] = (),
    ) -> Digest:
        """Ends the run: one transaction with the batch and the execution, then a sync. Returns the execution's id.

        `pages` are all full pages, `tail` the rows that are on none. A second call raises InternalError.
        """
        record = ExecRecord(
            uuid=self.uuid,
            store=self._journal.store_id,
            parent=None,
            root=root,
            status=status,
            start=self.start,
            end=max(now(), self.start),
            argv=self.argv,
            info=lasting(self.info),
            pages=tuple(pages),
            rows=rows,
            counts=tuple(counts),
            sources=tuple(sorted(sources)),
            trace=trace,
            tags=tuple((_text(name), _text(value)) for name, value in tags),
        )
        return self._journal.seal(self, batch, record, tail)

    def abandon(self) -> None:
        """Gives up a run that cannot be recorded to its end: it counts as dead from here on. Harmless after `seal`."""
        self._journal.abandon(self.uuid)


def check_live(txn: ReadTransaction, uuid: bytes) -> None:
    """Checks that a run is not sealed.

    Raises:
        InternalError: if it is, or never began.
    """
    if txn.get("live", uuid + _HEADER) is None:
        raise InternalError(f"run {uuid.hex()} is not live")


def lasting(info: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Returns the facts of a run that belong to its execution, sorted."""
    return tuple(sorted((name, value) for name, value in info.items() if name not in _FLEETING))


def _text(word: str) -> str:
    """Returns a word of a command line as text that can be stored: bytes that are not UTF-8 are spelled out."""
    return word.encode("utf-8", "backslashreplace").decode()


def _new_uuid() -> bytes:
    raw = bytearray(os.urandom(UUID_BYTES))
    raw[6] = raw[6] & 0x0F | 0x40  # the bits that make other tools take it for a random uuid
    raw[8] = raw[8] & 0x3F | 0x80
    return bytes(raw)


def _of_this_host(info: Mapping[str, str]) -> bool:
    boot = boot_id()
    return info.get("host") == host_name() or (boot != "" and info.get("boot") == boot)


def _bodies(pairs: Rows) -> dict[bytes, bytes]:
    """Returns the bodies of a run's entries by letter.

    Raises:
        MalformedObject: if one is not as it was written, or missing. There is the header alone, or there are all.
    """
    found: dict[bytes, bytes] = {}
    for key, row in pairs:
        body = body_of(key, row)
        if body is None:
            raise MalformedObject(f"entry {key[UUID_BYTES:].decode()} does not fit its checksum")
        found[key[UUID_BYTES:]] = body
    if _HEADER not in found or len(found) not in (1, len(_LETTERS)):
        raise MalformedObject("an entry is missing")
    return found


def _packed_rows(uuid: bytes, rows: tuple[JobRow, ...]) -> bytes:
    return JobsRecord(uuid, rows).payload() if rows else b""


def _unpacked_rows(data: bytes) -> tuple[JobRow, ...]:
    return JobsRecord.parse(data).rows if data else ()


def _live_uuids(txn: ReadTransaction) -> list[bytes]:
    found: list[bytes] = []
    start = b""
    while keys := txn.scan_keys("live", start, 1):
        found.append(keys[0][:UUID_BYTES])
        start = found[-1] + b"\xff"  # past all entries of this run
    return found
