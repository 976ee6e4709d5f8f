"""Many flipped bytes of a small store, each repaired."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.flips import make
from tests.store.test_repair_flips import repaired

#: Parts of the data file, so that several workers share the work; of each byte in this step one is flipped.
PARTS = 16
STEP = 5


@pytest.mark.parametrize("part", range(PARTS))
def test_many_bytes_of_the_data_file(part: int, tmp_path: Path) -> None:
    make(tmp_path / "s")
    size = (tmp_path / "s" / "data.mdb").stat().st_size
    seen = repaired(tmp_path / "s", part * STEP, size, PARTS * STEP)
    assert "remains" not in seen
