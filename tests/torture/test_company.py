"""Two to eight processes on one store that grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.company import keep_company


@pytest.mark.parametrize(("runs", "writers", "readers"), [(2, 0, 0), (1, 2, 1), (3, 1, 1), (2, 3, 3), (4, 2, 2)])
def test_runs_writers_and_readers_share_a_store_that_grows(
    runs: int, writers: int, readers: int, tmp_path: Path
) -> None:
    keep_company(tmp_path, runs=runs, writers=writers, readers=readers, megabytes=120)
