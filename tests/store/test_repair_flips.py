"""Any flipped byte of a data file is repaired: the store is sound again, no answer is wrong, and what is gone was told.

`tests/torture` flips many more; here it is a sample.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.store.flips import make

ROOT = Path(__file__).parents[2]
#: What the flags of a page of rows say, and those of a page of a row that is too large for these.
LEAF, OVERFLOW = 2, 4


def repaired(store: Path, start: int, stop: int, step: int) -> dict[str, int]:
    """Flips bytes and repairs, in a process of its own; returns how often which outcome was seen."""
    words = [sys.executable, "-m", "tests.store.repair_flips", str(store), str(start), str(stop), str(step)]
    done = subprocess.run(words, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, f"killed by {done.returncode}"
    *wrong, outcomes = done.stdout.splitlines()
    assert wrong == []
    found: dict[str, int] = json.loads(outcomes)
    return found


def test_a_flipped_byte_is_repaired(tmp_path: Path) -> None:
    make(tmp_path / "s")
    size = (tmp_path / "s" / "data.mdb").stat().st_size
    seen = repaired(tmp_path / "s", 13, size, 1499)
    for start, step in ((0, 7), (4096, 7), (size - 4096, 61)):
        for outcome, times in repaired(tmp_path / "s", start, start + (160 if step == 7 else 4096), step).items():
            seen[outcome] = seen.get(outcome, 0) + times
    assert seen["mended"] > 10
    assert seen["right"] > 1000
    assert "remains" not in seen


def test_what_lies_on_a_page_of_its_own_is_had_back_where_the_header_of_that_page_is_damaged(tmp_path: Path) -> None:
    make(tmp_path / "s")
    data = (tmp_path / "s" / "data.mdb").read_bytes()
    pages = [at for at in range(0, len(data), 4096) if struct.unpack_from("=QHH", data, at)[2] == OVERFLOW]
    assert pages
    for at in pages:
        assert "gone" not in repaired(tmp_path / "s", at, at + 16, 1)


def test_a_row_whose_key_is_said_to_be_longer_than_any_is_damage(tmp_path: Path) -> None:
    make(tmp_path / "s")
    data = (tmp_path / "s" / "data.mdb").read_bytes()
    longer = [place for page in range(2, len(data) // 4096) for place in _lengths(data, page * 4096)]
    # Where the bit that is flipped makes it longer than any key, and it still ends before its page does.
    odd = [at for at, behind in longer if behind > 256 << at * 7 % 8 > 256]
    seen = [repaired(tmp_path / "s", at, at + 1, 1) for at in odd[:8]]  # on pages of former times it is no damage
    assert any("mended" in outcomes for outcomes in seen)


def _lengths(data: bytes, page: int) -> Iterator[tuple[int, int]]:
    """Where the upper bytes of the lengths of ids are on a leaf, and how many bytes there are behind each."""
    _, _, flags, lower, _ = struct.unpack_from("=QHHHH", data, page)
    for (at,) in struct.iter_unpack("=H", data[page + 16 : page + lower] if flags == LEAF else b""):
        if struct.unpack_from("=H", data, page + at + 6)[0] == 16:
            yield page + at + 7, 4096 - at - 8 - 16
