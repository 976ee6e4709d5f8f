from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.core.codec import pack
from redun.core.errors import StoreDamaged
from redun.store import Store
from redun.store.lmdb_backend import LmdbBackend
from redun.store.soundness import _is_trusted, check, last_transaction, record


def _filled(path: Path) -> Path:
    with Store.init(path) as store:
        store.put_many([("value", pack("x" * i)) for i in range(300)])
    return path


def _other_boot(path: Path) -> None:
    boot, inode, transaction = (path / "synced").read_text().split()
    (path / "synced").write_text(f"not-{boot} {inode} {transaction}")


def _damage(path: Path) -> None:
    """Breaks the page header of a page in the middle of the data file."""
    with open(path / "data.mdb", "r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 16)


def test_the_last_transaction_is_read_from_the_file(tmp_path: Path) -> None:
    backend = LmdbBackend(tmp_path)
    start = last_transaction(tmp_path)
    for number in range(1, 4):
        backend.write(lambda txn: txn.put("meta", b"k", b"v"))
        assert last_transaction(tmp_path) == start + number
        assert backend._shared.env.info()["last_txnid"] == start + number
    backend.close()


@pytest.mark.parametrize("content", [None, b"", b"short", bytes(30)])
def test_what_is_no_data_file_has_no_transaction(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "data.mdb").write_bytes(content)
    assert last_transaction(tmp_path) == -1


def test_a_store_that_was_closed_is_trusted_in_this_boot_and_the_next(tmp_path: Path) -> None:
    _filled(tmp_path)
    assert _is_trusted(tmp_path)
    _other_boot(tmp_path)
    assert _is_trusted(tmp_path)


def test_a_store_that_was_not_closed_is_trusted_in_this_boot_only(tmp_path: Path) -> None:
    _filled(tmp_path)
    before = (tmp_path / "synced").read_text()
    with Store.open(tmp_path) as store:
        store.put("value", pack("more"))
    (tmp_path / "synced").write_text(before)
    assert _is_trusted(tmp_path)
    _other_boot(tmp_path)
    assert not _is_trusted(tmp_path)


_CHANGES: dict[str, Callable[[Path], object]] = {
    "copied": lambda path: (shutil.copy(path / "data.mdb", path / "x"), (path / "x").replace(path / "data.mdb")),
    "without a record": lambda path: (path / "synced").unlink(),
    "with a torn record": lambda path: (path / "synced").write_text("abc"),
    "after a power cut": lambda path: (path / "synced").write_text(f"boot {(path / 'data.mdb').stat().st_ino} 1"),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_another_file_is_verified_once_and_then_trusted(tmp_path: Path, change: str) -> None:
    _filled(tmp_path)
    _CHANGES[change](tmp_path)
    assert not _is_trusted(tmp_path)
    Store.open(tmp_path, read_only=True).close()
    assert not _is_trusted(tmp_path)
    with Store.open(tmp_path) as store:
        assert len(store.resolve("", 999)) == 300
        assert _is_trusted(tmp_path)


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("change", _CHANGES)
def test_a_damaged_file_is_refused_before_it_is_mapped(tmp_path: Path, change: str, read_only: bool) -> None:
    _filled(tmp_path)
    _damage(tmp_path)
    _CHANGES[change](tmp_path)
    with pytest.raises(StoreDamaged, match=r"damaged.*fsck"):
        Store.open(tmp_path, read_only=read_only)


def test_a_file_that_is_gone_is_damage(tmp_path: Path) -> None:
    _filled(tmp_path)
    (tmp_path / "data.mdb").unlink()
    with pytest.raises(StoreDamaged):
        Store.open(tmp_path)


def test_a_file_cut_short_is_damage(tmp_path: Path) -> None:
    _filled(tmp_path)
    (tmp_path / "synced").unlink()
    data = (tmp_path / "data.mdb").read_bytes()
    for size in (0, 100, 4096, 3 * 4096 + 5):
        (tmp_path / "data.mdb").write_bytes(data[:size])
        with pytest.raises(StoreDamaged):
            check(tmp_path)


def test_a_record_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    _filled(tmp_path)
    record(tmp_path / "missing", 5)
    assert _is_trusted(tmp_path)


def test_a_record_is_whole_at_every_moment(tmp_path: Path) -> None:
    """Else an open beside another would verify a file that is being written, and call it damaged."""
    _filled(tmp_path / "s")
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            record(tmp_path / "s", last_transaction(tmp_path / "s"))

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    trusted = [_is_trusted(tmp_path / "s") for _ in range(1000)]
    done.set()
    for writer in writers:
        writer.join()
    assert all(trusted)
    assert list((tmp_path / "s" / "incoming").iterdir()) == []
