"""What a name that a person types means: executions, jobs, objects and tasks."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterator, Sequence

import pytest

from redun.core.digest import Digest
from redun.core.errors import AmbiguousPrefix, NotFound
from redun.core.objects import (
    How,
    JobRow,
    JobsRecord,
    SourceRecord,
    Status,
    TaskCount,
    TaskRecord,
    Why,
    job_id,
)
from redun.store import Batch, RunUpdate, Store
from redun.store.lookup_names import JobName, ObjectName, Run, TaskName, find, find_object, runs


@pytest.fixture(params=["xxh3-128", "sha256"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with Store.memory(request.param) as store:
        yield store


def task_object(store: Store, fullname: str, text: str = "") -> tuple[Digest, Digest]:
    source = store.put("source", SourceRecord(text, "w.py", 1).payload())
    return store.put("task", TaskRecord(fullname, "closure", version=text).payload()), source


def finished(
    store: Store,
    *names: str,
    rows: int = 3,
    sources: Sequence[tuple[Digest, Digest]] = (),
    status: Status = Status.DONE,
) -> Digest:
    run = store.begin_run(["redun", "run", "w.py"], {})
    return run.seal(
        Batch(),
        root=None,
        status=status,
        rows=rows,
        counts=[TaskCount(name, done=1) for name in names],
        sources=sorted(sources) or sorted(task_object(store, name) for name in names),
    )


def newest(store: Store) -> Run:
    return next(runs(store))


def job(store: Store, run: Run, number: int) -> str:
    return job_id(store.format.hash, run.uuid, number).hex()


# -- the history ------------------------------------------------------------------------------------------------------


def test_runs_come_newest_first_and_live_ones_are_among_them(store: Store) -> None:
    first = finished(store)
    live = store.begin_run(["redun", "run", "slow.py"], {})
    second = finished(store)
    shown = list(runs(store))
    assert [run.digest for run in shown] == [second, None, first]
    assert [run.status for run in shown] == [Status.DONE, Status.RUNNING, Status.DONE]
    assert shown[1].uuid == live.uuid
    assert shown[1].end is None


def test_a_run_that_is_sealed_is_listed_once(store: Store) -> None:
    live = store.begin_run(["x"], {})
    live.seal(Batch(), root=None, status=Status.FAILED, rows=0, counts=[], sources=[])
    assert [(run.uuid, run.status) for run in runs(store)] == [(live.uuid, Status.FAILED)]


def test_a_live_run_has_the_rows_given_out_so_far(store: Store) -> None:
    live = store.begin_run(["x"], {})
    store.commit(Batch(run=RunUpdate(live.uuid, rows=7, counts=(TaskCount("f", running=1),))))
    assert newest(store).rows == 7
    assert newest(store).counts == (TaskCount("f", running=1),)
    assert find(store, job(store, newest(store), 6)) == JobName(newest(store), 6)


def test_an_empty_store_has_no_runs(store: Store) -> None:
    assert list(runs(store)) == []
    with pytest.raises(NotFound, match="no execution yet"):
        find(store, "-")


# -- executions -------------------------------------------------------------------------------------------------------


def test_an_execution_answers_to_its_uuid_with_and_without_dashes_and_to_its_digest(store: Store) -> None:
    digest = finished(store)
    finished(store)
    run = list(runs(store))[1]
    full = str(uuid.UUID(bytes=run.uuid))
    for name in (full, full[:12], full.replace("-", ""), full[:8].upper(), digest.hex(), digest.hex()[:10]):
        assert find(store, name) == run


def test_a_dash_is_the_latest_and_tilde_counts_back_from_it(store: Store) -> None:
    digests = [finished(store) for _ in range(3)]
    for name, digest in (("-", digests[2]), ("~0", digests[2]), ("~1", digests[1]), ("~2", digests[0])):
        found = find(store, name)
        assert isinstance(found, Run)
        assert found.digest == digest
    assert find_object(store, "~1") == ObjectName("exec", digests[1])


@pytest.mark.parametrize("name", ["~3", "~99999999999999999999", "~x", "~", "~-1", "~²"])
def test_counting_back_too_far_is_not_found(store: Store, name: str) -> None:
    finished(store)
    with pytest.raises(NotFound):
        find(store, name)


# -- objects ----------------------------------------------------------------------------------------------------------


def test_an_object_answers_to_its_prefix(store: Store) -> None:
    digest = store.put("value", b"\x01")
    for length in (8, 13, 2 * len(digest)):
        assert find(store, digest.hex()[:length]) == ObjectName("value", digest)
    assert find_object(store, digest.hex()) == ObjectName("value", digest)


def test_a_prefix_of_several_objects_is_ambiguous_and_names_them(store: Store) -> None:
    ids = sorted(store.put_many([("blob", os.urandom(8)) for _ in range(3000)]))
    pair = next((a, b) for a, b in itertools.pairwise(ids) if a[:2] == b[:2])
    with pytest.raises(AmbiguousPrefix, match=r"several ids: blob .*, blob ") as caught:
        find(store, pair[0].hex()[:4])
    assert {("blob", pair[0].hex()), ("blob", pair[1].hex())} <= set(caught.value.candidates)
    assert find(store, pair[0].hex()) == ObjectName("blob", pair[0])


@pytest.mark.parametrize(
    "name", ["abc", "zzzz", "", "ffffffffffffffff", "a-b", "no.such.task", "0" * 65, "/etc/passwd"]
)
def test_what_names_nothing_is_not_found_and_says_where_to_look(store: Store, name: str) -> None:
    finished(store)
    with pytest.raises(NotFound, match="names no") as caught:
        find(store, name)
    assert caught.value.hint


# -- jobs -------------------------------------------------------------------------------------------------------------


def test_a_job_answers_to_its_prefix_in_any_execution(store: Store) -> None:
    finished(store, rows=50)
    finished(store, rows=2)
    latest, before = runs(store)
    for run, number in ((latest, 1), (before, 0), (before, 49)):
        full = job(store, run, number)
        for name in (full, full[:9], full[:8].upper(), str(uuid.UUID(full))):
            assert find(store, name) == JobName(run, number)


def test_a_number_that_was_never_given_out_is_no_job(store: Store) -> None:
    finished(store, rows=3)
    with pytest.raises(NotFound):
        find(store, job(store, newest(store), 3))


def test_a_short_prefix_of_several_jobs_is_ambiguous(store: Store) -> None:
    finished(store, rows=2000)
    run = newest(store)
    ids = sorted(job(store, run, number) for number in range(run.rows))
    shared = next(a[:4] for a, b in itertools.pairwise(ids) if a[:4] == b[:4])
    with pytest.raises(AmbiguousPrefix) as caught:
        find(store, shared)
    assert {kind for kind, _ in caught.value.candidates} == {"job"}
    assert all(full.startswith(shared) for _, full in caught.value.candidates)


def test_a_job_of_a_large_execution_is_found_with_an_index_and_without(store: Store) -> None:
    run = store.begin_run([], {})
    rows = [JobRow(number, None, -1, Status.DONE, How.RAN, Why.FIRST, 0, 1) for number in range(2100)]
    pages = [
        store.put("jobs", JobsRecord(run.uuid, tuple(rows[at : at + 512])).payload()) for at in range(0, 2048, 512)
    ]
    for inner in (0, 400):  # jobs inside of one that was answered whole have no rows
        tail = rows[2048:]
        run.seal(
            Batch(), root=None, status=Status.DONE, rows=2100 + inner, counts=(), sources=(), pages=pages, tail=tail
        )
        names = [job(store, newest(store), number) for number in (0, 511, 512, 2099, *([2400] if inner else []))]
        for _ in range(2):
            assert [find(store, name[:12]) for name in names] == [
                JobName(newest(store), number) for number in (0, 511, 512, 2099, *([2400] if inner else []))
            ]
            with pytest.raises(NotFound):
                find(store, job(store, newest(store), 2500)[:12])
            store.index()
        run = store.begin_run([], {})


def test_a_job_is_no_object(store: Store) -> None:
    finished(store)
    with pytest.raises(NotFound, match="is a job"):
        find_object(store, job(store, newest(store), 0)[:8])


def test_a_live_execution_is_no_object_yet(store: Store) -> None:
    store.begin_run(["x"], {})
    with pytest.raises(NotFound, match="not sealed yet"):
        find_object(store, "-")


# -- tasks ------------------------------------------------------------------------------------------------------------


def test_a_task_answers_to_its_full_and_its_bare_name_newest_version_first(store: Store) -> None:
    old, new = task_object(store, "ns.main", "1"), task_object(store, "ns.main", "2")
    other = task_object(store, "ns.remain")
    finished(store, "ns.main", sources=[old])
    finished(store, "ns.main", "ns.remain", sources=[new, other])
    for name in ("main", "ns.main"):
        assert find(store, name) == TaskName("ns.main", (new[0], old[0]))
    assert find_object(store, "main") == ObjectName("task", new[0])
    assert find(store, old[0].hex()[:10]) == ObjectName("task", old[0])


def test_a_bare_name_of_tasks_in_two_namespaces_is_ambiguous(store: Store) -> None:
    finished(store, "a.main", "b.main")
    with pytest.raises(AmbiguousPrefix, match=r"a\.main, b\.main") as caught:
        find(store, "main")
    assert caught.value.candidates == [("task", "a.main"), ("task", "b.main")]
    assert isinstance(find(store, "a.main"), TaskName)


def test_a_task_without_a_namespace_wins_over_the_same_name_in_one(store: Store) -> None:
    finished(store, "main", "b.main")
    found = find(store, "main")
    assert isinstance(found, TaskName)
    assert found.fullname == "main"


def test_a_task_whose_name_looks_like_an_id_is_found(store: Store) -> None:
    finished(store, "deadbeef")
    assert isinstance(find(store, "deadbeef"), TaskName)
