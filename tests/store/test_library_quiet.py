"""A program that embeds a store keeps its signals, its logging and its streams to itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import atexit, signal, sys, threading

def state():
    return {
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals() if number > 0},
        "wakeup": signal.set_wakeup_fd(-1),
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "excepthook": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "hooks": (sys.displayhook, sys.gettrace(), sys.getprofile()),
        "threads": threading.active_count(),
        "streams": (sys.stdout, sys.stderr, sys.stdin),
        "recursion": sys.getrecursionlimit(),
        "switch": sys.getswitchinterval(),
        "path": list(sys.path),
        "exits": atexit._ncallbacks(),
    }

# What others of the standard library set up at their own import is not ours to answer for.
before = state()

from redun.core.objects import Status
from redun.store import Batch, DigestCollision, NotFound, Pointer, Store, StoreError, pack, register_kind

assert "logging" not in sys.modules, "logging is imported"
assert "asyncio" not in sys.modules, "asyncio is imported"

register_kind("tool.pair", lambda payload: None)
for make in (lambda: Store.init(sys.argv[1]), lambda: Store.open(sys.argv[1]), Store.memory):
    with make() as store:
        digest = store.put_value({"a": [1, "x" * 2_000_000]})
        store.get_value(digest)
        with store.transaction() as txn:
            txn.put("tool.pair", pack([Pointer(digest)]))
        list(store.walk([digest])), list(store.objects()), store.references(digest)
        watching = store.watch(timeout=0)
        store.begin_run(["x"], {}).seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())
        list(watching), list(store.executions()), list(store.check())
        store.begin_run(["left behind"], {})
        try:
            store.get(b"0" * 16)
        except NotFound:
            pass
        inside = state()
        assert inside == before, [name for name in before if inside[name] != before[name]]
for wrong in ("/proc/none", __file__ if "__file__" in globals() else "/dev/null"):
    try:
        Store.open(wrong)
    except StoreError:
        pass
after = state()
assert after == before, [name for name in before if after[name] != before[name]]

import logging
assert logging.root.handlers == [] and logging.root.level == logging.WARNING
assert not [name for name in logging.root.manager.loggerDict if name.startswith(("redun", "lmdb", "store"))]
assert logging.raiseExceptions and logging.lastResort is not None
"""


def test_nothing_of_the_process_is_touched_and_nothing_is_printed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _SCRIPT, str(tmp_path / "s")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_importing_the_package_loads_nothing(tmp_path: Path) -> None:
    script = """
import sys
before = set(sys.modules)
import redun.store
ours = {name for name in set(sys.modules) - before if name.startswith("redun")}
assert ours == {"redun", "redun.store"}, ours
assert "lmdb" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
