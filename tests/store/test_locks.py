from __future__ import annotations

import os
from pathlib import Path

import pytest

from redun.core.errors import InternalError
from redun.store.locks import FileRunLocks, MemoryRunLocks, RunLocks, is_held, take

UUID = b"u" * 16


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    first = take(tmp_path / "l")
    assert first is not None
    assert take(tmp_path / "l") is None
    assert is_held(tmp_path / "l")
    first.release()
    first.release()
    assert not is_held(tmp_path / "l")
    second = take(tmp_path / "l")
    assert second is not None
    second.release()


def test_shared_locks_go_together_and_keep_an_exclusive_one_out(tmp_path: Path) -> None:
    held = [take(tmp_path / "l", shared=True) for _ in range(2)]
    assert None not in held
    assert take(tmp_path / "l") is None
    for lock in held:
        assert lock is not None
        lock.release()
    alone = take(tmp_path / "l")
    assert alone is not None
    assert take(tmp_path / "l", shared=True) is None
    alone.release()


def test_a_lock_file_that_does_not_exist_is_not_held_and_is_not_made(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "l")
    assert os.listdir(tmp_path) == []


def test_a_lock_file_that_was_removed_under_its_holder_is_made_anew(tmp_path: Path) -> None:
    old = take(tmp_path / "l")
    (tmp_path / "l").unlink()
    new = take(tmp_path / "l")
    assert old is not None
    assert new is not None
    assert is_held(tmp_path / "l")
    new.release()
    assert not is_held(tmp_path / "l")
    old.release()


@pytest.fixture(params=["memory", "files"])
def run_locks(request: pytest.FixtureRequest, tmp_path: Path) -> RunLocks:
    """The locks of live runs, of each kind."""
    return MemoryRunLocks() if request.param == "memory" else FileRunLocks(tmp_path)


def test_a_run_lock_can_be_taken_once_until_it_is_dropped(run_locks: RunLocks) -> None:
    assert run_locks.take(UUID)
    assert not run_locks.take(UUID)
    assert run_locks.is_held(UUID)
    assert run_locks.known() == [UUID]
    run_locks.drop(UUID)
    assert not run_locks.is_held(UUID)
    assert run_locks.known() == []
    assert run_locks.take(UUID)
    run_locks.close()
    assert not run_locks.is_held(UUID)


def test_a_run_lock_that_is_not_held_cannot_be_dropped(run_locks: RunLocks) -> None:
    with pytest.raises(InternalError):
        run_locks.drop(UUID)


def test_other_files_among_run_locks_are_ignored(tmp_path: Path) -> None:
    for name in ("README", "x.lock", "0" * 31 + ".lock"):
        (tmp_path / name).touch()
    assert FileRunLocks(tmp_path).known() == []
