from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redun.core import limits
from redun.core.codec import pack
from redun.core.digest import Digest, Key
from redun.core.errors import InternalError, StoreDamaged
from redun.core.objects import (
    CallRecord,
    ExecRecord,
    JobRow,
    JobsRecord,
    Outcome,
    Status,
    TaskCount,
    TraceRecord,
    check,
)
from redun.store import Batch, LiveRun, MemoUpdate, RunUpdate, Store
from redun.store.checksums import with_checksum

Row = Callable[..., JobRow]


def _seal(run: LiveRun, batch: Batch | None = None, **more: Any) -> Digest:
    plain: dict[str, Any] = {"root": None, "status": Status.DONE, "rows": 0, "counts": (), "sources": ()}
    return run.seal(batch or Batch(), **{**plain, **more})


def _call(store: Store) -> Digest:
    value = store.put("value", pack("v"))
    return store.put("call", CallRecord(value, (), None, Outcome.VALUE, value).payload())


def test_a_begun_run_is_live(store: Store) -> None:
    run = store.begin_run(["redun", "run", "x"], {"user": "ann", "version": "1"})
    (live,) = store.live_runs()
    assert (live.uuid, live.start, live.argv, live.alive) == (run.uuid, run.start, ("redun", "run", "x"), True)
    assert live.info == {**live.info, "user": "ann", "version": "1", "pid": str(os.getpid())}
    assert {"host", "boot"} <= set(live.info)
    assert (live.pages, live.tail, live.running) == ((), (), ())
    assert list(store.executions()) == []


def test_an_update_replaces_the_one_before(store: Store, row: Row) -> None:
    run = store.begin_run([], {})
    call = _call(store)
    page = store.put("jobs", JobsRecord(run.uuid, (row(0),)).payload())
    store.commit(Batch(run=RunUpdate(run.uuid, [], (row(1),), (row(2, status=Status.RUNNING, duration=-1),))))
    counts, sources = (TaskCount("t", done=3),), ((call, call),)
    update = RunUpdate(run.uuid, [page], (row(3, call=call),), (), root=call, rows=4, counts=counts, sources=sources)
    store.commit(Batch(run=update))
    (live,) = store.live_runs()
    assert (live.pages, live.tail, live.running) == ((page,), (row(3, call=call),), ())
    assert (live.root, live.rows, live.counts, live.sources) == (call, 4, counts, sources)


def test_a_seal_writes_everything_and_ends_the_run(store: Store, row: Row) -> None:
    run = store.begin_run(["a"], {"user": "ann"})
    call = _call(store)
    trace = store.put("trace", TraceRecord("E").payload())
    last = ("value", pack("last"))
    key = Key(b"k" * store.format.size)
    digest = store.format.hash(b"value 5\0" + last[1])
    batch = Batch({Digest(digest): last}, [MemoUpdate(key, "t", call, False, call, call)])
    counts = (TaskCount("t", failed=1),)
    sealed = _seal(
        run,
        batch,
        root=call,
        status=Status.FAILED,
        rows=7,
        counts=counts,
        sources=[(call, call)],
        trace=trace,
        tail=[row(0, call=call)],
        tags=[("x", "y")],
    )
    kind, payload = store.get(sealed)
    record = ExecRecord.parse(payload, strict=True)
    assert kind == "exec"
    assert (record.uuid, record.store, record.parent, record.root) == (run.uuid, store.id, None, call)
    assert (record.status, record.start, record.argv, record.rows) == (Status.FAILED, run.start, ("a",), 7)
    assert (record.counts, record.sources, record.trace, record.tags) == (counts, ((call, call),), trace, (("x", "y"),))
    assert dict(record.info)["user"] == "ann"
    assert not {"pid", "boot"} & set(dict(record.info))
    assert record.end >= record.start
    assert list(store.job_pages(record.pages)) == [JobsRecord(run.uuid, (row(0, call=call),))]
    assert store.has(Digest(digest))
    assert store.lookup({}, [key])[0] is not None
    assert store.ref(f"executions/{store.id.hex()}") == sealed
    assert store.live_runs() == []


def test_a_run_is_sealed_once(store: Store) -> None:
    run = store.begin_run([], {})
    _seal(run)
    with pytest.raises(InternalError, match="not live"):
        _seal(run)
    with pytest.raises(InternalError, match="not live"):
        store.commit(Batch(run=RunUpdate(run.uuid)))
    assert len(list(store.executions())) == 1


