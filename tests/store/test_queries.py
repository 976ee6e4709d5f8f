"""Queries give what looking at everything gives."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest

from redun.core.codec import Pointer, pack
from redun.core.digest import Digest
from redun.core.files.file import File
from redun.core.objects import CallRecord, How, JobRow, Outcome, Status, TaskCount, TaskRecord, job_id
from redun.store import Batch, RunUpdate, Store
from redun.store.queries import STATES, Job, Queries, Wanted
from redun.store.tags import of_execution, of_job, of_object

Row = Callable[..., JobRow]
TASKS = ("a.one", "a.two", "b.one")


class Call(NamedTuple):
    """A call as it was made."""

    task: str
    args: tuple[Digest, ...]
    result: Digest


class History:
    """Random executions, and all that is so of them, kept plainly.

    Attributes:
        calls: by id.
        jobs: (uuid, row, start of the execution), oldest first.
    """

    def __init__(self, store: Store, row: Row, seed: int) -> None:
        self.store = store
        self._row = row
        self._chance = random.Random(seed)
        self.values = [store.put("value", pack(number)) for number in range(5)]
        self.values.append(store.put_value(File("data/in.txt")))
        self.values.append(store.put_value({"x": [File("data/out.csv")]}))
        self.calls: dict[Digest, Call] = {}
        self.jobs: list[tuple[bytes, JobRow, int]] = []
        self.runs: dict[bytes, tuple[Status, int, set[str]]] = {}
        self.tags: dict[bytes, set[tuple[str, str]]] = {}
        self.job_tags: dict[tuple[bytes, int], set[tuple[str, str]]] = {}
        self.call_tags: dict[Digest, set[tuple[str, str]]] = {}

    def call(self) -> Digest:
        chance = self._chance
        name = chance.choice(TASKS)
        task = self.store.put("task", TaskRecord(name, "function").payload())
        args = tuple(chance.choices(self.values, k=chance.randrange(3)))
        result = chance.choice(self.values)
        digest = self.store.put("call", CallRecord(task, args, None, Outcome.VALUE, result).payload())
        self.calls[digest] = Call(name, args, result)
        return digest

    def run(self, *, live: bool = False) -> None:
        chance, store = self._chance, self.store
        run = store.begin_run(["x"], {})
        rows = []
        for number in range(chance.randrange(1, 9)):
            status = chance.choice([Status.DONE, Status.DONE, Status.FAILED, Status.CANCELLED])
            how = chance.choice([How.RAN, How.STEP])
            rows.append(self._row(number, call=self.call(), status=status, how=how, start=chance.randrange(20)))
        names = {self.calls[row.call].task for row in rows if row.call is not None}
        counts = tuple(TaskCount(name, done=1) for name in sorted(names))
        tags = {(chance.choice("xy"), chance.choice("12")) for _ in range(chance.randrange(2))}
        status = Status.RUNNING if live else chance.choice([Status.DONE, Status.FAILED])
        if live:
            tags = set()
            store.commit(Batch(run=RunUpdate(run.uuid, tail=tuple(rows), rows=len(rows), counts=counts)))
        else:
            run.seal(
                Batch(),
                root=None,
                status=status,
                rows=len(rows),
                counts=counts,
                sources=(),
                tail=rows,
                tags=sorted(tags),
            )
        start = (
            next(info.start for info in store.live_runs() if info.uuid == run.uuid) if live else self._start(run.uuid)
        )
        self.jobs += [(run.uuid, row, start) for row in rows]
        self.runs[run.uuid] = (status, start, names)
        self.tags[run.uuid] = tags
        self._tag(run.uuid, rows)

    def _start(self, uuid: bytes) -> int:
        return next(record.start for _, record in self.store.executions() if record.uuid == uuid)

    def _tag(self, uuid: bytes, rows: list[JobRow]) -> None:
        chance, pair = self._chance, ("x", "1")
        if chance.random() < 0.3:
            self.store.add_tags(of_execution(uuid), [pair])
            self.tags[uuid] |= {pair}
        for row in rows:
            if chance.random() < 0.1 and row.call is not None:
                self.store.add_tags(of_job(uuid, row.number), [pair])
                self.job_tags[uuid, row.number] = {pair}
                self.store.add_tags(of_object(row.call), [pair])
                self.call_tags[row.call] = {pair}

    # -- looking at everything ----------------------------------------------------------------------------------------

    def state(self, row: JobRow) -> str:
        return "CACHED" if row.how is not How.RAN and row.status is Status.DONE else row.status.name

    def fits_call(self, call: Digest, wanted: Wanted) -> bool:
        found = self.calls[call]
        files = dict(zip(["data/in.txt", "data/out.csv"], self.values[5:], strict=True))
        touched = {*found.args, found.result}
        return (
            (wanted.task is None or wanted.names(found.task))
            and wanted.argument in (None, *found.args)
            and wanted.result in (None, found.result)
            and wanted.value in (None, *touched)
            and (wanted.file is None or any(wanted.file in (p, "data/*") and v in touched for p, v in files.items()))
        )

    def wanted_jobs(self, wanted: Wanted) -> set[tuple[bytes, int]]:
        found = set()
        for uuid, row, start in self.jobs:
            began = start + row.start
            tags = self.tags[uuid] | self.job_tags.get((uuid, row.number), set())
            if (
                row.call is not None
                and self.fits_call(row.call, wanted)
                and wanted.status in (None, self.state(row))
                and (wanted.since is None or began >= wanted.since)
                and (wanted.until is None or began <= wanted.until)
                and (
                    not wanted.tags
                    or (uuid in self.by_tag(wanted) or self._has(self.job_tags, (uuid, row.number), wanted))
                )
            ):
                assert tags is not None
                found.add((uuid, row.number))
        return found

    def by_tag(self, wanted: Wanted) -> set[bytes]:
        return {uuid for uuid in self.tags if self._has(self.tags, uuid, wanted)}

    @staticmethod
    def _has(tags: dict, of: object, wanted: Wanted) -> bool:  # type: ignore[type-arg]
        mine = tags.get(of, set())
        return all(any(n == name and value in (None, v) for n, v in mine) for name, value in wanted.tags)


def _wishes(history: History, seed: int) -> Iterator[Wanted]:
    chance = random.Random(seed)
    starts = sorted(start for _, start, _ in history.runs.values())
    for _ in range(60):
        yield Wanted(
            task=chance.choice([None, None, "a.one", "one", "two", "none"]),
            status=chance.choice([None, None, *STATES]),
            since=chance.choice([None, None, chance.choice(starts)]),
            until=chance.choice([None, None, chance.choice(starts)]),
            tags=chance.choice([(), (), (("x", "1"),), (("x", None),), (("x", "1"), ("y", None))]),
            argument=chance.choice([None, None, None, chance.choice(history.values)]),
            result=chance.choice([None, None, None, chance.choice(history.values)]),
            value=chance.choice([None, None, None, chance.choice(history.values)]),
            file=chance.choice([None, None, None, "data/in.txt", "data/*", "nothing"]),
        )


@pytest.mark.parametrize("seed", range(3))
def test_queries_give_what_looking_at_everything_gives(store: Store, row: Row, seed: int) -> None:
    history = History(store, row, seed)
    for _ in range(12):
        history.run()
    history.run(live=True)
    queries = Queries(store)
    some = 0
    for wanted in _wishes(history, seed):
        jobs = list(queries.jobs(wanted))
        truth = history.wanted_jobs(wanted)
        assert {(job.uuid, job.row.number) for job in jobs} == truth, wanted
        assert len(jobs) == len(truth), wanted
        assert all(job.id == job_id(store.format.hash, job.uuid, job.row.number) for job in jobs)
        sealed = [job.start for job in jobs if job.execution is not None]
        assert sealed == sorted(sealed, reverse=True), wanted
        _check_executions(history, queries, wanted)
        some += bool(jobs)
    assert some > 5


def _check_executions(history: History, queries: Queries, wanted: Wanted) -> None:
    by_value = wanted._replace(status=None, since=None, until=None, tags=())
    of_jobs = {uuid for uuid, _ in history.wanted_jobs(by_value)}
    truth = {
        uuid
        for uuid, (status, start, names) in history.runs.items()
        if wanted.status in (None, status.name)
        and (wanted.since is None or start >= wanted.since)
        and (wanted.until is None or start <= wanted.until)
        and (wanted.task is None or any(map(wanted.names, names)))
        and (not wanted.tags or uuid in history.by_tag(wanted))
        and (not wanted.of_values or uuid in of_jobs)
    }
    assert {run.uuid for run in queries.executions(wanted)} == truth, wanted


@pytest.mark.parametrize("seed", range(3))
def test_calls_are_found_by_task_value_tag_and_file(store: Store, row: Row, seed: int) -> None:
    history = History(store, row, seed)
    for _ in range(12):
        history.run()
    queries = Queries(store)
    for wanted in _wishes(history, seed):
        found = list(queries.calls(wanted))
        assert len(found) == len(set(found))
        by_job = {(uuid, row.number): row.call for uuid, row, _ in history.jobs}
        truth = {by_job[job] for job in history.wanted_jobs(wanted._replace(tags=()))}
        tagged = {call for call in truth if call is not None and history._has(history.call_tags, call, wanted)}
        assert set(found) == (tagged if wanted.tags else truth), wanted


def test_what_is_not_taken_is_not_read(store: Store, row: Row) -> None:
    history = History(store, row, 1)
    for _ in range(5):
        history.run()
    assert len(list(islice(Queries(store).jobs(Wanted()), 2))) == 2
    assert len(list(islice(Queries(store).jobs(Wanted(task="one")), 1))) == 1


def test_a_file_inside_a_large_value_is_found_with_the_calls_that_took_it(store: Store, row: Row) -> None:
    history = History(store, row, 1)
    large = store.put_value([File("far/away"), "x" * 100_000])
    holder = store.put("value", pack([Pointer(large)]))
    task = store.put("task", TaskRecord("a.one", "function").payload())
    call = store.put("call", CallRecord(task, (holder,), None, Outcome.VALUE, history.values[0]).payload())
    run = store.begin_run(["x"], {})
    run.seal(Batch(), root=call, status=Status.DONE, rows=1, counts=(), sources=(), tail=[row(0, call=call)])
    queries = Queries(store)
    assert [(value, file.path) for value, file in queries.index.files("far/*")] == [(large, "far/away")]
    assert list(queries.calls(Wanted(file="far/away"))) == [call]
    assert [job.row.call for job in queries.jobs(Wanted(file="far/away"))] == [call]


def test_a_store_open_for_reading_answers_too(tmp_path: Path, row: Row) -> None:
    with Store.init(tmp_path / "s") as store:
        history = History(store, row, 3)
        for _ in range(4):
            history.run()
    with Store.open(tmp_path / "s", read_only=True) as store:
        jobs: list[Job] = list(Queries(store).jobs(Wanted(task="one")))
        assert {(job.uuid, job.row.number) for job in jobs} == history.wanted_jobs(Wanted(task="one"))
