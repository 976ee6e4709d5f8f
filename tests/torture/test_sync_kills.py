"""kill -9 of either side of a push and of a pull, before and after every call into the system that may matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.sync_kills import Side, Stores, Way, calls_of


@pytest.mark.parametrize("way", ["push", "pull"])
@pytest.mark.parametrize("side", ["asks", "serves"])
def test_a_transfer_that_is_killed_leaves_both_whole(tmp_path: Path, way: Way, side: Side) -> None:
    stores = Stores(tmp_path)
    calls = calls_of(stores, way, side)
    step = max(calls // 60, 1)
    trials = [stores.check(way, side, at) for at in range(1, calls, step)]
    assert any(trial.killed for trial in trials)
    assert len({trial.kept for trial in trials}) > 1  # in the middle, too
