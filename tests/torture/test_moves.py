"""`redun convert`, `backup`, `restore` and `gc --compact`, killed at many moments each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.test_moves import KILLS, kill_all, original

__all__ = ["original"]  # the fixture


@pytest.mark.parametrize("what", list(KILLS))
def test_who_is_killed_leaves_all_or_nothing(what: str, original: Path, tmp_path: Path) -> None:
    assert kill_all(what, original, tmp_path, kills=60, seed=8) >= 50
