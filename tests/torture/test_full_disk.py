"""A fault at every single call to the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.test_full_disk import FAULTS, check_faults


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_every_call_to_the_disk(fault: str, tmp_path: Path) -> None:
    check_faults(tmp_path, fault, first=1, step=1)
