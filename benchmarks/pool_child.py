"""The process in which pools are timed: `python -m benchmarks.pool_child JSON`, used by `rows.pools`.

It counts the processor time of its workers, too: they have been waited for when the time is read.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from redun.core.objects import Status
from redun.executor.loader import load_workflow
from redun.executor.scheduler import Scheduler
from redun.store import Store

FLOW = Path(__file__).with_name("flows") / "pools.py"


def used() -> float:
    """Returns the processor time of this process and of those that it has waited for, in seconds."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def ours(wish: dict[str, Any]) -> None:
    """Runs n jobs of a body in worker processes.

    Raises:
        RuntimeError: if they did not come to their end.
    """
    flow = sys.modules[load_workflow(str(FLOW)).module_name]
    config = {"executors": {"processes": {"type": "processes", "workers": wish["workers"]}}}
    with Store.init(wish["store"]) as store:
        execution = Scheduler(store, config=config).execute(flow.many(wish["body"], wish["n"], wish["executor"]))
    if execution.status is not Status.DONE:
        raise RuntimeError(f"the run did not finish: {execution.error!r}")


def raw(wish: dict[str, Any]) -> None:
    """Runs n calls of a body in a pool of the standard library, all of them submitted before the first is taken."""
    flow = sys.modules[load_workflow(str(FLOW)).module_name]
    body = flow.BODIES[wish["body"]]
    with ProcessPoolExecutor(wish["workers"], mp_context=get_context("fork")) as pool:
        for future in [pool.submit(body, i) for i in range(wish["n"])]:
            future.result()


def main() -> None:
    """Does what is wished for, and tells what it took."""
    wish = json.loads(sys.argv[1])
    cpu, wall = used(), time.perf_counter()
    {"ours": ours, "raw": raw}[wish["who"]](wish)
    print(json.dumps([time.perf_counter() - wall, used() - cpu]))


if __name__ == "__main__":
    main()
