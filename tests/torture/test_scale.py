"""A hundred thousand jobs in every shape, on disk, run and answered again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from redun.core.objects import Status
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.test_scheduler import chain, countdown, fan, total

JOBS = 100_000


@pytest.mark.parametrize("replay", ["whole", "step"])
@pytest.mark.parametrize("shape", [fan, chain, countdown, total], ids=lambda made: made.name)
def test_100_000_jobs(shape: Any, replay: Any, tmp_path: Path):
    with Store.init(tmp_path / "s") as store:
        first = Scheduler(store, replay=replay).execute(shape(JOBS))
        again = Scheduler(store, replay=replay).execute(shape(JOBS))
    for execution in (first, again):
        assert execution.status is Status.DONE, execution.error
        assert sum(count.total for count in execution.counts) == JOBS + 1
    assert first.value == again.value
    assert sum(count.done for count in again.counts) == 0
