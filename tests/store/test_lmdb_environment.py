from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import lmdb
import pytest

from redun.core import limits
from redun.core.errors import StoreDamaged, StoreError, StoreFull, StoreReadOnly
from redun.store import Store
from redun.store.lmdb_backend import LmdbBackend
from redun.store.lmdb_environment import Environment, store_error
from redun.store.ports import TABLES, ReadTransaction, WriteTransaction

KIB = limits.KIB
SMALL = 64 * KIB


def _shared(backend: LmdbBackend) -> Environment:
    return backend._shared


def _run(script: str, *arguments: object) -> str:
    """Runs a script in a process of its own; returns what it prints."""
    words = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def test_the_engine_is_the_pinned_one_with_the_flags_that_were_measured(tmp_path: Path) -> None:
    backend = LmdbBackend(tmp_path)
    env = _shared(backend).env
    assert env.lib_version()[:2] == (0, 9)
    flags = env.flags()
    assert (flags["metasync"], flags["sync"], flags["writemap"], flags["meminit"]) == (False, True, False, True)
    backend.close()


def test_the_map_doubles_until_what_is_written_fits_and_the_function_is_called_again(tmp_path: Path) -> None:
    backend = LmdbBackend(tmp_path, map_bytes=SMALL)
    before, calls = _shared(backend).map_size(), []

    def write(txn: WriteTransaction) -> None:
        calls.append(1)
        txn.put_many("objects", [(b"%04d" % i, bytes(KIB)) for i in range(1000)])

    backend.write(write)
    assert len(calls) > 2
    assert _shared(backend).map_size() == before << len(calls) - 1
    assert len(backend.read(lambda txn: txn.scan_keys("objects", b"", 9999))) == 1000
    backend.close()


def test_a_map_that_may_not_grow_is_a_full_store_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAP_BYTES_MAX", 4 * SMALL)
    backend = LmdbBackend(tmp_path, map_bytes=SMALL)
    with pytest.raises(StoreFull, match="as large as it may become"):
        backend.write(lambda txn: txn.put_many("objects", [(b"%04d" % i, bytes(KIB)) for i in range(1000)]))
    assert backend.read(lambda txn: txn.scan_keys("objects", b"", 1)) == []
    backend.write(lambda txn: txn.put("objects", b"k", b"v"))
    backend.close()


def test_growth_waits_for_readers_of_other_threads(tmp_path: Path) -> None:
    backend = LmdbBackend(tmp_path, map_bytes=SMALL)
    backend.write(lambda txn: txn.put("meta", b"k", b"v"))
    inside, go_on = threading.Event(), threading.Event()
    seen: list[bytes | None] = []

    def read(txn: ReadTransaction) -> None:
        inside.set()
        go_on.wait()
        seen.append(txn.get("meta", b"k"))

    reader = threading.Thread(target=lambda: backend.read(read))
    writer = threading.Thread(
        target=lambda: backend.write(lambda txn: txn.put_many("objects", [(b"%d" % i, bytes(KIB)) for i in range(500)]))
    )
    reader.start()
    inside.wait()
    writer.start()
    size = _shared(backend).map_size()
    go_on.set()
    reader.join()
    writer.join()
    assert seen == [b"v"]
    assert _shared(backend).map_size() > size
    backend.close()


_GROW = """
import sys
from pathlib import Path
from redun.store.lmdb_backend import LmdbBackend
backend = LmdbBackend(Path(sys.argv[1]), map_bytes=65536)
backend.write(lambda txn: txn.put_many("objects", [(b"%04d" % i, bytes(1024)) for i in range(1000)]))
backend.close()
"""


@pytest.mark.parametrize("first", ["read", "write"])
def test_growth_by_another_process_is_followed(tmp_path: Path, first: str) -> None:
    backend = LmdbBackend(tmp_path, map_bytes=SMALL)
    before = _shared(backend).map_size()
    _run(_GROW, tmp_path)
    if first == "read":
        assert backend.read(lambda txn: txn.get("objects", b"0999")) == bytes(KIB)
    else:
        backend.write(lambda txn: txn.put("meta", b"k", b"v"))
    assert _shared(backend).map_size() > before
    backend.close()


def test_a_large_file_is_opened_with_room_to_grow(tmp_path: Path) -> None:
    _run(_GROW, tmp_path)
    backend = LmdbBackend(tmp_path, map_bytes=SMALL)
    assert _shared(backend).map_size() >= 2 * (tmp_path / "data.mdb").stat().st_size
    backend.close()


