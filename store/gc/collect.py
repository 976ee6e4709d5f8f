"""One collection: mark, compare, sweep, empty the trash, and give bytes back to the file system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from redun.core import limits
from redun.core.digest import Digest, Key, ObjectFormat
from redun.core.errors import NotFound, StoreDamaged, StoreLocked
from redun.store import locks, lost
from redun.store.blobs import BlobArea
from redun.store.filesystem import read_only
from redun.store.gc import retention, shallow, tagged, trash
from redun.store.gc.reach import Reach
from redun.store.gc.shallow import Missing
from redun.store.gc.sweep import Amount, Write, counted, empty, forget_unreached, remove_unnamed, sweep, unreached
from redun.store.indexes.catch_up import CatchUp, drop, read_state
from redun.store.indexes.forget import forget
from redun.store.indexes.gather import Source
from redun.store.journal import LiveInfo, now
from redun.store.memo import decode_row, last_seq
from redun.store.objects import Objects
from redun.store.ports import Backend, WriteTransaction, scan_prefix
from redun.store.problems import Progress
from redun.store.refs import EXECUTIONS, all_refs
from redun.store.tags import TAGS

#: Seconds for which what was swept can be had back.
EXPIRY_S: Final = 7 * 86_400
#: While the store is open elsewhere, what was swept within these seconds stays in the trash, whatever is asked for.
_GRACE_S: Final = 86_400
_SECOND: Final = 1_000_000


class GcOptions(NamedTuple):
    """How to collect.

    Attributes:
        dry: whether to find out what there is to do and do nothing.
        expiry_s: what was swept longer ago than these seconds is removed for good. While the store is open elsewhere,
            that is a day at least, and nothing that was swept since a live run began.
        keep_cache_s: results of pruned executions that started within these seconds stay in the cache.
        max_size: executions are pruned, oldest first, until what the others reach takes at most so many bytes.
        compact: whether to write the data file anew, without its free pages. That empties the trash.
    """

    dry: bool = False
    expiry_s: int = EXPIRY_S
    keep_cache_s: int = 0
    max_size: int | None = None
    compact: bool = False


class Collection(NamedTuple):
    """What a collection did, or would do.

    Attributes:
        kept: what can be reached.
        swept: by kind, what went to the trash.
        rows: rows of the cache that were forgotten.
        restored: objects that were in the trash and are reached again.
        emptied: what was removed from the trash for good.
        pruned: executions that had to go for `max_size`.
        file: bytes of the data file before and after.
        alone: whether nobody else had the store open for writing; if not, files of large values stay till next time.
    """

    kept: Amount
    swept: dict[str, Amount]
    rows: int
    restored: int
    emptied: Amount
    pruned: int
    file: tuple[int, int]
    alone: bool


class Parts(NamedTuple):
    """What of a store a collection works on.

    Attributes:
        get, get_many, write: `Store.get`, `Store.get_many`, and a transaction.
        live: the runs that are not sealed.
        directory: where it lies; None for a store in memory.
    """

    backend: Backend
    objects: Objects
    blobs: BlobArea
    format: ObjectFormat
    get: Callable[[Digest], tuple[str, bytes]]
    get_many: tagged.GetMany
    write: Write
    live: Callable[[], list[LiveInfo]]
    directory: Path | None
    read_only: bool


def collect_in(parts: Parts, session: locks.Held | None, options: GcOptions, progress: Progress) -> Collection:
    """See `Store.collect_garbage`."""
    if options.dry:
        return Collector(parts, options, progress, try_alone=lambda: False).collect()
    if parts.directory is None or session is None:
        if parts.read_only:
            raise read_only(parts.directory or Path())
        return Collector(parts, options, progress, try_alone=lambda: True).collect()
    turn = locks.take(parts.directory / "gc.lock")
    if turn is None:
        told = f"another gc, or what keeps it off (a push or a backup, say), is at work in {parts.directory}"
        raise StoreLocked(told, path=str(parts.directory), hint="let it end")
    try:
        return Collector(parts, options, progress, try_alone=session.try_alone).collect()
    finally:
        session.share()
        turn.release()


class Collector:
    """Collects garbage once.

    Marking and sweeping go on beside others. Alone it has to be from the first mark on where what is swept now is to be
    removed at once, and for a moment at the end where files are removed.

    Args:
        try_alone: keeps everybody else from opening the store for writing, from then on; returns False where somebody
            has it open.
    """

    def __init__(self, parts: Parts, options: GcOptions, progress: Progress, *, try_alone: Callable[[], bool]) -> None:
        self._parts = parts
        self._try_alone = try_alone
        self._alone = False
        self._options = options
        self._progress = progress
        self._declared = shallow.all_shallow(parts.backend)
        self._began = now()
        self._reach = self._new_reach()
        #: Executions that go for `max_size`.
        self._pruned: set[Digest] = set()
        #: Refs of tags of what goes.
        self._untagged: dict[str, Digest] = {}

    def collect(self) -> Collection:
        """Does what the options say.

        Raises:
            StoreDamaged: if something that can be reached is missing or damaged; then nothing was swept.
        """
        parts, options = self._parts, self._options
        if options.compact or options.expiry_s < _GRACE_S:
            self._be_alone()
        before = self._file_size()
        if options.max_size is not None:
            self._make_room(options.max_size)
        reach = self._reach
        newest = parts.backend.read(last_seq)
        self._mark()
        if not options.dry:
            self._mark()  # what has come since: whatever comes now and was thrown away is found in the trash
            parts.write(self._declare)
        swept: dict[str, Amount] = {}
        for rows in unreached(parts.backend, reach):
            counted(rows, swept)
            if not options.dry:
                sweep(parts.write, rows, self._began)
            self._progress("swept", sum(amount.objects for amount in swept.values()), reach.total - reach.count)
        rows_forgotten = forget_unreached(parts.backend, parts.write, parts.format, reach, newest, dry=options.dry)
        emptied = Amount() if options.dry else self._empty()
        if options.compact and not options.dry:
            self._compact()
        elif emptied.objects:
            forget(self._source(), parts.write, self._progress)
        return Collection(
            kept=Amount(reach.count, reach.size),
            swept=swept,
            rows=rows_forgotten,
            restored=len(reach.rescued),
            emptied=emptied,
            pruned=len(self._pruned),
            file=(before, self._file_size()),
            alone=self._alone,
        )

    def _be_alone(self) -> None:
        """Tries to be alone for the rest of the collection."""
        if not self._options.dry:
            self._alone = self._try_alone()
            if self._options.compact and not self._alone:
                raise StoreLocked(
                    f"{self._parts.directory} is open elsewhere, so it cannot be compacted",
                    path=str(self._parts.directory),
                    hint="redun gc without --compact can go on beside runs",
                )

    # -- room ---------------------------------------------------------------------------------------------------------

    def _make_room(self, most: int) -> None:
        """Finds the oldest executions that have to go so that what the others lead to takes so many bytes. The newest
        stays in any case."""
        self._mark_named()
        listed = [item for chain in self._chains() for item in chain if not self._is_pruned(item[0])]
        listed.sort(key=lambda item: -item[1].start)
        for place, (digest, _) in enumerate(listed):
            self._reach.mark([digest])
            if self._reach.size > most and place:
                self._pruned.update(pruned for pruned, _ in listed[place:])
                break
        self._reach = self._new_reach()

    # -- marking ------------------------------------------------------------------------------------------------------

    def _mark(self) -> None:
        self._mark_named()
        self._mark_history()
        self._mark_cache()
        missing = self._reach.missing
        if missing:
            some = missing[0].hex()
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise StoreDamaged(
                f"object {some}{more} can be reached and is missing; nothing was swept", hint="redun fsck"
            )

    def _new_reach(self) -> Reach:
        parts = self._parts
        return Reach(parts.backend, parts.objects, parts.format, self._declared, self._progress)

    def _mark_named(self) -> None:
        """Marks what refs other than those of history, and live runs, lead to."""
        for info in self._parts.live():
            self._reach.mark(_named_by(info))
        refs = all_refs(self._parts.backend).items()
        self._reach.mark(digest for name, digest in refs if not name.startswith((EXECUTIONS, TAGS)))

    def _chains(self) -> list[list[retention.Execution]]:
        return [self._chain(head) for head in all_refs(self._parts.backend, EXECUTIONS).values()]

    def _mark_history(self) -> None:
        chains = self._chains()
        for chain in chains:
            self._reach.mark(digest for digest, _ in chain if not self._is_pruned(digest))
        for chain in chains:
            self._mark_chain(chain)
        listed = (record for chain in chains for digest, record in chain if not self._is_pruned(digest))
        kept = tagged.Kept(listed, self._parts.live())
        self._untagged = tagged.mark_tags(self._parts.backend, self._parts.get_many, self._reach, kept)

    def _chain(self, head: Digest) -> list[retention.Execution]:
        try:
            return list(retention.chain(self._parts.backend, self._parts.get, head, self._declared))
        except NotFound as error:
            raise StoreDamaged(f"the history is broken: {error.message}", hint="redun fsck") from error

    def _is_pruned(self, digest: Digest) -> bool:
        return digest in self._pruned or bool(self._declared.get(digest, Missing(0)) & Missing.CONTENTS)

    def _mark_chain(self, chain: list[retention.Execution]) -> None:
        """Marks the pruned executions between those that stay, and what the cache still has of those that go."""
        kept = [place for place, (digest, _) in enumerate(chain) if not self._is_pruned(digest)]
        last = kept[-1] if kept else 0
        for digest, _ in chain[: last + 1]:
            self._reach.mark_alone(digest)
        cached = self._began - self._options.keep_cache_s * _SECOND
        for digest, record in chain:
            if self._options.keep_cache_s and self._is_pruned(digest) and record.start >= cached:
                self._reach.mark([*([record.root] if record.root else []), *record.pages])

    def _mark_cache(self) -> None:
        """Marks the footprints of calls that stay: an execution that was answered whole names those of its root only,
        and without the others what is inside would have to run again at the next edit."""
        heads: list[Digest] = []
        for key, data in scan_prefix(self._parts.backend, "memo", b""):
            row = decode_row(Key(key), data, self._parts.format.size)
            heads += [call.head for call in row.calls if self._reach.has(call.call)] if row is not None else []
            if len(heads) >= limits.SWEEP_ROWS:
                self._reach.mark(heads)
                heads = []
        self._reach.mark(heads)

    def _compact(self) -> None:
        """Writes the data file anew. The index is emptied before, as it cannot be copied so, and made again."""
        parts = self._parts
        indexed = read_state(parts.backend) is not None
        drop(parts.write)
        parts.backend.compact()
        if indexed:
            CatchUp(self._source(), parts.backend, parts.write, self._progress).run()

    def _source(self) -> Source:
        return Source(self._parts.backend, self._parts.objects, self._parts.format)

    # -- the rest -----------------------------------------------------------------------------------------------------

    def _declare(self, txn: WriteTransaction) -> None:
        for digest in self._pruned:
            shallow.add(txn, digest, Missing.CONTENTS)
        for digest in self._reach.cut_off():
            shallow.add(txn, digest, Missing.PARENT)
        trash.restore(txn, self._reach.rescued)
        tagged.remove(txn, self._untagged)

    def _empty(self) -> Amount:
        parts, options = self._parts, self._options
        before = now() - (0 if options.compact else options.expiry_s) * _SECOND + 1
        if not self._alone:
            # What was swept since a run began may be about to be used by it; of other tools nothing is known.
            starts = [info.start for info in parts.live()]
            before = min(before, self._began - _GRACE_S * _SECOND, *starts)
            self._be_alone()  # for the files: somebody may be about to name one again
        emptied = empty(parts.backend, parts.write, parts.blobs, before, alone=self._alone)
        parts.write(self._forget_declared)
        if self._alone:
            remove_unnamed(parts.backend, parts.blobs)
        return emptied

    def _forget_declared(self, txn: WriteTransaction) -> None:
        """What was declared of executions that are gone for good, and losses that nothing leads to any more."""
        there = {*txn.present("objects", sorted(self._declared)), *txn.present("trash", sorted(self._declared))}
        for digest in self._declared.keys() - there:
            txn.delete("shallow", digest)
        lost.tidy(txn, self._reach.lost)

    def _file_size(self) -> int:
        directory = self._parts.directory
        return 0 if directory is None else (directory / "data.mdb").stat().st_size


def _named_by(info: LiveInfo) -> list[Digest]:
    rows = (*info.tail, *info.running)
    found = [digest for row in rows for digest in (row.call, row.head, row.trace)]
    found += [info.root, *info.pages, *(digest for pair in info.sources for digest in pair)]
    return [Digest(digest) for digest in found if digest is not None]
