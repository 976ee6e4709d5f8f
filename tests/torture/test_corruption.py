"""Every byte of a small store flipped, one at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.flips import make
from tests.store.test_corruption import blob_of, damage

#: Parts of the data file, so that several workers share the work. Each takes every so manyeth byte.
PARTS = 32


@pytest.mark.parametrize("part", range(PARTS))
def test_every_byte_of_the_data_file(part: int, tmp_path: Path) -> None:
    make(tmp_path / "s")
    (tmp_path / "s" / "synced").unlink()
    damage(tmp_path / "s", "flip", "data.mdb", part, (tmp_path / "s" / "data.mdb").stat().st_size, PARTS)


def test_every_byte_of_the_small_files(tmp_path: Path) -> None:
    make(tmp_path / "s")
    for name in ("FORMAT", "synced"):
        damage(tmp_path / "s", "flip", name, 0, (tmp_path / "s" / name).stat().st_size, 1)


def test_many_bytes_of_a_blob(tmp_path: Path) -> None:
    make(tmp_path / "s")
    name = blob_of(tmp_path / "s")
    seen = damage(tmp_path / "s", "flip", name, 0, (tmp_path / "s" / name).stat().st_size, 997)
    assert set(seen) == {"error", "right"}
