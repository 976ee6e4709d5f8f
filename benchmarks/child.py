"""The process in which executions are timed: `python -m benchmarks.child JSON`, used by `measure.execute`."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from redun.core.objects import Status
from redun.core.tasks import registry
from redun.executor.loader import load_workflow
from redun.executor.scheduler import Execution, Scheduler
from redun.store import Store


def peak() -> int:
    """Returns the most memory that this process has held so far, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def run(wish: dict[str, Any]) -> dict[str, Any]:
    """Runs what is wished for and returns what there is to tell.

    Raises:
        RuntimeError: if an execution did not come to its end.
    """
    workflow = load_workflow(wish["flow"])
    fullname = next(t.fullname for t in workflow.tasks if t.name == wish["task"])
    task = registry.find(fullname)
    samples: list[tuple[float, float]] = []
    execution: Execution | None = None
    with Store.init(wish["store"]) as store:
        scheduler = Scheduler(store, threads=wish["threads"], replay=wish["replay"])
        before = peak()
        for _ in range(wish["runs"]):
            cpu, wall = time.process_time(), time.perf_counter()
            execution = scheduler.execute(task(*wish["args"]), argv=["benchmark"])
            samples.append((time.perf_counter() - wall, time.process_time() - cpu))
            if execution.status is not Status.DONE:
                raise RuntimeError(f"{fullname} did not finish: {execution.error!r}")
        after = peak()
    assert execution is not None
    bodies = {count.fullname: count.done for count in execution.counts}
    value = execution.value if isinstance(execution.value, int) else None
    return {"samples": samples, "value": value, "bodies": bodies, "peak": after - before}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
