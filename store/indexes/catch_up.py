"""Bringing the indexes up to date: which executions are not in them yet, and writing what these come to.

Executions are taken in, oldest first, in portions whose rows fit into memory. A small portion is one transaction. A
large one is several, in the order of rows, the first of which marks the tables as torn and the last of which moves the
state on. So whoever comes after a death, or meets another one at work, does the same again, and that leaves nothing
twice: rows are the same whoever makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby, islice
from typing import Any, Final

from redun.core.digest import Digest
from redun.core.errors import MalformedObject
from redun.core.objects import ExecRecord, TreeRecord
from redun.store.history import present
from redun.store.indexes import layout
from redun.store.indexes.gather import Gatherer, Page, Rows, Source, known_calls
from redun.store.indexes.layout import PAGE_NUMBERS, IndexedRun, State
from redun.store.ports import Backend, ReadTransaction, WriteTransaction
from redun.store.problems import Progress
from redun.store.refs import EXECUTIONS, all_refs

Write = Callable[[Callable[[WriteTransaction], Any]], Any]

#: Rows that are held in memory before they are written, some 100 bytes each: in order they fill pages of the file, so
#: the more the better.
_PORTION: Final = 1_500_000
#: Rows of one transaction: others write meanwhile.
_ROWS: Final = 50_000
#: Pages of jobs whose calls are read together, in the order of their ids.
PAGES: Final = 32


class _Moved(Exception):
    """Somebody else has moved the state on."""


def read_state(backend: Backend) -> State | None:
    """Returns how far the tables of a backend are, None if there is nothing in them that can be used."""
    return State.of(backend.read(lambda txn: txn.get(layout.STATE, State.key())))


def drop(write: Write) -> None:
    """Removes everything from the tables."""
    write(_clear)


def _clear(txn: WriteTransaction) -> None:
    for table in (*layout.PLAIN, *layout.SETS):
        txn.clear(table)


def unseen(source: Source, tables: Backend) -> list[tuple[Digest, ExecRecord]]:
    """Returns the executions that are not, or not wholly, in the tables, in the order of `history`."""
    return history(source, lambda digest: _is_complete(tables, digest))


def history(source: Source, ends: Callable[[Digest], bool] = lambda _: False) -> list[tuple[Digest, ExecRecord]]:
    """Returns the executions oldest first, as they follow each other on their chain, and chains merged by time. Those
    that were pruned are among them.

    Args:
        ends: whether an execution, and all before it on its chain, are to be left out.
    """
    chains: list[list[tuple[Digest, ExecRecord]]] = []
    found: set[Digest] = set()
    for name, head in all_refs(source.backend).items():
        digest: Digest | None = head if name.startswith(EXECUTIONS) else None
        chain: list[tuple[Digest, ExecRecord]] = []
        while digest is not None and digest not in found and not ends(digest):
            found.add(digest)
            record = _execution(source, digest)
            if record is None:
                break  # the chain was cut there
            chain.append((digest, record))
            digest = present(source.backend, record.parent)
        chains.append(chain)
    return list(_merged(chains))


def _execution(source: Source, digest: Digest) -> ExecRecord | None:
    for _, kind, payload in source.read([digest]):
        if kind == "exec":
            try:
                return ExecRecord.parse(payload)
            except MalformedObject:
                return None
    return None


def _merged(chains: list[list[tuple[Digest, ExecRecord]]]) -> Iterator[tuple[Digest, ExecRecord]]:
    """Takes from the ends of the chains, the earliest first."""
    while waiting := [chain for chain in chains if chain]:
        yield min(waiting, key=lambda chain: chain[-1][1].start).pop()


def _is_complete(tables: Backend, digest: Digest) -> bool:
    run = known_run(tables, digest, b"")
    return run is not None and run.complete


def known_run(tables: Backend, digest: Digest, uuid: bytes) -> IndexedRun | None:
    """Returns how far an execution is in the tables, None if it is not."""
    row = tables.read(lambda txn: txn.get(layout.KNOWN, digest))
    return None if row is None else IndexedRun.of_known(digest, row, uuid)


class CatchUp:
    """Brings tables up to date.

    Args:
        source: where executions and objects are.
        tables: where the indexes are; it need not be the same.
        write: writes to them.
        below: tables that have all that these do not, and are not written to; or None.
        portion: rows that are held in memory before they are written.
        rows: rows of one transaction.
    """

    def __init__(
        self,
        source: Source,
        tables: Backend,
        write: Write,
        progress: Progress,
        *,
        below: Backend | None = None,
        portion: int = _PORTION,
        rows: int = _ROWS,
    ) -> None:
        self._source = source
        self._tables = tables
        self._write = write
        self._progress = progress
        self._below = below
        self._portion = portion
        self._rows = rows
        self._jobs = 0
        self._total = 0

    def run(self) -> int:
        """Takes in what is not there yet; returns how many executions that were.

        Raises:
            StoreFull: if there is no room; what was written before stays.
        """
        taken = 0
        while True:
            state = read_state(self._tables)
            if state is None:
                state = self._begin()
            waiting = unseen(self._source, self._below or self._tables)
            if not waiting:
                return taken
            self._total = max(self._total, self._jobs + sum(record.rows for _, record in waiting))
            try:
                taken += self._take(state, waiting)
            except _Moved:
                continue
            if self._below is not None:
                return taken

    def _begin(self) -> State:
        base = None if self._below is None else read_state(self._below)
        state = State() if base is None else State(base.next)

        def begin(txn: WriteTransaction) -> None:
            if State.of(txn.get(layout.STATE, State.key())) is None:  # nobody else has begun meanwhile
                _clear(txn)
                txn.put(layout.STATE, *state.row())

        self._write(begin)
        return read_state(self._tables) or state

    def _take(self, state: State, waiting: list[tuple[Digest, ExecRecord]]) -> int:
        """Takes executions in, portion by portion.

        Raises:
            _Moved: if somebody else does.
        """
        gatherer = self._gatherer(state)
        done: list[IndexedRun] = []
        next_number = state.next
        complete = 0
        for digest, record in waiting:
            run = known_run(self._tables, digest, record.uuid) or IndexedRun(digest, record.uuid, next_number, 0, False)
            pages = islice(pages_of(self._source, record), run.pages, None)
            while batch := list(islice(pages, PAGES)):
                places = range(run.first + run.pages * PAGE_NUMBERS, 1 << 62, PAGE_NUMBERS)
                gatherer.add(
                    [
                        Page(at, record.uuid, found)
                        for at, found in zip(places, batch, strict=False)
                        if found is not None
                    ]
                )
                run = run._replace(pages=run.pages + len(batch))
                next_number = run.first + run.pages * PAGE_NUMBERS
                self._jobs += len(batch) * PAGE_NUMBERS
                self._progress("jobs", min(self._jobs, self._total), self._total)
                if gatherer.rows.count() >= self._portion:
                    state, done = self._flush(state, next_number, gatherer.rows, [*done, run]), []
                    gatherer = self._gatherer(state)
            done.append(run._replace(complete=True))
            next_number = max(next_number, run.first + PAGE_NUMBERS)
            complete += 1
        self._flush(state, next_number, gatherer.rows, done)
        self._progress("jobs", self._total, self._total)
        return complete

    def _gatherer(self, state: State) -> Gatherer:
        def known(calls: list[bytes]) -> set[bytes]:
            found = known_calls(self._tables, calls, state.next, torn=state.torn)
            if self._below is not None:
                below = read_state(self._below)
                if below is not None:
                    found |= known_calls(self._below, calls, below.next, torn=below.torn)
            return found

        return Gatherer(self._source, known)

    def _flush(self, before: State, next_number: int, rows: Rows, runs: list[IndexedRun]) -> State:
        after = before._replace(next=next_number, torn=False)
        portions = list(_portions(rows, self._rows))
        if len(portions) > 1:
            torn = before._replace(torn=True)
            self._write(lambda txn: _move(txn, before, torn))
            for number, portion in enumerate(portions):
                self._write(lambda txn, some=portion: _add_torn(txn, torn, some))  # type: ignore[misc]
                self._progress("rows", number + 1, len(portions))
            before, portions = torn, []

        def finish(txn: WriteTransaction) -> None:
            _move(txn, before, after)
            for portion in portions:
                _add(txn, portion)
            txn.put_many(layout.NAMES, sorted(rows.names.items()))
            txn.put_many(layout.FILES, sorted(rows.files.items()))
            for run in runs:
                of_run, of_known = run.rows()
                txn.put(layout.RUNS, *of_run)
                txn.put(layout.KNOWN, *of_known)

        self._write(finish)
        return after


def pages_of(source: Source, record: ExecRecord) -> Iterator[bytes | None]:
    """Yields the pages of an execution; None in the place of one that is missing, as where it was pruned."""
    for listed in record.pages:
        found = {digest: (kind, payload) for digest, kind, payload in source.read([listed])}
        kind, payload = found.get(listed, ("", b""))
        if kind != "tree":
            yield payload if kind == "jobs" else None
            continue
        for child in TreeRecord.parse(payload).children:
            yield from pages_of(source, record._replace(pages=(child,)))


Portion = list[tuple[str, bytes, list[bytes]]]


def _portions(rows: Rows, most: int) -> Iterator[Portion]:
    """The rows in order, in parts of one transaction each."""
    portion: Portion = []
    size = 0
    for table, keys in rows.sets.items():
        for key in sorted(keys):
            ordered = [row for row, _ in groupby(sorted(keys.pop(key)))]
            for start in range(0, len(ordered), most):
                some = ordered[start : start + most]
                if size + len(some) > most and portion:
                    yield portion
                    portion, size = [], 0
                portion.append((table, key, some))
                size += len(some)
    if portion:
        yield portion


def _add(txn: WriteTransaction, portion: Portion) -> None:
    for table, key, rows in portion:
        txn.add_rows(table, key, rows)


def _add_torn(txn: WriteTransaction, torn: State, portion: Portion) -> None:
    """Adds rows while nobody else has moved the state on, or dropped everything.

    Raises:
        _Moved: if somebody has.
    """
    _move(txn, torn, torn)
    _add(txn, portion)


def _move(txn: WriteTransaction, before: State, after: State) -> None:
    """Moves the state on.

    Raises:
        _Moved: if it is not where it was.
    """
    now = State.of(_state_row(txn))
    if now is None or now._replace(torn=before.torn) != before or (before.torn and not now.torn):
        raise _Moved
    txn.put(layout.STATE, *after.row())


def _state_row(txn: ReadTransaction) -> bytes | None:
    return txn.get(layout.STATE, State.key())
