"""What a store does when one call to the disk fails: `python -m tests.store.powercut.faults DIR FAULT FIRST STEP`.

A small program is run again and again, each time with a fault at another of its calls, until there is none left to
fail. `recorder.c` has the form of a fault; its number is filled in. After each:

- the program met an error of the store, and for a full disk it is StoreFull; a hint says what to do. (What is written
  to `synced` may be missing: that may fail in silence. Where a disk took half of a write and has room, Python writes
  the rest, but LMDB gives up.)
- the store is as after the last step that returned, or the one that failed was done as a whole; it is never half done;
- the same process can use the store as soon as there is room again, having opened it anew; so can others.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from redun.core.codec import pack
from redun.core.digest import Digest, Key
from redun.core.errors import NotAStore, StoreError, StoreFailing, StoreFull
from redun.core.limits import LEAF_BYTES
from redun.core.objects import Status
from redun.store import Batch, MemoUpdate, Store
from redun.store.soundness import last_transaction
from tests.store.powercut import recording
from tests.store.powercut.promises import check_store, check_works


def steps(path: Path, *, durable: bool) -> Iterator[list[Digest]]:
    """Uses a store in steps; returns after each the ids of the objects that are in it from now on."""
    Store.init(path).close()
    yield []
    with Store.open(path, durability="durable" if durable else "normal") as store:
        yield [store.put("value", pack("small"))]
        yield store.put_many([("value", pack("x" * 700 * number)) for number in range(40)])
        yield [store.put_blob([b"b" * LEAF_BYTES, b"and more"], LEAF_BYTES + 8)]
        run = store.begin_run(["test"], {})
        key, head = Key(b"k" * store.format.size), store.put("value", pack("head"))
        memo = MemoUpdate(key, "t", head, False)
        store.commit(Batch({}, [memo]))
        yield [head]
        yield [run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())]
        yield [store.put("value", pack("y" * 3 * LEAF_BYTES))]


def broken_off(path: Path, *, durable: bool) -> tuple[list[Digest], StoreError | None]:
    """Takes the steps until one fails; returns what they have put, and the error."""
    put: list[Digest] = []
    try:
        for digests in steps(path, durable=durable):
            put += digests
    except StoreError as error:
        return put, error
    return put, None


def check(path: Path, spec: str, *, durable: bool) -> bool:
    """Checks the program with one fault; returns whether the fault came into play."""
    recording.set_fault(spec)
    put, error = broken_off(path, durable=durable)
    failed = recording.failed()
    _, _, number, how = spec.split(":")
    if error is not None and int(number) == errno.ENOSPC and how != "half":
        assert isinstance(error, StoreFull), error
    assert error is None or (isinstance(error, (StoreFull, StoreFailing)) and error.hint), error
    recording.set_fault("")
    if not failed:
        assert error is None, error
        return False
    healed = how == "half" and not failed.endswith("data.mdb")
    assert error is not None or healed or "/synced" in failed, f"a failure at {failed} went unnoticed"
    try:
        check_store(path)
    except NotAStore:
        assert not put, "the store is gone"
        Store.init(path).close()
    with Store.open(path) as store:
        assert all(store.get(digest)[0] for digest in put if not store.open_blob(digest).nbytes > LEAF_BYTES)
        left = len(list(store.executions()))
        again = [digest for digests in list(steps(path, durable=durable)) for digest in digests]
        assert set(put) - set(again) <= {digest for digest, _ in store.executions()}
        assert len(list(store.executions())) == left + 1
    check_works(path)
    assert last_transaction(path) > 0
    assert os.listdir(path / "incoming") == [], "what could not be kept was not cleared away"
    return True


def main(folder: Path, form: str, first: int, step: int) -> None:
    """Runs the program with the fault at every `step`-th of its calls, beginning with the `first`."""
    number = first
    while True:
        path = folder / "store"
        spec = form.replace("N", str(number))
        try:
            if not check(path, spec, durable=number % 2 == 0):
                break
        except BaseException as error:
            error.add_note(f"with the fault {spec}")
            raise
        shutil.rmtree(path)
        number += step
    assert number > first, "no call was made to fail"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
