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
from types import ModuleType
from typing import Any, TypeAlias

from redun.core.objects import Status
from redun.executor.loader import load_workflow
from redun.executor.scheduler import Scheduler
from redun.store import Store

#: Seconds by the clock, and of the processor.
Pair: TypeAlias = tuple[float, float]
FLOW = Path(__file__).with_name("flows") / "pools.py"


def used() -> float:
    """Returns the processor time of this process and of those that it has waited for, in seconds."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def ours(wish: dict[str, Any], flow: ModuleType) -> Pair:
    """Runs n jobs of a body in worker processes.

    Raises:
        RuntimeError: if they did not come to their end.
    """
    config = {"executors": {"processes": {"type": "processes", "workers": wish["workers"]}}}
    with Store.init(wish["store"]) as store:
        scheduler = Scheduler(store, config=config)
        begin = time.perf_counter(), used()
        execution = scheduler.execute(flow.many(wish["body"], wish["n"], wish["executor"]))
        taken = time.perf_counter() - begin[0], used() - begin[1]
    if execution.status is not Status.DONE:
        raise RuntimeError(f"the run did not finish: {execution.error!r}")
    return taken


def raw(wish: dict[str, Any], flow: ModuleType) -> Pair:
    """Runs n calls of a body in a pool of the standard library, all of them submitted before the first is taken."""
    body = flow.BODIES[wish["body"]]
    begin = time.perf_counter(), used()
    with ProcessPoolExecutor(wish["workers"], mp_context=get_context("fork")) as pool:
        for future in [pool.submit(body, i) for i in range(wish["n"])]:
            future.result()
    return time.perf_counter() - begin[0], used() - begin[1]


def main() -> None:
    """Does what is wished for, and tells what it took, with the start and the end of the workers."""
    wish = json.loads(sys.argv[1])
    flow = sys.modules[load_workflow(str(FLOW)).module_name]
    print(json.dumps({"ours": ours, "raw": raw}[wish["who"]](wish, flow)))


if __name__ == "__main__":
    main()