def test_each_seal_goes_on_top_of_the_chain(store: Store) -> None:
    runs = [store.begin_run([str(i)], {}) for i in range(3)]
    sealed = [_seal(run) for run in (runs[1], runs[0], runs[2])]
    assert [ExecRecord.parse(store.get(d)[1]).parent for d in sealed] == [None, sealed[0], sealed[1]]
    assert [d for d, _ in store.executions()] == sealed[::-1]
    log = store.reflog(f"executions/{store.id.hex()}")
    assert [(e.old, e.new) for e in log] == [(sealed[1], sealed[2]), (sealed[0], sealed[1]), (None, sealed[0])]


def test_runs_of_many_threads_make_one_chain(store: Store) -> None:
    def work() -> None:
        for _ in range(5):
            _seal(store.begin_run([], {}))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(store.executions())) == 20


def test_rows_that_fill_more_than_a_page_become_pages(store: Store, row: Row) -> None:
    run = store.begin_run([], {})
    rows = [row(i) for i in range(2 * limits.PAGE_ROWS + 1)]
    record = ExecRecord.parse(store.get(_seal(run, tail=rows))[1])
    pages = list(store.job_pages(record.pages))
    assert [len(page.rows) for page in pages] == [limits.PAGE_ROWS, limits.PAGE_ROWS, 1]
    assert [r for page in pages for r in page.rows] == rows


