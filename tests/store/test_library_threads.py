"""What `store/README.md` promises to threads: one store for all of them, and a named error after it was closed."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.core import limits
from redun.core.digest import Digest
from redun.core.errors import RefMoved, StoreError
from redun.core.objects import Status
from redun.store import Batch, Pointer, Store, pack
from redun.store.lmdb_environment import _open_environments

LARGE = limits.INLINE_BYTES + 1


def _together(*works: Callable[[], None]) -> None:
    """Runs functions in threads that begin at once; raises what one of them raised."""
    barrier = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001  told in the thread that asked
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_threads_put_and_get_through_one_store(store: Store) -> None:
    def work(seed: int) -> Callable[[], None]:
        def run() -> None:
            dice = random.Random(seed)
            for step in range(15):
                mine = pack([seed, step, "x" * dice.randrange(2000)])
                shared = pack(["shared", step])
                first, second = store.put_many([("value", mine), ("value", shared)])
                value = store.put_value({"seed": seed, "list": list(range(step * 50))})
                assert store.get(first) == ("value", mine)
                assert store.get_many([second, first]) == [("value", shared), ("value", mine)]
                assert store.get_value(value) == {"seed": seed, "list": list(range(step * 50))}
                assert store.has(second)

        return run

    _together(*[work(seed) for seed in range(6)])
    assert len(list(store.objects("value"))) == 6 * 15 * 2 + 15


def test_threads_write_one_large_blob_at_once(store: Store) -> None:
    digests: list[Digest] = []

    def put() -> None:
        digests.append(store.put_blob([b"x" * LARGE, b"y"], LARGE + 1))
        digests.append(store.put_value(b"z" * LARGE))

    _together(*[put] * 5)
    assert len(set(digests)) == 2
    assert bytes(store.open_blob(digests[0])) in (b"x" * LARGE + b"y", store.get(digests[0])[1])
    assert list(store.check()) == []


def test_one_of_the_threads_that_move_a_ref_succeeds(store: Store) -> None:
    start, *others = store.put_many([("blob", b"%d" % number) for number in range(9)])
    store.set_ref("a", start, expected=None, reason="start")
    moved: list[Digest] = []

    def move(digest: Digest) -> Callable[[], None]:
        def run() -> None:
            try:
                store.set_ref("a", digest, expected=start, reason="race")
            except RefMoved:
                return
            moved.append(digest)

        return run

    _together(*[move(digest) for digest in others])
    assert moved == [store.ref("a")]
    assert len(store.reflog("a")) == 2


def test_threads_walk_list_and_run_while_others_write(store: Store) -> None:
    done = threading.Event()

    def write() -> None:
        try:
            for number in range(60):
                leaf = store.put("blob", b"%d" % number)
                root = store.put("tool.root", pack([Pointer(leaf), number]))
                store.set_ref("root", root, expected=store.ref("root"), reason="next")
            run = store.begin_run(["run"], {})
            run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())
        finally:
            done.set()

    def read() -> None:
        while not done.is_set():
            root = store.ref("root")
            if root is not None:
                assert len(list(store.walk([root]))) == 2
            assert all(kind in ("blob", "tool.root", "exec") for _, kind in store.objects())

    _together(write, read, read)
    assert len(list(store.watch(timeout=0))) == 0
    assert len(list(store.executions())) == 1


def _for_ever(attempt: Callable[[], object]) -> None:
    while True:
        attempt()


def test_closing_while_others_read_and_write_is_a_named_error_for_them(store: Store) -> None:
    digest = store.put("blob", b"x" * 100)
    large = store.put_blob([b"y" * LARGE], LARGE)
    view = store.open_blob(large)
    entered = threading.Barrier(7)

    def use(attempt: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            attempt()
            entered.wait()
            with pytest.raises(StoreError, match="was closed"):
                _for_ever(attempt)

        return run

    def close() -> None:
        entered.wait()
        store.close()

    _together(
        use(lambda: store.get(digest)),
        use(lambda: store.get_many([digest, large])),
        use(lambda: list(store.objects())),
        use(lambda: store.put("blob", os.urandom(20))),
        use(lambda: store.put_value(random.random())),
        use(store.refs),
        close,
    )
    assert bytes(view[:3]) == b"yyy"  # what was opened before stays


def test_many_threads_open_and_close_one_path(tmp_path: Path) -> None:
    Store.init(tmp_path / "s").close()

    def work(number: int) -> Callable[[], None]:
        def run() -> None:
            for step in range(12):
                with Store.open(tmp_path / "s", read_only=(number + step) % 3 == 0) as store:
                    if not store.read_only:
                        store.put_value([number, step])
                    assert len(list(store.objects())) >= 0

        return run

    _together(*[work(number) for number in range(6)])
    assert not [shared for shared in _open_environments.values() if shared.path == tmp_path / "s"]
    with Store.open(tmp_path / "s") as store:
        assert len(list(store.objects())) == 6 * 8


def test_threads_that_close_one_store_at_once_close_it_once(tmp_path: Path) -> None:
    before = len(_open_environments)
    for _ in range(20):
        store = Store.init(tmp_path / "s")
        keep = Store.open(tmp_path / "s")
        _together(*[store.close] * 4)
        keep.put("blob", b"x")  # its locks and its map are its own
        assert len(_open_environments) == before + 1
        keep.close()


def test_a_path_has_one_environment_in_a_process_however_it_is_named(tmp_path: Path) -> None:
    before = len(_open_environments)
    (tmp_path / "link").symlink_to(tmp_path / "s")
    first = Store.init(tmp_path / "s")
    others = [Store.open(tmp_path / "link"), Store.open(tmp_path / "." / "s", read_only=True)]
    assert len(_open_environments) == before + 1
    (shared,) = [shared for shared in _open_environments.values() if shared.path == tmp_path / "s"]
    assert shared.users == 3
    first.close()
    assert shared.users == 2
    assert others[0].put("blob", b"x")
    for store in others:
        store.close()
    assert shared.users == 0
    assert len(_open_environments) == before


def test_a_store_that_is_made_anew_at_a_path_is_another_one(tmp_path: Path) -> None:
    first = Store.init(tmp_path / "s")
    digest = first.put("blob", b"x")
    (tmp_path / "s").rename(tmp_path / "old")
    with Store.init(tmp_path / "s") as second:
        assert not second.has(digest)
        assert second.id != first.id
        assert first.has(digest)
    first.close()


_FORK = """
import os, sys, threading
from redun.store import Store, StoreError
store = Store.open(sys.argv[1])
memory = Store.memory()
digest = store.put("blob", b"x")
watching = store.watch()
if os.fork() == 0:
    for attempt in (
        lambda: store.get(digest), lambda: store.put("blob", b"y"), lambda: next(watching), store.watch,
        lambda: list(store.objects()), lambda: Store.open(sys.argv[1]),
    ):
        try:
            attempt()
        except StoreError as error:
            print("fork of it" in str(error), flush=True)
    store.close()
    os._exit(0)
os.wait()
print(store.get(digest)[0])
store.close()
"""


def test_a_fork_of_the_process_is_told_to_open_its_own(tmp_path: Path) -> None:
    Store.init(tmp_path / "s").close()
    done = subprocess.run(
        [sys.executable, "-c", _FORK, str(tmp_path / "s")], check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.split() == ["True"] * 6 + ["blob"]


def test_a_store_that_is_dropped_stays_open_and_harms_nobody(tmp_path: Path) -> None:
    digest = Store.init(tmp_path / "s").put("blob", b"x")
    gc.collect()
    with Store.open(tmp_path / "s") as store:
        assert store.has(digest)
