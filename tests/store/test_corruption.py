"""Damage on disk: a wrong answer never, an error of ours always, and the process lives. All of it is seen by fsck.

`tests/torture` flips every byte; here it is a sample.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from redun.core.errors import RedunError
from redun.store import Store, check
from tests.store.flips import Examiner, make

ROOT = Path(__file__).parents[2]
PAGE = 4096


def damage(store: Path, how: str, name: str, start: int, stop: int, step: int) -> dict[str, int]:
    """Damages a store again and again in a process of its own; returns how often which outcome was seen."""
    words = [sys.executable, "-m", "tests.store.flips", str(store), how, name, str(start), str(stop), str(step)]
    done = subprocess.run(words, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, f"killed by {done.returncode}"
    *wrong, outcomes = done.stdout.splitlines()
    assert wrong == []
    found: dict[str, int] = json.loads(outcomes)
    return found


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small store with something of everything."""
    make(tmp_path / "s")
    return tmp_path / "s"


def blob_of(store: Path) -> str:
    """Returns the only file of a blob, relative to the store."""
    [path] = [path for path in (store / "blobs").rglob("*") if path.is_file()]
    return str(path.relative_to(store))


def test_flipped_bytes_of_the_data_file_never_give_a_wrong_answer(small: Path) -> None:
    (small / "synced").unlink()  # as after copying the file: then it is verified before it is mapped
    size = (small / "data.mdb").stat().st_size
    seen = damage(small, "flip", "data.mdb", 11, size, 173)
    # The pages in front say how the file is to be read; what lies in the last ones was written last, and is in use.
    for start, stop, step in ((0, 200, 5), (PAGE, PAGE + 200, 5), (size - 3 * PAGE, size, 29)):
        for outcome, times in damage(small, "flip", "data.mdb", start, stop, step).items():
            seen[outcome] = seen.get(outcome, 0) + times
    assert seen["refused"] > 10
    assert seen["error"] > 10
    assert seen["right"] > 1000


def test_flipped_bytes_of_objects_are_noticed_where_the_data_file_is_trusted(small: Path) -> None:
    data = (small / "data.mdb").read_bytes()
    places = [at for at in range(len(data)) if data.startswith(b"x" * 400, at) and data[at - 1 : at] != b"x"]
    assert places
    errors = sum(damage(small, "flip", "data.mdb", at, at + 400, 80).get("error", 0) for at in places)
    assert errors > 0


def test_flipped_bytes_of_compressed_objects_are_noticed(tmp_path: Path) -> None:
    pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")
    make(tmp_path / "s", compression="zstd")
    data = (tmp_path / "s" / "data.mdb").read_bytes()
    places = [at for at in range(len(data)) if data.startswith(b"\x28\xb5\x2f\xfd", at)]
    assert len(places) >= 4
    seen = [damage(tmp_path / "s", "flip", "data.mdb", at - 6, at + 16, 3) for at in places]
    assert sum(outcomes.get("error", 0) for outcomes in seen) > 20


def test_flipped_bytes_of_a_blob_are_noticed(small: Path) -> None:
    name = blob_of(small)
    size = (small / name).stat().st_size
    seen = damage(small, "flip", name, 0, size, size // 20)
    assert seen["error"] >= 20  # the blob itself, each time; all other answers are right
    assert set(seen) == {"error", "right"}


def test_flipped_bytes_of_the_record_of_soundness_cost_only_time(small: Path) -> None:
    size = (small / "synced").stat().st_size
    assert set(damage(small, "flip", "synced", 0, size, 3)) == {"right"}


def test_a_flipped_byte_of_the_format_file_is_refused_unless_it_says_the_same(small: Path) -> None:
    size = (small / "FORMAT").stat().st_size
    seen = damage(small, "flip", "FORMAT", 0, size, 1)
    assert set(seen) <= {"refused", "right"}  # right: a digit of the id in upper case, another kind of line break
    assert seen["refused"] > size * 0.9


@pytest.mark.parametrize("trusted", [True, False])
def test_a_data_file_cut_short_anywhere_is_an_error(small: Path, trusted: bool) -> None:
    if not trusted:
        (small / "synced").unlink()
    size = (small / "data.mdb").stat().st_size
    seen = damage(small, "cut", "data.mdb", 0, size, PAGE)
    assert set(seen) <= {"refused", "right"}  # right: what was cut off was in no use
    assert seen["refused"] > 20
    assert set(damage(small, "cut", "data.mdb", PAGE // 2, size, PAGE)) <= {"refused", "right"}


def test_a_blob_cut_short_is_an_error(small: Path) -> None:
    name = blob_of(small)
    size = (small / name).stat().st_size
    seen = damage(small, "cut", name, 0, size, size // 10)
    assert seen["error"] >= 10
    assert set(seen) == {"error", "right"}


def test_files_that_are_missing_or_of_another_store_are_noticed(small: Path, tmp_path: Path) -> None:
    make(tmp_path / "other")
    for name in ("data.mdb", "FORMAT", blob_of(small)):
        kept = (small / name).read_bytes()
        (small / name).unlink()
        _is_seen(small)
        if name != blob_of(tmp_path / "other"):  # equal bytes have equal names in both
            shutil.copy(tmp_path / "other" / name, small / name)
            _is_seen(small)
            (small / name).unlink()
        (small / name).write_bytes(kept)
    assert list(check(small)) == []


def _is_seen(store: Path) -> None:
    try:
        assert list(check(store)) != []
    except RedunError:
        with pytest.raises(RedunError):
            Store.open(store)


def test_what_can_be_done_without_may_be_missing(small: Path) -> None:
    for name in ("synced", "lock.mdb", "session.lock"):
        os.unlink(small / name)
    shutil.rmtree(small / "collisions")
    examiner = Examiner(small)
    examiner.examine("files that are made anew are gone")
    assert (examiner.wrong, set(examiner.outcomes)) == ([], {"right"})
