"""Random histories, and what a walk over all of one says where an index answers from its tables."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from redun.core.codec import ExtType, Pointer, pack, packed, references
from redun.core.digest import Digest
from redun.core.objects import (
    CallRecord,
    ExecRecord,
    How,
    JobRow,
    JobsRecord,
    Outcome,
    Status,
    TaskRecord,
    TreeRecord,
    Why,
    job_id,
)
from redun.store import Batch, RunUpdate, Store
from redun.store.gc.collect import GcOptions
from redun.store.gc.retention import KeepRules
from redun.store.indexes.held_files import HeldSet, fits, held_files, held_sets
from redun.store.indexes.index import Index
from redun.store.indexes.set_members import SetMembers

NAMES = ("make", "use", "deep.use")
PATHS = ("data/a.txt", "data/b.csv", "x/" + 500 * "long" + ".txt", "x/" + 500 * "long" + ".csv")
BASES = (".", "data", "/data", "s3://bucket/data", "x/" + 500 * "long")
PATTERNS = (*PATHS, "data/*", "*.txt", "*", "nothing*", "data/?.csv")


class History:
    """Runs made up at random in a store: calls of a few tasks, on values of which some are inside others."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self._random = random.Random(seed)

    def _task(self) -> Digest:
        name, version = self._random.choice(NAMES), self._random.choice("12")
        return self.store.put("task", TaskRecord(name, "version", version, None, (), (), (), ()).payload())

    def value(self) -> Digest:
        """Puts one of few values: plain, or with others in it, or with a file."""
        choice, number = self._random.randrange(9), self._random.randrange(6)
        if choice == 0:
            return self.store.put("value", pack([number, Pointer(self.value()), Pointer(self.value())]))
        if choice == 1:
            segment = self.store.put("value", pack([number, "part"]))
            tree = self.store.put("tree", TreeRecord(0, 2, (segment, self.value())).payload())
            data = pack(["list", Pointer(tree), 2])
            return self.store.put("value", _extension(16, data))
        if choice == 2:
            return self.store.put("value", _file(self._random.choice(PATHS)))
        if choice == 3:
            return self.store.put("value", self._set(number))
        return self.store.put("value", pack(number))

    def _set(self, number: int) -> bytes:
        """A set of files, its members in parts of their own or not."""
        members: Any = {f"{name}.txt": bytes([number]) for name in sorted(self._random.sample("abcdef", 3))}
        if number % 2:
            parts = [dict(list(members.items())[:2]), dict(list(members.items())[2:])]
            members = [Pointer(self.store.put("value", pack(part))) for part in parts]
        base = self._random.choice(BASES)
        return _extension(18, pack(["Dir", base, False, b"", 3, members]))

    def call(self, children: tuple[Digest, ...]) -> Digest:
        """Puts a call on random values."""
        args = tuple(self.value() for _ in range(self._random.choice((0, 1, 1, 2, 3, 17))))
        if self._random.random() < 0.1:
            args = (self.store.put("tree", TreeRecord(0, len(args), args).payload()),)
        outcome = self._random.choice((Outcome.VALUE, Outcome.VALUE, Outcome.RAISED, Outcome.PARTIAL))
        reduction = self.store.put("expr", pack([1, [], [], self._random.randrange(3)])) if children else None
        result = None if outcome is Outcome.PARTIAL else self.value()
        record = CallRecord(self._task(), args, reduction, outcome, result, children)
        return self.store.put("call", record.payload())

    def run(self, older: list[Digest]) -> Digest:
        """Seals an execution with jobs of new calls and of older ones; returns its id. `older` gets the new calls."""
        rows: list[JobRow] = []
        made: list[Digest] = []
        for number in range(self._random.choice((0, 1, 2, 3, 5, 8, 8, 20))):
            how = self._random.choice((How.RAN, How.RAN, How.STEP, How.WHOLE, How.JOINED))
            if older and self._random.random() < 0.3:
                call, how = self._random.choice(older), How.WHOLE
            else:
                # What a job called has jobs of its own, unless it was answered whole.
                inside = made or older if how is How.WHOLE else made
                call = self.call(tuple(self._random.sample(inside, min(len(inside), self._random.randrange(3)))))
            known = self._random.random() > 0.05
            if known:
                made.append(call)
            rows.append(self._row(number, call if known else None, how, older))
        run = self.store.begin_run(["made", "up"], {})
        pages: list[Digest] = []
        if len(rows) > 512:
            page = JobsRecord(run.uuid, tuple(rows[:512])).payload()
            pages = [self.store.put("jobs", page)]
        tail = rows[512:] if pages else rows
        update = RunUpdate(run.uuid, pages=pages, tail=tuple(tail), running=())
        self.store.commit(Batch(run=update))
        older += made
        return run.seal(
            Batch(), root=rows[-1].call if rows else None, status=Status.DONE, rows=len(rows), counts=(), sources=(),
            pages=pages, tail=tail,
        )  # fmt: skip

    def _row(self, number: int, call: Digest | None, how: How, older: list[Digest]) -> JobRow:
        status = self._random.choice((Status.DONE, Status.DONE, Status.FAILED, Status.CANCELLED, Status.INTERRUPTED))
        compared = self._random.choice(older) if older and self._random.random() < 0.1 else None
        return JobRow(number, call, -1, status, how, Why.FIRST, 10 * number, 5, compared=compared)

    def prune(self) -> None:
        """Prunes all but a few of the executions, and sometimes sweeps what only they lead to."""
        self.store.prune(self.store.plan_pruning(KeepRules(last=self._random.randrange(1, 4))))

    def sweep(self, *, for_good: bool) -> None:
        """Collects garbage."""
        self.store.collect_garbage(GcOptions(expiry_s=0 if for_good else 7 * 86_400))


