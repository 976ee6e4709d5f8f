"""Whether the indexes have all that they should, and nothing that is not so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from redun.core.errors import MalformedObject
from redun.core.objects import CallRecord, ExecRecord, TreeRecord
from redun.store.indexes import layout
from redun.store.indexes.catch_up import PAGES, history, known_run, pages_of
from redun.store.indexes.gather import Gatherer, Page, Rows, Source
from redun.store.indexes.layout import ALL, CALL_START, JOB, NO_JOB, PAGE_NUMBERS, START, IndexedRun, State
from redun.store.ports import Backend
from redun.store.problems import Problem, Progress

_REMEDY: Final = "redun reindex makes the indexes anew; nothing is lost"
#: Calls that are remembered as looked at, so that they are not again for each job that was answered with them.
_MOST_SEEN: Final = 2_000_000
_ROWS: Final = 4096


def audit(source: Source, progress: Progress) -> Iterator[Problem]:
    """Returns what is wrong with the indexes of a store; nothing where there are none. Executions that are not in them
    yet are none of it."""
    row = source.backend.read(lambda txn: txn.get(layout.STATE, State.key()))
    if row is None or State.is_foreign(row):  # then they are made when they are asked
        return
    if State.of(row) is None:
        yield _problem(layout.STATE, "does not say how far the indexes are")
        return
    yield from _damaged_runs(source.backend)
    yield from _Audit(source, progress).problems()


def _problem(table: str, what: str) -> Problem:
    return Problem(3, "derived", table, f"table {table} {what}", _REMEDY)


def _damaged_runs(backend: Backend) -> Iterator[Problem]:
    digests = set()
    for key, row in _pairs(backend, layout.RUNS):
        run = IndexedRun.of_run(key, row)
        if run is None:
            yield _problem(layout.RUNS, f"has a row that does not fit its checksum: {key.hex()}")
        else:
            digests.add(run.digest)
    for key, row in _pairs(backend, layout.KNOWN):
        if IndexedRun.of_known(key, row, b"") is None:
            yield _problem(layout.KNOWN, f"has a row that does not fit its checksum: {key.hex()}")
        elif key not in digests:
            yield _problem(layout.RUNS, f"lacks execution {key.hex()}")


class _Audit:
    def __init__(self, source: Source, progress: Progress) -> None:
        self._source = source
        self._backend = source.backend
        self._progress = progress
        self._seen: set[bytes] = set()
        self._missing: Counter[str] = Counter()
        #: Rows that calls come to, each once.
        self._derived: Counter[str] = Counter()

    def problems(self) -> Iterator[Problem]:
        """Looks for rows that are missing, and where there are more than there should be, for those that are false."""
        listed = history(self._source)
        done, total = 0, sum(record.rows for _, record in listed)
        for digest, record in listed:
            run = known_run(self._backend, digest, record.uuid)
            if run is not None and run.complete:
                self._execution(run, record)
            done += record.rows
            self._progress("index", done, total)
        for table, number in self._missing.items():
            yield _problem(table, f"lacks {number:,} rows")
        for table, supported in ((layout.RESULTS, _results), (layout.ARGUMENTS, self._arguments)):
            if self._backend.read(lambda txn, of=table: txn.count(of)) > self._derived[table]:  # type: ignore[misc]
                false = self._false_rows(table, supported)
                if false:
                    yield _problem(table, f"has {false:,} rows that say what is not so; they are not believed")

    # -- what is missing ----------------------------------------------------------------------------------------------

    def _execution(self, run: IndexedRun, record: ExecRecord) -> None:
        pages = pages_of(self._source, record)
        first = run.first
        while batch := list(islice(pages, PAGES)):
            if len(self._seen) > _MOST_SEEN:
                self._seen.clear()
            gatherer = Gatherer(self._source, self._known)
            places = range(first, first + len(batch) * PAGE_NUMBERS, PAGE_NUMBERS)
            gatherer.add(
                [Page(at, record.uuid, found) for at, found in zip(places, batch, strict=True) if found is not None]
            )
            first += len(batch) * PAGE_NUMBERS
            self._look_up(gatherer.rows)

    def _known(self, calls: list[bytes]) -> set[bytes]:
        return {call for call in calls if call[:CALL_START] in self._seen}

    def _look_up(self, rows: Rows) -> None:
        for table, keys in rows.sets.items():
            for key, some in keys.items():
                ordered = sorted(set(some))
                self._derived[table] += len(ordered)
                found = self._backend.read(lambda txn, of=(table, key, ordered): txn.seek_rows(*of))  # type: ignore[misc]
                pairs = zip(ordered, found, strict=True)
                self._missing[table] += sum(row != there and not _stands_in(table, row, there) for row, there in pairs)
        self._seen.update(row[:CALL_START] for row in rows.sets[layout.CALLS].get(ALL, ()))
        for table, plain in ((layout.NAMES, rows.names), (layout.FILES, rows.files)):
            there = dict(self._backend.read(lambda txn, of=(table, plain): txn.get_many(of[0], sorted(of[1]))))  # type: ignore[misc]
            self._missing[table] += len(plain.items() - there.items())
        self._missing = +self._missing

    # -- what is false ------------------------------------------------------------------------------------------------

    def _false_rows(self, table: str, supported: Callable[[CallRecord], list[bytes]]) -> int:
        """The number of rows with a call that is there and does not have that value. Those of calls that are gone are
        nobody's concern."""
        false, start = 0, b""
        while page := self._backend.read(lambda txn, at=start: txn.rows(table, ALL, at, _ROWS)):  # type: ignore[misc]
            start = page[-1] + b"\0"
            starts = sorted({row[START:] for row in page})
            calls = self._backend.read(lambda txn, some=starts: [*map(txn.scan_keys, *_first_keys(some))])  # type: ignore[misc]
            there = {key for keys in calls for key in keys}
            values: dict[bytes, set[bytes]] = {}
            for digest, kind, payload in self._source.read(there):
                if kind == "call":
                    values.setdefault(digest[:START], set()).update(_of_call(payload, supported))
            false += sum(row[START:] in values and row[:START] not in values[row[START:]] for row in page)
        return false

    def _arguments(self, call: CallRecord) -> list[bytes]:
        found: list[bytes] = list(call.args)
        waiting = found if len(found) == 1 else []
        while waiting:
            below: list[bytes] = []
            for _, kind, payload in self._source.read(waiting):
                if kind == "tree":
                    below += TreeRecord.parse(payload).children
            found, waiting = found + below, below
        return found


def _results(call: CallRecord) -> list[bytes]:
    return [] if call.result is None else [call.result]


def _of_call(payload: bytes, supported: Callable[[CallRecord], list[bytes]]) -> set[bytes]:
    try:
        return {value[:START] for value in supported(CallRecord.parse(payload))}
    except MalformedObject:
        return set()


def _first_keys(starts: list[bytes]) -> tuple[list[str], list[bytes], list[int]]:
    """What `scan_keys` takes for the first objects from each start: two, as two may begin alike."""
    return ["objects"] * len(starts), starts, [2] * len(starts)


def _stands_in(table: str, row: bytes, there: bytes | None) -> bool:
    """Whether a row is there in another form: a call inside of one that was answered whole may have jobs as well."""
    if table == layout.TASKS:
        return row[:JOB] == NO_JOB
    return (
        table == layout.CALLS
        and there is not None
        and row[CALL_START:] == NO_JOB
        and there[:CALL_START] == row[:CALL_START]
    )


def _pairs(backend: Backend, table: str) -> Iterator[tuple[bytes, bytes]]:
    start = b""
    while page := backend.read(lambda txn, at=start: txn.scan(table, at, _ROWS)):  # type: ignore[misc]
        yield from page
        start = page[-1][0] + b"\0"
