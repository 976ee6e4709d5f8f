"""Readers that last are found and named; those of dead processes are cleared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from redun.core.codec import pack
from redun.store import Store
from redun.store.machine import host_name
from redun.store.readers import Reader, parse_readers

#: Reads until it is killed: inside a transaction, which is where no function of ours ever waits.
_READS_FOR_EVER = """
import signal, sys
from redun.store import Store

def read_for_ever(transaction):
    print("reading", flush=True)
    signal.pause()

with Store.open(sys.argv[1], read_only=True) as store:
    store._backend.read(read_for_ever)
"""


@contextmanager
def _leak(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", _READS_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    yield process
    process.kill()
    process.communicate()


def _write(store: Store, number: int) -> None:
    store.put("value", pack(["written", number, "x" * 5000]))


def test_a_store_that_nobody_reads_has_no_readers(store: Store) -> None:
    _write(store, 0)
    assert store.readers() == []


def test_a_reader_that_never_ends_is_named_with_how_far_it_is_behind(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store, _leak(tmp_path) as leak:
        [fresh] = store.readers()
        assert (fresh.pid, fresh.behind, fresh.host, fresh.state) == (leak.pid, 0, host_name(), "running")
        for number in range(7):
            _write(store, number)
        [reader] = store.readers()
        assert (reader.pid, reader.behind, reader.transaction) == (leak.pid, 7, fresh.transaction)
        assert reader.command[0] == sys.executable
        assert reader.command[-1] == str(tmp_path)
        assert reader.started is not None
        with Store.open(tmp_path, read_only=True) as other:
            assert other.readers() == [reader]


def test_a_reader_whose_process_was_stopped_is_told_apart(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store, _leak(tmp_path) as leak:
        leak.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, leak.pid, os.WSTOPPED)
        [reader] = store.readers()
        assert (reader.pid, reader.state) == (leak.pid, "stopped")


def test_what_a_killed_reader_leaves_is_cleared_by_the_next_open_that_writes(tmp_path: Path) -> None:
    Store.init(tmp_path).close()
    keeper = subprocess.Popen(  # keeps lock.mdb in use: whoever is alone makes it anew
        [sys.executable, "-c", _KEEPS_OPEN, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == "open\n"
    with _leak(tmp_path) as leak:
        leak.kill()
        leak.wait()
        with Store.open(tmp_path, read_only=True) as store:
            assert [(reader.pid, reader.state) for reader in store.readers()] == [(leak.pid, "dead")]
        with Store.open(tmp_path) as store:
            assert store.readers() == []
    assert keeper.communicate("")[0] == ""


_KEEPS_OPEN = """
import sys
from redun.store import Store

with Store.open(sys.argv[1], read_only=True):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_data_file_stops_growing_when_its_leaked_reader_is_gone(tmp_path: Path) -> None:
    def rewrite(store: Store) -> int:
        for number in range(60):
            store._backend.write(lambda txn, at=number: txn.put("meta", b"test", b"%d" % at * 100_000))  # type: ignore[misc]
        return (tmp_path / "data.mdb").stat().st_size

    with Store.init(tmp_path) as store:
        rewrite(store)
        settled = rewrite(store)
        assert rewrite(store) == settled
        with _leak(tmp_path):
            leaking = rewrite(store)
            assert leaking > settled + 5 * 2**20
        with Store.open(tmp_path) as _second:
            pass
    with Store.open(tmp_path) as store:
        assert rewrite(store) == leaking


def test_slots_that_are_not_in_use_and_lines_that_are_none_are_left_out() -> None:
    table = "    pid     thread     txnid\n  1 7f0a 12\n  2 7f0b -\n 3 7f0c 10\n\n"
    found = parse_readers(table, newest=15)
    assert [(reader.pid, reader.thread, reader.transaction, reader.behind) for reader in found] == [
        (3, 0x7F0C, 10, 5),
        (1, 0x7F0A, 12, 3),
    ]
    assert parse_readers("(no active readers)\n", newest=15) == []


def test_a_process_that_does_not_exist_is_dead() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    [reader] = parse_readers(f"{ended.pid} 0 1", newest=1)
    assert reader == Reader(ended.pid, host_name(), 0, 1, 0, "dead", (), None)


@pytest.mark.parametrize("name", ["with space", "paren) T 1"])
def test_the_name_of_a_program_may_hold_anything(name: str, tmp_path: Path) -> None:
    program = tmp_path / name
    os.symlink("/bin/cat", program)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x")
        assert process.stdout.read(1) == b"x"  # it has begun: before, the system may be loading it from the disk
        [reader] = parse_readers(f"{process.pid} 0 1", newest=1)
    assert reader.state == "running"


_DIES_READING = """
import os, sys
from redun.store import Store

depth = 150

def read(transaction):
    global depth
    depth -= 1
    if not depth:
        os._exit(0)
    store._backend.read(read)

store = Store.open(sys.argv[1], read_only=True)
store._backend.read(read)
"""


def test_readers_that_died_by_the_hundred_keep_nobody_from_reading(tmp_path: Path):
    with Store.init(tmp_path / "store") as store:
        digest = store.put("blob", b"x")
        for _ in range(4):  # 600 where there is room for 510
            done = subprocess.run(
                [sys.executable, "-c", _DIES_READING, str(tmp_path / "store")], capture_output=True, check=False
            )
            assert (done.returncode, done.stderr) == (0, b"")
        assert store.get(digest) == ("blob", b"x")