def _extension(code: int, data: bytes) -> bytes:
    return packed(ExtType(code, data))


def _file(path: str) -> bytes:
    return _extension(14, pack(["File", path, b"\x01" * 32]))


class Walk:
    """Answers as `Index` does, by looking at everything. Of values and calls it takes those that executions lead to."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.jobs: list[tuple[Digest, bytes, JobRow]] = []
        self.calls: dict[Digest, CallRecord] = {}
        self.values: dict[Digest, bytes] = {}
        shown = {digest for digest, _ in store.executions()}
        for digest, record in self._chain():
            for page in self._pages(record):
                for row in page:
                    if digest in shown:
                        self.jobs.append((digest, record.uuid, row))
                    self._reach(row)
        for call in self.calls.values():
            for value in (*call.args, *([call.result] if call.result else [])):
                self._value(value)

    def _chain(self) -> list[tuple[Digest, ExecRecord]]:
        found: list[tuple[Digest, ExecRecord]] = []
        digest = self._store.ref(f"executions/{self._store.id.hex()}")
        while digest is not None and self._store.has(digest):
            record = ExecRecord.parse(self._store.get(digest)[1])
            found.append((digest, record))
            digest = record.parent
        return found[::-1]

    def _pages(self, record: ExecRecord) -> Iterator[tuple[JobRow, ...]]:
        if all(self._store.has(page) for page in record.pages):
            yield from (page.rows for page in self._store.job_pages(record.pages))

    def _reach(self, row: JobRow) -> None:
        stack = [(row.call, row.how is How.WHOLE)]
        while stack:
            digest, deep = stack.pop()
            if digest is None or not self._store.has(digest):
                continue
            call = CallRecord.parse(self._store.get(digest)[1])
            self.calls[digest] = call
            if deep:
                stack += [(child, True) for child in (*call.children, *call.extras) if child not in self.calls]

    def _value(self, digest: Digest) -> None:
        if digest not in self.values:
            kind, payload = self._store.get(digest)
            self.values[digest] = payload if kind in ("value", "tree") else b""
            for inside in references(payload) if self.values[digest] else ():
                self._value(inside)

    def arguments(self, call: CallRecord) -> list[Digest]:
        """The arguments of a call, also where a tree lists them."""
        if len(call.args) == 1 and self._store.get(call.args[0])[0] == "tree":
            return list(TreeRecord.parse(self._store.get(call.args[0])[1]).children)
        return list(call.args)

    def name(self, call: CallRecord) -> str:
        """The full name of a call's task."""
        return TaskRecord.parse(self._store.get(call.task)[1]).fullname


