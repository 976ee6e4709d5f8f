"""The programs whose disk loses power: `python -m tests.store.powercut.busy DIRECTORY LEVEL first|second`.

Between them they do what a store does: it is made, objects of all sizes are put, runs begin and are sealed, a process
dies in the middle of a run and the next one seals it, the map grows, refs move. After each write and each sync they
tell the recorder that it returned, with the number of the last transaction; and so after each seal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from redun.core.codec import Pointer, pack
from redun.core.limits import LEAF_BYTES
from redun.core.objects import How, JobRow, Status, Why
from redun.store import Batch, RunUpdate, Store, lmdb_backend
from redun.store.ports import T, WriteTransaction
from redun.store.soundness import last_transaction
from redun.store.store import Durability
from tests.store.powercut.recording import mark

#: A first map so small that it has to grow.
_MAP_BYTES = 64 * 1024


class TellingBackend(lmdb_backend.LmdbBackend):
    """The backend, telling what has returned."""

    def __init__(self, path: Path, *, writable: bool = True, durable: bool = False) -> None:
        super().__init__(path, writable=writable, durable=durable, map_bytes=_MAP_BYTES)

    def write(self, function: Callable[[WriteTransaction], T]) -> T:
        """See `Backend.write`."""
        result = super().write(function)
        mark(f"returned {last_transaction(self.path)}")
        return result

    def sync(self) -> None:
        """See `Backend.sync`."""
        super().sync()
        mark(f"synced {last_transaction(self.path)}")


def mark_synced(path: Path) -> None:
    """Notes that a seal or a close has returned, whose promise does not depend on whether it called `sync`."""
    mark(f"synced {last_transaction(path)}")


def first(path: Path, level: Durability) -> None:
    """Makes a store, fills it, and dies in the middle of a run."""
    from redun.executor.scheduler import Scheduler
    from tests.store.powercut import flow

    Store.init(path, durability=level).close()
    mark("made")
    store = Store.open(path, durability=level)
    texts = store.put_many([("value", pack("x" * (i * i))) for i in range(60)])
    store.put("value", pack([Pointer(text) for text in texts]))
    store.put_blob([b"b" * LEAF_BYTES, b"and more"], LEAF_BYTES + 8)
    store.put("value", pack("t" * (2 * LEAF_BYTES)))
    assert Scheduler(store, threads=4).run(flow.main(1)) == flow.expected(1)
    mark_synced(path)
    run = store.begin_run(["dies"], {})
    rows = [JobRow(i, None, -1, Status.DONE, How.RAN, Why.FIRST, 10 * i, 5) for i in range(3)]
    running = rows[2]._replace(status=Status.RUNNING, duration=-1)
    store.commit(Batch(run=RunUpdate(run.uuid, tail=tuple(rows[:2]), running=(running,), rows=3)))
    os._exit(0)


def second(path: Path, level: Durability) -> None:
    """Finds the run that died, runs another version and the same again, and moves a ref."""
    from redun.executor.scheduler import Scheduler
    from tests.store.powercut import flow

    with Store.open(path, durability=level) as store:
        scheduler = Scheduler(store, threads=4)
        assert scheduler.run(flow.main(2)) == flow.expected(2)
        mark_synced(path)
        digest, _ = next(store.executions())
        store.set_ref("kept", digest, expected=None, reason="test")
        assert scheduler.run(flow.main(2)) == flow.expected(2)
        mark_synced(path)
        for number in range(25):  # small transactions, each reusing pages that an earlier one has given back
            moved = store.put("value", pack(["y" * 30 * number, number]))
            store.set_ref("moves", moved, expected=store.ref("moves"), reason="test")
        store.put_many([("value", pack(["z" * 50, i])) for i in range(1500)])
    mark_synced(path)
    Store.open(path, read_only=True).close()


PROGRAMS: dict[str, Callable[[Path, Durability], None]] = {"first": first, "second": second}

if __name__ == "__main__":
    lmdb_backend.LmdbBackend = TellingBackend  # type: ignore[misc]
    PROGRAMS[sys.argv[3]](Path(sys.argv[1]), cast(Durability, sys.argv[2]))