def test_a_data_file_is_opened_once_however_it_is_reached(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    first, second = LmdbBackend(tmp_path / "a"), LmdbBackend(tmp_path / "b")
    assert _shared(first) is _shared(second)
    first.close()
    second.write(lambda txn: txn.put("meta", b"k", b"v"))
    second.close()
    with pytest.raises(StoreError, match="closed"):
        second.read(lambda txn: txn.get("meta", b"k"))
    third = LmdbBackend(tmp_path / "a")
    assert _shared(third) is not _shared(first)
    assert third.read(lambda txn: txn.get("meta", b"k")) == b"v"
    third.close()


def test_who_has_closed_is_told_so_while_others_go_on(tmp_path: Path) -> None:
    first, second = LmdbBackend(tmp_path), LmdbBackend(tmp_path)
    first.close()
    first.close()
    for attempt in (
        lambda: first.read(lambda txn: txn.get("meta", b"k")),
        lambda: first.write(lambda txn: txn.put("meta", b"k", b"v")),
        first.sync,
    ):
        with pytest.raises(StoreError, match="was closed"):
            attempt()
    second.write(lambda txn: txn.put("meta", b"k", b"v"))
    second.close()


def test_closing_waits_for_readers_of_other_threads(tmp_path: Path) -> None:
    backend = LmdbBackend(tmp_path)
    backend.write(lambda txn: txn.put("meta", b"k", b"v"))
    inside, go_on = threading.Event(), threading.Event()
    seen: list[bytes | None] = []

    def read(txn: ReadTransaction) -> None:
        inside.set()
        go_on.wait()
        seen.append(txn.get("meta", b"k"))

    reader = threading.Thread(target=lambda: backend.read(read))
    closer = threading.Thread(target=backend.close)
    reader.start()
    inside.wait()
    closer.start()
    closer.join(0.05)
    assert closer.is_alive()
    go_on.set()
    reader.join()
    closer.join()
    assert seen == [b"v"]


def test_what_is_open_for_reading_can_be_opened_for_writing_as_well(tmp_path: Path) -> None:
    LmdbBackend(tmp_path).close()
    reader = LmdbBackend(tmp_path, writable=False)
    writer = LmdbBackend(tmp_path)
    writer.write(lambda txn: txn.put("meta", b"k", b"v"))
    assert reader.read(lambda txn: txn.get("meta", b"k")) == b"v"
    with pytest.raises(StoreReadOnly):
        reader.write(lambda txn: txn.put("meta", b"k", b"w"))
    writer.close()
    assert reader.read(lambda txn: txn.get("meta", b"k")) == b"v"
    reader.close()


def test_a_table_that_an_older_store_lacks_is_empty_for_a_reader_and_made_by_a_writer(tmp_path: Path) -> None:
    env = lmdb.open(str(tmp_path), max_dbs=9, lib_version=0)
    env.open_db(b"meta")
    env.close()
    reader = LmdbBackend(tmp_path, writable=False)
    for table in TABLES:
        assert reader.read(lambda txn, name=table: txn.get(name, b"k")) is None  # type: ignore[misc]
        assert reader.read(lambda txn, name=table: txn.get_many(name, [b"k"])) == []  # type: ignore[misc]
        assert reader.read(lambda txn, name=table: txn.scan(name, b"", 9)) == []  # type: ignore[misc]
        assert reader.read(lambda txn, name=table: txn.present(name, [b"k"])) == []  # type: ignore[misc]
    reader.close()
    writer = LmdbBackend(tmp_path)
    for table in TABLES:
        writer.write(lambda txn, name=table: txn.put(name, b"k", b"v"))  # type: ignore[misc]
    writer.close()


def test_a_fork_is_told_to_open_its_own_store(tmp_path: Path) -> None:
    script = """
import os, sys
from redun.store import Store
from redun.core.errors import StoreError
store = Store.open(sys.argv[1])
digest = store.put("value", b"\\x01")
if os.fork() == 0:
    for attempt in (lambda: store.get(digest), lambda: store.put("value", b"\\x02"), lambda: Store.open(sys.argv[1])):
        try:
            attempt()
        except StoreError as error:
            print("fork of it" in str(error), flush=True)
    store.close()
    os._exit(0)
os.wait()
print(store.get(digest)[0], store.put("value", b"\\x02") != digest)
store.close()
"""
    Store.init(tmp_path).close()
    assert _run(script, tmp_path).split() == ["True", "True", "True", "value", "True"]


_FULL_DISK = """
import sys
from redun.core.errors import StoreFull
from redun.store import Store
with Store.init(sys.argv[1]) as store:
    first = store.put("value", b"\\x01")
    for attempt in (
        lambda: store.put_many([("value", b"%06d" % i + bytes(1000)) for i in range(9000)]),
        lambda: store.put("blob", bytes(9_000_000)),
        lambda: store.put_blob([bytes(1_000_000)] * 9, 9_000_000),
    ):
        try:
            attempt()
        except StoreFull:
            print("full")
    print(store.resolve("") == [("value", first)], store.get(first)[0])
    print(len(list((store.path / "incoming").iterdir())), len(list((store.path / "blobs").iterdir())))
"""


def test_a_full_disk_is_a_full_store_and_nothing_is_written(tmp_path: Path) -> None:
    script = f'mount -t tmpfs -o size=4m tmpfs "{tmp_path}" && exec "$@"'
    words = ["unshare", "-r", "-m", "sh", "-c", script, "sh", sys.executable, "-c", _FULL_DISK, str(tmp_path / "s")]
    if shutil.which("unshare") is None or subprocess.run([*words[:6], "sh", "true"], check=False).returncode:
        pytest.skip("no permission to mount a small disk")
    answer = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert answer.split() == ["full", "full", "full", "True", "value", "0", "0"]


def test_a_directory_without_permission_can_be_read_and_not_written() -> None:
    script = """
import os, sys
from redun.core.errors import StoreReadOnly
from redun.store import Store
Store.open(sys.argv[1], read_only=True).close()  # whatever loads late does so before this process gives up its rights
if os.getuid() == 0:
    os.setuid(65534)
try:
    Store.open(sys.argv[1])
except StoreReadOnly as error:
    print("refused")
with Store.open(sys.argv[1], read_only=True) as store:
    print(len(store.resolve("")), [live.alive for live in store.live_runs()])
"""
    # Not below `tmp_path`, which is private to this user.
    with tempfile.TemporaryDirectory() as outside:
        path = Path(outside) / "s"
        with Store.init(path) as store:
            store.put("value", b"\x01")
            store.begin_run([], {})
        Path(outside).chmod(0o755)
        everything = [path, *path.rglob("*")]
        for each in everything:
            each.chmod(0o555 if each.is_dir() else 0o444)
        answer = _run(script, path)
        for each in everything:
            each.chmod(0o755)
    assert answer.splitlines() == ["refused", "1 [False]"]


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        LmdbBackend(tmp_path, writable=False)
    assert os.listdir(tmp_path) == []


def test_errors_of_the_engine_become_ours(tmp_path: Path) -> None:
    backend = LmdbBackend(tmp_path)
    with pytest.raises(StoreError, match="size"):
        backend.write(lambda txn: txn.put("meta", b"k" * 600, b""))
    with pytest.raises(StoreError, match="size"):
        backend.read(lambda txn: txn.get("meta", b""))
    backend.close()
    assert isinstance(store_error(lmdb.DiskError("x"), tmp_path), StoreFull)
    assert isinstance(store_error(lmdb.ReadonlyError("x"), tmp_path), StoreReadOnly)


def test_a_durable_store_syncs_after_each_write(tmp_path: Path) -> None:
    for durable in (False, True):
        backend = LmdbBackend(tmp_path, durable=durable)
        for number in range(3):
            backend.write(lambda txn, n=number: txn.put("meta", b"k", b"%d" % n))  # type: ignore[misc]
        backend.sync()
        assert backend.read(lambda txn: txn.get("meta", b"k")) == b"2"
        backend.close()


@pytest.mark.parametrize("writable", [False, True])
def test_a_table_that_has_lost_its_name_is_damage_and_not_an_older_store(tmp_path: Path, writable: bool) -> None:
    LmdbBackend(tmp_path).close()
    data = (tmp_path / "data.mdb").read_bytes()
    (tmp_path / "data.mdb").write_bytes(data.replace(b"superseded", b"superredes"))
    with pytest.raises(StoreDamaged, match="lacks table superseded and has superredes"):
        LmdbBackend(tmp_path, writable=writable)


def test_a_table_of_a_newer_program_does_no_harm(tmp_path: Path) -> None:
    LmdbBackend(tmp_path).close()
    env = lmdb.open(str(tmp_path), max_dbs=99, lib_version=0)
    env.open_db(b"newer")
    env.close()
    LmdbBackend(tmp_path, writable=False).close()
    LmdbBackend(tmp_path).close()
