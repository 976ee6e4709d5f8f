"""A disk that is full, or broken, at each single call: `powercut/faults.py` says what is checked."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from redun.core.errors import StoreError
from redun.store import Store
from redun.store.lmdb_environment import _LOCK_BYTES
from tests.store.powercut import faults
from tests.store.powercut.recording import Recorder

#: As in `recorder.c`, with N for the number of the call.
FAULTS: Final = {
    "a full disk": f"space:N:{errno.ENOSPC}:stays",
    "a full disk that takes what replaces bytes": f"grow:N:{errno.ENOSPC}:stays",
    "a disk that fills up in the middle of a write": f"space:N:{errno.ENOSPC}:short",
    "a disk that is full for a moment": f"space:N:{errno.ENOSPC}:once",
    "half a write": f"space:N:{errno.ENOSPC}:half",
    "a write that fails": f"space:N:{errno.EIO}:once",
    "a sync that fails": f"sync:N:{errno.EIO}:once",
    "syncs that fail from then on": f"sync:N:{errno.EIO}:stays",
}


def check_faults(tmp_path: Path, fault: str, first: int, step: int) -> None:
    """Runs `faults` with a fault at every `step`-th call."""
    recorder = Recorder(tmp_path, tmp_path / "root")
    words = [sys.executable, "-m", faults.__name__, str(recorder.root), FAULTS[fault], str(first), str(step)]
    done = subprocess.run(words, env=recorder.environment(), check=False, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_to_the_disk_that_fails_is_an_error_and_the_store_stays_whole(fault: str, tmp_path: Path) -> None:
    check_faults(tmp_path, fault, first=2 + len(fault) % 3, step=9)


# -- faults that were found so ----------------------------------------------------------------------------------------


def test_the_table_of_readers_has_its_room_before_it_is_mapped(tmp_path: Path) -> None:
    Store.init(tmp_path).close()
    (tmp_path / "lock.mdb").unlink()
    Store.open(tmp_path, read_only=True).close()
    status = (tmp_path / "lock.mdb").stat()
    assert status.st_size == _LOCK_BYTES
    assert status.st_blocks * 512 >= _LOCK_BYTES


def test_a_store_that_could_not_be_opened_can_be_opened_by_the_same_process_later(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        store.put("value", b"\x01")
    good = (tmp_path / "data.mdb").read_bytes()
    (tmp_path / "data.mdb").write_bytes(good[:8192] + bytes(len(good) - 8192))
    with pytest.raises(StoreError):
        Store.open(tmp_path)
    (tmp_path / "data.mdb").write_bytes(good)
    Store.open(tmp_path).close()


#: A transaction writes its pages, and last the meta page. When that fails, LMDB gives the environment up.
_PROGRAM = """
import sys
from redun.core.errors import StoreDamaged, StoreError
from redun.store import Store
from tests.store.powercut.recording import set_fault

def put(store, payload):
    try:
        store.put("value", payload)
        return ""
    except StoreDamaged as error:
        sys.exit(f"called damaged: {error}")
    except StoreError as error:
        return f"{type(error).__name__} {'again' in error.message}"

for number in range(1, 9):
    path = f"{sys.argv[1]}/{number}"
    with Store.init(path) as store:
        first = store.put("value", b"\x01")
        set_fault(f"space:{number}:5:once")
        print(put(store, b"\x02"), put(store, b"\x02"), sep="|")
        set_fault("")
    with Store.open(path) as store:
        assert store.get(first) == ("value", b"\x01")
        assert put(store, b"\x02") == ""
"""


def test_a_store_whose_last_write_failed_says_that_it_wants_to_be_opened_again(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, tmp_path / "root")
    words = [sys.executable, "-c", _PROGRAM, str(recorder.root)]
    done = subprocess.run(words, env=recorder.environment(), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = {tuple(line.split("|")) for line in done.stdout.splitlines()}
    assert told == {("", ""), ("StoreFailing False", ""), ("StoreFailing False", "StoreFailing True")}