def check_answers(store: Store, index: Index) -> None:
    """Checks every answer of an index against a walk."""
    walk = Walk(store)
    newest = walk.jobs[::-1]
    names = {walk.name(call) for call in walk.calls.values()}
    assert set(index.tasks()) >= names
    for name in (*names, "of.nobody"):
        mine = [(d, row) for d, _, row in newest if row.call is not None and walk.name(walk.calls[row.call]) == name]
        assert [(job.execution, job.row) for job in index.jobs_of_task(name)] == mine
        calls = list(index.calls_of_task(name))
        expected = {digest for digest, call in walk.calls.items() if walk.name(call) == name}
        assert len(calls) == len(set(calls))
        assert set(calls) == expected
        in_jobs = list(dict.fromkeys(row.call for _, row in mine))
        assert [call for call in calls if call in in_jobs][: len(in_jobs)] == in_jobs
    for status in (Status.FAILED, Status.CANCELLED, Status.INTERRUPTED):
        expected_jobs = [(d, row) for d, _, row in newest if row.status is status]
        assert [(job.execution, job.row) for job in index.jobs_by_status(status)] == expected_jobs
    for digest in walk.calls:
        assert [(job.execution, job.row) for job in index.jobs_of_call(digest)] == [
            (d, row) for d, _, row in newest if row.call == digest
        ]
    _check_values(walk, index)
    _check_ids(store, walk, index)


def _check_values(walk: Walk, index: Index) -> None:
    producers: dict[Digest, set[Digest]] = {}
    consumers: dict[Digest, set[tuple[Digest, int]]] = {}
    holders: dict[Digest, set[Digest]] = {}
    files: set[tuple[str, Digest]] = set()
    sets: set[tuple[str, Digest]] = set()
    for digest, call in walk.calls.items():
        if call.result is not None:
            producers.setdefault(call.result, set()).add(digest)
        for place, arg in enumerate(walk.arguments(call)):
            consumers.setdefault(arg, set()).add((digest, place))
    for digest, payload in walk.values.items():
        for inside in references(payload) if payload else ():
            holders.setdefault(inside, set()).add(digest)
        files.update((file.path, digest) for file in held_files(payload))
        sets.update((found.base, digest) for found in held_sets(payload))
    for value in walk.values:
        for answer, expected in (
            (list(index.producers(value)), producers),
            (list(index.consumers(value)), consumers),
            (list(index.containers(value)), holders),
        ):
            assert len(answer) == len(set(answer))
            assert set(answer) == expected.get(value, set())
    for pattern in PATTERNS:
        found = [(file.path, value) for value, file in index.files(pattern)]
        assert len(found) == len(set(found))
        assert set(found) == {(path, value) for path, value in files if path == pattern or fnmatchcase(path, pattern)}
    assert {(found.base, value) for value, found in index.sets(lambda _: True)} == sets
    _check_members(index, {value: held_sets(walk.values[value]) for _, value in sets}, walk)


def _check_members(index: Index, sets: dict[Digest, list[HeldSet]], walk: Walk) -> None:
    """Members of sets are found by their paths, as by walking all sets."""
    members: dict[str, set[bytes | None]] = {}
    for found in sets.values():
        for file in (file for one in found for file in one.files(walk.values.get)):
            members.setdefault(file.path, set()).add(file.state)
    looked = SetMembers(index)
    for path, states in members.items():
        assert {file.state for _, file in looked.at(path)} == states
    assert list(looked.at("nowhere/a.txt")) == []
    for pattern in ("*", "a*.txt", "data/*", "data/a.txt", "./*", "/*"):
        expected = {(path, state) for path, states in members.items() for state in states if fits(path, pattern)}
        assert {(file.path, file.state) for _, file in looked.fitting(pattern)} == expected


def _check_ids(store: Store, walk: Walk, index: Index) -> None:
    for digest, uuid, row in random.Random(len(walk.jobs)).sample(walk.jobs, min(20, len(walk.jobs))):
        name = job_id(store.format.hash, uuid, row.number)
        for prefix in (name.hex(), name.hex()[:9], name.hex()[:8].upper()):
            assert [(job.execution, job.row, job.id) for job in index.job_prefix(prefix)] == [(digest, row, name)]
