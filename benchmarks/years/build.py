"""The process that fills a store by running a workflow: `python -m benchmarks.years.build STORE JOBS`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final
from uuid import UUID

from redun import Scheduler, task
from redun.core.codec import pack
from redun.core.objects import job_id
from redun.store import Store

#: Executions that a store has, whatever its size.
RUNS: Final = 100


@task(namespace="years")
def step(number: int) -> str:
    """Returns a value of its own: with the call and the argument that is three objects a job."""
    return f"the result of step {number}"


@task(namespace="years")
def fan(start: int, stop: int) -> list[str]:
    """Calls as many steps."""
    return [step(number) for number in range(start, stop)]


def build(path: Path, jobs: int) -> dict[str, str | int]:
    """Fills a new store with that many jobs in `RUNS` executions; returns ids to ask for, and how many objects it has.

    Raises:
        RuntimeError: if an execution fails.
    """
    share = jobs // RUNS
    uuids = []
    with Store.init(path) as store:
        for run in range(RUNS):
            execution = Scheduler(store).execute(fan(run * share, (run + 1) * share))
            if execution.error is not None:
                raise RuntimeError(f"execution {run} failed: {execution.error}")
            uuids.append(UUID(execution.uuid).bytes)
        job, oldest = (job_id(store.format.hash, uuid, share // 2).hex() for uuid in (uuids[RUNS // 2], uuids[0]))
        value = store.put("value", pack(f"the result of step {jobs // 2}"))
        return {
            "execution": uuids[RUNS // 2].hex(),
            "job": job,
            "oldest_job": oldest,
            "value": value.hex(),
            "objects": sum(1 for _ in store.objects()),
        }


if __name__ == "__main__":
    print(json.dumps(build(Path(sys.argv[1]), int(sys.argv[2]))))