@pytest.mark.parametrize("count", [4, 5, 16, 17, 70])
def test_many_pages_are_listed_by_a_tree(store: Store, row: Row, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(limits, "TREE_FANOUT", 4)
    run = store.begin_run([], {})
    pages = [store.put("jobs", JobsRecord(run.uuid, (row(i),)).payload()) for i in range(count)]
    record = ExecRecord.parse(store.get(_seal(run, pages=pages))[1])
    assert len(record.pages) == (4 if count == 4 else 1)
    assert [page.rows[0].number for page in store.job_pages(record.pages)] == list(range(count))
    assert store.get(record.pages[0])[0] == ("jobs" if count == 4 else "tree")


def test_words_that_are_not_utf8_are_spelled_out(store: Store) -> None:
    run = store.begin_run(["caf\udce9", "ok"], {"user": "\udcff"})
    (live,) = store.live_runs()
    _seal(run, tags=[("t", "\ud800")])
    ((_, record),) = store.executions()
    assert live.argv == record.argv == ("caf\\udce9", "ok")
    assert dict(record.info)["user"] == live.info["user"] == "\\udcff"
    assert record.tags == (("t", "\\ud800"),)


def test_a_sealed_execution_is_canonical_whatever_the_order_of_its_sources(store: Store) -> None:
    ids = [Digest(bytes([i]) * store.format.size) for i in (3, 1, 2)]
    sealed = _seal(store.begin_run([], {"z": "1", "a": "2"}), sources=[(i, i) for i in ids])
    check(*store.get(sealed))


# -- the dead ---------------------------------------------------------------------------------------------------------


def test_a_run_whose_store_was_closed_is_interrupted_at_the_next_open(tmp_path: Path, row: Row) -> None:
    with Store.init(tmp_path) as store:
        run = store.begin_run(["a"], {"user": "ann"})
        call = _call(store)
        page = store.put("jobs", JobsRecord(run.uuid, (row(0),)).payload())
        running = row(2, call=call, status=Status.RUNNING, duration=-1)
        counts = (TaskCount("t", running=1, done=2),)
        store.commit(Batch(run=RunUpdate(run.uuid, [page], (row(1),), (running,), call, 9, counts, ((call, call),))))
    with Store.open(tmp_path) as store:
        assert store.live_runs() == []
        ((_, record),) = store.executions()
        assert (record.uuid, record.status, record.root, record.rows) == (run.uuid, Status.INTERRUPTED, call, 9)
        assert (record.argv, record.counts, record.sources) == (("a",), counts, ((call, call),))
        assert dict(record.info)["user"] == "ann"
        rows = [r for p in store.job_pages(record.pages) for r in p.rows]
        assert rows == [row(0), row(1), running._replace(status=Status.INTERRUPTED)]
        assert record.end == run.start + 20
        assert store.reflog(f"executions/{store.id.hex()}")[0].reason == "interrupted"
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_run_that_died_at_once_is_interrupted_without_pages(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        store.begin_run([], {})
    with Store.open(tmp_path) as store:
        ((_, record),) = store.executions()
    assert (record.status, record.pages, record.root, record.rows) == (Status.INTERRUPTED, (), None, 0)
    assert record.start == record.end


def test_a_running_run_of_this_process_is_left_alone(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        run = store.begin_run([], {})
        with Store.open(tmp_path) as other:
            assert [(live.uuid, live.alive) for live in other.live_runs()] == [(run.uuid, True)]
        _seal(run)


def test_a_store_open_for_reading_shows_dead_runs_and_seals_none(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        run = store.begin_run([], {})
    before = (tmp_path / "data.mdb").read_bytes()
    with Store.open(tmp_path, read_only=True) as store:
        assert [(live.uuid, live.alive) for live in store.live_runs()] == [(run.uuid, False)]
        assert list(store.executions()) == []
    assert (tmp_path / "data.mdb").read_bytes() == before


def _pretend_elsewhere(store: Store, uuid: bytes, **facts: str) -> None:
    info = [["boot", facts["boot"]], ["host", facts["host"]]]
    store._backend.write(lambda txn: txn.put("live", uuid + b"h", with_checksum(uuid + b"h", pack([1, [], info, 5]))))


def test_a_run_of_another_host_is_shown_as_alive_and_never_sealed(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        _pretend_elsewhere(store, b"u" * 16, host="elsewhere", boot="other")
    with Store.open(tmp_path) as store:
        (live,) = store.live_runs()
        assert (live.uuid, live.alive, live.info["host"]) == (b"u" * 16, True, "elsewhere")
        assert list(store.executions()) == []


def test_a_run_from_before_a_reboot_of_this_host_is_sealed(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        _pretend_elsewhere(store, b"u" * 16, host=os.uname().nodename, boot="earlier")
    with Store.open(tmp_path) as store:
        assert [record.status for _, record in store.executions()] == [Status.INTERRUPTED]


def test_a_damaged_live_row_is_named_and_keeps_nobody_out(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        store._backend.write(lambda txn: txn.put("live", b"u" * 16 + b"h", b"\xc1"))
        store.begin_run([], {})
    with Store.open(tmp_path) as store:
        assert len(list(store.executions())) == 1
        with pytest.raises(StoreDamaged, match=(b"u" * 16).hex()):
            store.live_runs()


def test_locks_that_no_run_needs_are_removed(tmp_path: Path) -> None:
    Store.init(tmp_path).close()
    left = tmp_path / "runs" / f"{b'u'.hex() * 16}.lock"
    left.touch()
    Store.open(tmp_path).close()
    assert not left.exists()


_CHILD = """
import sys
from redun.core.codec import pack
from redun.core.objects import How, JobRow, Status, Why
from redun.store import Batch, RunUpdate, Store

store = Store.open(sys.argv[1])
run = store.begin_run(["child"], {})
for number in range(1000000):
    row = JobRow(number, None, -1, Status.DONE, How.RAN, Why.FIRST, number, 1)
    digest = store.format.hash(b"value %d\\0" % len(pack(number)) + pack(number))
    store.commit(Batch({digest: ("value", pack(number))}, run=RunUpdate(run.uuid, [], (row,))))
    print(number, digest.hex(), flush=True)
"""


@pytest.mark.parametrize("durability", ["normal", "durable"])
def test_a_killed_run_keeps_every_batch_it_committed(tmp_path: Path, durability: str) -> None:
    Store.init(tmp_path, durability=durability).close()  # type: ignore[arg-type]
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(20)]
    with Store.open(tmp_path) as store:
        assert [live.alive for live in store.live_runs()] == [True]
    child.send_signal(signal.SIGKILL)
    lines += [line for line in child.stdout.readlines() if line.endswith("\n")]
    child.wait()
    child.stdout.close()
    with Store.open(tmp_path) as store:
        digests = [Digest(bytes.fromhex(line.split()[1])) for line in lines]
        assert store.get_many(digests) == [("value", pack(number)) for number in range(len(lines))]
        ((_, record),) = store.executions()
        assert (record.status, record.argv) == (Status.INTERRUPTED, ("child",))
        (page,) = store.job_pages(record.pages)
        assert page.rows[0].number + 1 in (len(lines), len(lines) + 1)


def test_a_child_of_a_fork_does_not_keep_a_dead_run_alive(tmp_path: Path) -> None:
    Store.init(tmp_path).close()
    script = """
import os, sys
from redun.store import Store
store = Store.open(sys.argv[1])
store.begin_run([], {})
if os.fork() == 0:
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)
os._exit(9)
"""
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdin=pipe, stdout=pipe, text=True)
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "ready\n"
    assert child.wait() == 9
    with Store.open(tmp_path) as store:
        assert store.live_runs() == []
        assert len(list(store.executions())) == 1
    child.stdin.close()
    child.stdout.close()
