"""kill -9 at random moments of a busy run. `tests/torture` has a hundred and more of them."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.kills import kill_again_and_again


def test_runs_that_are_killed_lose_nothing_that_was_recorded(tmp_path: Path) -> None:
    begun, kept = kill_again_and_again(tmp_path, seed=1, kills=8)
    assert 0 < kept <= begun
