"""kill -9 of either side of a push and of a pull. `tests/torture` has many more moments."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.sync_kills import Side, Stores, Way, calls_of


@pytest.mark.parametrize(("way", "side"), [("push", "serves"), ("pull", "asks")])
def test_a_transfer_whose_taking_side_is_killed_leaves_both_whole(tmp_path: Path, way: Way, side: Side) -> None:
    stores = Stores(tmp_path)
    calls = calls_of(stores, way, side)
    killed = [stores.check(way, side, calls * part // 10) for part in (5, 9)]
    assert any(trial.killed for trial in killed)
