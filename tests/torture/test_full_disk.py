"""A full or broken disk at every single call, and a small disk with every number of free pages."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.e2e.test_full_disk import FAULTS as FAULTS_OF_RUNS
from tests.e2e.test_full_disk import check_calls, check_small_disk
from tests.store.test_full_disk import FAULTS, check_faults


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_every_call_to_the_disk(fault: str, tmp_path: Path) -> None:
    check_faults(tmp_path, fault, first=1, step=1)


@pytest.mark.parametrize("fault", FAULTS_OF_RUNS)
def test_a_run_with_a_fault_at_every_call_to_the_disk(fault: str, tmp_path: Path) -> None:
    check_calls(tmp_path, itertools.count(1), fault)


@pytest.mark.parametrize("first", range(0, 240, 40))
def test_a_run_on_a_small_disk_with_every_number_of_free_pages(first: int, tmp_path: Path) -> None:
    check_small_disk(tmp_path, [*range(first, first + 40, 4), *range(first + 240, 1800, 240), 6000])
