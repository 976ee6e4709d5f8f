"""Transfers that break off, or meet others at work: both stores are whole, and doing it again moves what is missing."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from redun import Scheduler, task
from redun.core.errors import RemoteError, StoreLocked
from redun.store import GcOptions, KeepRules, Store
from redun.store.sync.far import FarPeer
from redun.store.sync.local import LocalPeer
from redun.store.sync.peers import Update
from redun.store.sync.serving import serve
from redun.store.sync.wire import Connection

_EXECUTIONS = "executions/"


@task(namespace="broken")
def step(number: int, mark: str) -> str:
    return f"{mark} {number}"


@task(namespace="broken")
def large(mark: str) -> bytes:
    return mark.encode() * 500_000


@task(namespace="broken")
def size(data: bytes) -> int:
    return len(data)


@task(namespace="broken")
def fan(count: int, mark: str) -> list[object]:
    return [size(large(mark)), *[step(number, mark) for number in range(count)]]


def compute(store: Store, mark: str, count: int = 30) -> None:
    execution = Scheduler(store).execute(fan(count, mark))
    assert execution.error is None


class Cut:
    """A pipe to read from that ends after so many bytes."""

    def __init__(self, pipe: IO[bytes], left: int) -> None:
        self._pipe = pipe
        self._left = left
        self.passed = 0

    def read(self, size: int) -> bytes:
        data = self._pipe.read(min(size, self._left - self.passed)) if self.passed < self._left else b""
        self.passed += len(data)
        if self.passed == self._left:
            self._pipe.close()  # as when a connection is gone: who writes into it is told
            return data
        return data

    def close(self) -> None:
        self._pipe.close()


def transfer(one: Store, two: Store, *, there: int = 1 << 40, here: int = 1 << 40, pull: bool) -> tuple[bool, int, int]:
    """Pushes from one to two, or pulls from two to one, over pipes that end after so many bytes.

    Returns whether it went to its end, and the bytes that came there and here.
    """
    (there_reads, here_writes), (here_reads, there_writes) = os.pipe(), os.pipe()
    arriving, answers = Cut(os.fdopen(there_reads, "rb"), there), Cut(os.fdopen(here_reads, "rb"), here)

    def answer() -> None:
        with suppress(RemoteError, OSError, ValueError), os.fdopen(there_writes, "wb") as writer:
            serve(Connection(arriving, writer, "here"), two.sync_parts())  # type: ignore[arg-type]
        arriving.close()

    thread = threading.Thread(target=answer)
    thread.start()
    writer = os.fdopen(here_writes, "wb")
    whole = False
    try:
        with suppress(RemoteError):
            peer = FarPeer(Connection(answers, writer, "there"), lambda: None)  # type: ignore[arg-type]
            source, target = (two, one) if pull else (one, two)
            mine, theirs = target.refs(_EXECUTIONS), source.refs(_EXECUTIONS)
            updates = [Update(name, mine.get(name), at) for name, at in theirs.items() if mine.get(name) != at]
            roots = [update.new for update in updates]
            if pull:
                me = LocalPeer(one.sync_parts())
                me.take(peer.give(roots, one.absent), updates)
            else:
                peer.take(LocalPeer(one.sync_parts()).give(roots, peer.missing), updates)
            whole = True
            peer.close()
    finally:
        with suppress(OSError):
            writer.close()
        answers.close()
        thread.join()
    return whole, arriving.passed, answers.passed


def sound(store: Store) -> bool:
    return list(store.check(level=4)) == []


def absent(source: Store, target: Store) -> int:
    return len(target.absent([digest for digest, *_ in source.walk(list(source.refs(_EXECUTIONS).values()))]))


@pytest.fixture(params=["push", "pull"])
def pull(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "pull")


@pytest.mark.parametrize("side", ["there", "here"])
def test_a_pipe_that_is_cut_anywhere_leaves_both_whole_and_the_rest_moves_later(
    tmp_path: Path, pull: bool, side: str
) -> None:
    with Store.memory() as full:
        compute(full, "a")
        with Store.memory() as empty:
            ends = (empty, full) if pull else (full, empty)
            whole, there, here = transfer(*ends, pull=pull)
            assert whole
            assert absent(full, empty) == 0
        most = there if side == "there" else here
        for cut in sorted({*range(0, min(most, 400), 37), *range(400, most, max(most // 12, 1)), most - 1}):
            with Store.memory() as target:
                ends = (target, full) if pull else (full, target)
                whole, _, _ = transfer(*ends, pull=pull, **{side: cut})  # type: ignore[arg-type]
                assert sound(target), cut
                gone = absent(full, target)
                assert bool(target.refs()) <= (gone == 0), cut
                again, there, here = transfer(*ends, pull=pull)
                assert again, cut
                assert absent(full, target) == 0
                assert target.refs(_EXECUTIONS) == full.refs(_EXECUTIONS)
                assert sound(target), cut
        assert sound(full)


def test_two_pushes_at_once_both_succeed(tmp_path: Path) -> None:
    with Store.init(tmp_path / "to") as to:
        pass
    stores = []
    for name in ("a", "b"):
        with Store.init(tmp_path / name) as store:
            compute(store, name, 300)
        stores.append(tmp_path / name)
    failed: list[Exception] = []
    ready = threading.Barrier(2)

    def push(path: Path) -> None:
        try:
            with Store.open(path) as store:
                ready.wait()
                store.sync.push(str(tmp_path / "to"))
        except Exception as error:  # noqa: BLE001  # told below
            failed.append(error)

    threads = [threading.Thread(target=push, args=(path,)) for path in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with Store.open(tmp_path / "to") as to:
        assert len(to.refs(_EXECUTIONS)) == 2
        assert sound(to)


@pytest.mark.parametrize("side", ["one", "two"])
def test_a_push_beside_the_collection_of_garbage_on_either_side_loses_nothing(tmp_path: Path, side: str) -> None:
    with Store.init(tmp_path / "one") as one, Store.init(tmp_path / "two") as two:
        for mark in "abc":
            compute(one, mark)
            compute(two, mark.upper())
        store = {"one": one, "two": two}[side]
        stop = threading.Event()
        problems: list[Exception] = []

        def collect() -> None:
            while not stop.is_set():
                try:
                    store.prune(store.plan_pruning(KeepRules(last=2)))
                    store.collect_garbage()  # what a run finds meanwhile is in the trash
                except StoreLocked:
                    continue  # the push is at work
                except Exception as error:  # noqa: BLE001  # told below
                    problems.append(error)
                    return

        thread = threading.Thread(target=collect)
        thread.start()
        try:
            for mark in "defg":
                compute(one, mark)
                one.sync.push(str(tmp_path / "two"))
        finally:
            stop.set()
            thread.join()
        assert problems == []
        one.sync.push(str(tmp_path / "two"))
        name = f"{_EXECUTIONS}{one.id.hex()}"
        assert two.refs(name) == one.refs(name)
        assert sound(one)
        assert sound(two)


def test_a_push_beside_a_running_workflow_gives_what_is_sealed(tmp_path: Path) -> None:
    with Store.init(tmp_path / "one") as one, Store.init(tmp_path / "two") as two:
        compute(one, "before")
        done = threading.Event()

        def work() -> None:
            for number in range(6):
                compute(one, f"run {number}", 60)
            done.set()

        thread = threading.Thread(target=work)
        thread.start()
        while not done.is_set():
            one.sync.push(str(tmp_path / "two"))
        thread.join()
        one.sync.push(str(tmp_path / "two"))
        assert absent(one, two) == 0
        assert two.refs(_EXECUTIONS) == one.refs(_EXECUTIONS)
        assert sound(two)
        assert sound(one)


def test_what_is_in_the_trash_over_there_comes_again_and_stays(tmp_path: Path) -> None:
    with Store.init(tmp_path / "one") as one, Store.init(tmp_path / "two") as two:
        compute(one, "a")
        one.sync.push(str(tmp_path / "two"))
        name = f"{_EXECUTIONS}{one.id.hex()}"
        two.set_ref(name, None, expected=two.refs()[name], reason="test")
        assert two.collect_garbage().swept
        assert one.sync.push(str(tmp_path / "two")).executions == (name,)
        assert absent(one, two) == 0
        assert sound(two)
        two.collect_garbage(GcOptions(expiry_s=0))
        assert sound(two)
        assert absent(one, two) == 0
