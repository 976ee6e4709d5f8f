"""Power cuts, sampled; `tests/torture` has hundreds. `powercut/replay.py` says what may be lost."""

from __future__ import annotations

import filecmp
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.core.errors import StoreDamaged
from redun.store import Store
from redun.store.store import Durability
from tests.store.powercut.promises import STORE, Recording, check_works, cut
from tests.store.powercut.recorded import output, record_command, record_library, run_command
from tests.store.powercut.recording import Note, Recorder
from tests.store.powercut.replay import ORDERS, Disk, Order

_CUTS = 20


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Durability], Recording]:
    """Recordings of the library by durability, each made once."""
    made: dict[Durability, Recording] = {}

    def get(level: Durability) -> Recording:
        if level not in made:
            made[level] = record_library(tmp_path_factory.mktemp(level), level)
        return made[level]

    return get


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("level", ["normal", "durable"])
def test_a_power_cut_leaves_the_store_as_after_a_transaction_that_it_promised(
    level: Durability, order: Order, recordings: Callable[[Durability], Recording], tmp_path: Path
) -> None:
    for seed in range(_CUTS):
        cut(recordings(level), order, seed, tmp_path)


def test_a_power_cut_of_the_command_leaves_a_store_that_the_command_uses(tmp_path: Path) -> None:
    recording = record_command(tmp_path)
    for seed in range(_CUTS):
        cut(recording, "torn", seed, tmp_path, check=check_command if seed % 5 == 0 else None)


def check_command(place: Path) -> None:
    """Checks that the command runs in the project as if nothing had happened."""
    done = run_command(place / "project", "one")
    assert (done.returncode, done.stdout) == (0, output("one")), done.stderr


# -- that the tests would notice --------------------------------------------------------------------------------------


def test_what_the_recorder_notes_adds_up_to_what_lies_on_the_disk(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, tmp_path / "root")
    recording = record_library(tmp_path, "normal")
    whole = tmp_path / "whole"
    whole.mkdir()
    Disk(recording.notes).write_out(whole, "in order", "strict", random.Random(0))
    same = filecmp.dircmp(recorder.root / STORE, whole / STORE)
    assert same.left_only == same.right_only == []
    assert same.diff_files in ([], ["lock.mdb"])
    assert recording.transactions > 50


_LOST: dict[str, Callable[[Note, int], bool]] = {
    "of directories": lambda note, data: note.flag,
    "of the data file": lambda note, data: note.inode == data,
    "of other files": lambda note, data: note.inode != data and not note.flag,
}


@pytest.mark.parametrize("which", _LOST)
def test_a_store_that_left_out_a_sync_would_be_noticed(
    which: str, recordings: Callable[[Durability], Recording], tmp_path: Path
) -> None:
    notes = recordings("normal").notes
    data = Disk(notes).inode(f"{STORE}/data.mdb")
    kept = [note for note in notes if note.what != "S" or not _LOST[which](note, data)]
    assert len(kept) < len(notes)
    assert _noticed(Recording(kept, tmp_path, durable=False), tmp_path)


def test_a_durable_store_that_is_not_would_be_noticed(
    recordings: Callable[[Durability], Recording], tmp_path: Path
) -> None:
    assert _noticed(Recording(recordings("normal").notes, tmp_path, durable=True), tmp_path)


def _noticed(recording: Recording, folder: Path) -> bool:
    for seed in range(100):
        try:
            cut(recording, "reordered", seed, folder)
        except Exception:  # noqa: BLE001  whatever the check meets first
            return True
    return False


# -- faults that were found so ----------------------------------------------------------------------------------------


def test_a_store_that_was_cut_off_while_it_was_made_is_made_again(tmp_path: Path) -> None:
    Store.init(tmp_path / "whole").close()
    data = (tmp_path / "whole" / "data.mdb").read_bytes()
    for number, left in enumerate([b"", data[:100], data[:4096], bytes(4096) + data[4096:8192], data[:8192]]):
        store = tmp_path / str(number)
        store.mkdir()
        (store / "data.mdb").write_bytes(left)
        Store.init(store).close()
        check_works(store)


def test_a_damaged_data_file_that_had_contents_is_not_taken_for_half_a_store(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        store.put("value", b"\x01")
    os.unlink(tmp_path / "FORMAT")
    os.unlink(tmp_path / "synced")
    os.truncate(tmp_path / "data.mdb", 3 * 4096)
    with pytest.raises(StoreDamaged):
        Store.init(tmp_path)
    assert (tmp_path / "data.mdb").stat().st_size == 3 * 4096
