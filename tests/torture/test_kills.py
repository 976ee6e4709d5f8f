"""kill -9 at 120 random moments of busy runs, twelve runs to a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.kills import kill_again_and_again


@pytest.mark.parametrize("seed", range(100, 110))
def test_runs_that_are_killed_lose_nothing_that_was_recorded(seed: int, tmp_path: Path) -> None:
    begun, kept = kill_again_and_again(tmp_path, seed, kills=12)
    assert begun > 500
    assert kept > begun * 0.4  # the rest was running, or waited for its batch
