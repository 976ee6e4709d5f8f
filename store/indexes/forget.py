"""What becomes of rows when what they are about has been removed for good: they go too.

Until then they stay, and whoever reads them looks at what they lead to. A call that stays although its jobs went, as
part of what a later one was answered with, keeps its rows, with no job in them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any, Final

from redun.core import limits
from redun.core.digest import Digest
from redun.core.objects import ExecRecord
from redun.store.indexes import layout
from redun.store.indexes.catch_up import read_state
from redun.store.indexes.gather import Source
from redun.store.indexes.layout import ALL, CALL_START, ID_START, JOB, NO_JOB, START, IndexedRun, State
from redun.store.ports import Backend, ReadTransaction, WriteTransaction
from redun.store.problems import Progress

Write = Callable[[Callable[[WriteTransaction], Any]], Any]

#: Rows of one transaction.
_ROWS: Final = limits.SWEEP_ROWS


def forget(source: Source, write: Write, progress: Progress) -> int:
    """Removes the rows of what is gone for good; returns how many."""
    if read_state(source.backend) is None:
        return 0
    return _Forgetting(source, write, progress).run()


class _Forgetting:
    def __init__(self, source: Source, write: Write, progress: Progress) -> None:
        self._source = source
        self._backend = source.backend
        self._write = write
        self._progress = progress
        self._removed = 0
        self._dead: set[bytes] = set()
        self._gone, self._gone_executions = self._gone_runs()

    def run(self) -> int:
        self._calls()
        self._tasks()
        for table, take in ((layout.IDS, ID_START), (layout.STATUS, 0)):
            for key in self._keys(table):
                self._sift(table, key, lambda row, take=take: self._is_gone(row[take:]))  # type: ignore[misc]
        for table in (layout.RESULTS, layout.ARGUMENTS):
            self._sift(table, ALL, lambda row: row[START:] in self._dead)
        self._held()
        self._executions()
        return self._removed

    # -- what is gone -------------------------------------------------------------------------------------------------

    def _gone_runs(self) -> tuple[list[tuple[int, int]], list[IndexedRun]]:
        """The ranges of numbers of executions whose pages are gone, which end where the next execution's begin; and
        executions that are gone themselves."""
        ranges: list[tuple[int, int]] = []
        gone: list[IndexedRun] = []
        above = 1 << 8 * JOB
        for key, row in _pairs(self._backend, layout.RUNS):  # the newest first
            run = IndexedRun.of_run(key, row)
            if run is None:
                continue
            record = self._record(run.digest)
            if record is None:
                gone.append(run)
            pages = [] if record is None else record.pages
            if not any(True for _ in self._source.read(pages)):
                ranges.append((run.first, above))
            above = run.first
        return ranges[::-1], gone

    def _record(self, digest: Digest) -> ExecRecord | None:
        for _, kind, payload in self._source.read([digest]):
            if kind == "exec":
                return ExecRecord.parse(payload)
        return None

    def _is_gone(self, job: bytes) -> bool:
        number = int.from_bytes(job, "big")
        place = bisect_right(self._gone, (number, 1 << 8 * JOB))
        return place > 0 and number < self._gone[place - 1][1]

    # -- tables -------------------------------------------------------------------------------------------------------

    def _keys(self, table: str) -> list[bytes]:
        return self._backend.read(lambda txn: txn.row_keys(table))

    def _calls(self) -> None:
        """Removes the rows of calls that are gone, and takes the jobs that are gone out of those of the others."""
        for page in _pages_of(self._backend, layout.CALLS, ALL):
            starts = sorted({row[:START] for row in page})
            alive = self._backend.read(lambda txn, some=starts: _alive(txn, some))  # type: ignore[misc]
            self._dead.update(set(starts) - alive)
            gone = [row for row in page if row[:START] not in alive or self._is_gone(row[CALL_START:])]
            kept = {row[:CALL_START] + NO_JOB for row in gone if row[:START] in alive}
            self._replace(layout.CALLS, ALL, gone, sorted(kept))

    def _tasks(self) -> None:
        for key in self._keys(layout.TASKS):
            for page in _pages_of(self._backend, layout.TASKS, key):
                gone = [row for row in page if row[JOB:] in self._dead or self._is_gone(row[:JOB])]
                kept = {NO_JOB + row[JOB:] for row in gone if row[JOB:] not in self._dead}
                self._replace(layout.TASKS, key, gone, sorted(kept))
            if not self._backend.read(lambda txn, key=key: txn.count_rows(layout.TASKS, key)):  # type: ignore[misc]
                self._write(lambda txn, key=key: txn.delete(layout.NAMES, key))  # type: ignore[misc]

    def _sift(self, table: str, key: bytes, is_gone: Callable[[bytes], bool]) -> None:
        for page in _pages_of(self._backend, table, key):
            self._replace(table, key, [row for row in page if is_gone(row)], [])

    def _held(self) -> None:
        """Removes what values that are gone held."""
        for page in _pages_of(self._backend, layout.HOLDERS, ALL):
            starts = sorted({row[START:] for row in page})
            alive = self._backend.read(lambda txn, some=starts: _alive(txn, some))  # type: ignore[misc]
            self._replace(layout.HOLDERS, ALL, [row for row in page if row[START:] not in alive], [])
        gone: list[bytes] = []
        for key, _ in _pairs(self._backend, layout.FILES):
            starts = [key[-START:]]
            if not self._backend.read(lambda txn, some=starts: _alive(txn, some)):  # type: ignore[misc]
                gone.append(key)
        if gone:
            self._removed += len(gone)
            self._write(lambda txn: [txn.delete(layout.FILES, key) for key in gone])

    def _executions(self) -> None:
        def remove(txn: WriteTransaction) -> None:
            for run in self._gone_executions:
                (key, _), (digest, _) = run.rows()
                txn.delete(layout.RUNS, key)
                txn.delete(layout.KNOWN, digest)

        if self._gone_executions:
            self._write(remove)

    def _replace(self, table: str, key: bytes, gone: list[bytes], put: list[bytes]) -> None:
        gone = sorted(set(gone) - set(put))
        if not gone:
            return

        def change(txn: WriteTransaction) -> None:
            txn.remove_rows(table, key, gone)
            txn.add_rows(table, key, put)
            state = State.of(txn.get(layout.STATE, State.key()))
            if state is not None:  # whoever has found what is gone now has to look again
                txn.put(layout.STATE, *state._replace(removals=(state.removals + 1) % (1 << 32)).row())

        self._write(change)
        self._removed += len(gone)
        self._progress("index", self._removed, self._removed)


def _alive(txn: ReadTransaction, starts: list[bytes]) -> set[bytes]:
    """Those of the starts with which an object begins, the swept ones that have not expired among them."""
    found = set()
    for start in starts:
        for table in ("objects", "trash"):
            keys = txn.scan_keys(table, start, 1)
            if keys and keys[0].startswith(start):
                found.add(start)
                break
    return found


def _pages_of(backend: Backend, table: str, key: bytes) -> Iterator[list[bytes]]:
    start = b""
    while page := backend.read(lambda txn, at=start: txn.rows(table, key, at, _ROWS)):  # type: ignore[misc]
        yield page
        start = page[-1] + b"\0"


def _pairs(backend: Backend, table: str) -> Iterator[tuple[bytes, bytes]]:
    start = b""
    while page := backend.read(lambda txn, at=start: txn.scan(table, at, _ROWS)):  # type: ignore[misc]
        yield from page
        start = page[-1][0] + b"\0"
