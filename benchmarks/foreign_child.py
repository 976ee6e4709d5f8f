"""The process in which pools of others are timed: `python -m benchmarks.foreign_child JSON`, used by `rows.foreign`.

A Dask cluster is started before the clock is, for ours and for Dask alone; the other pools are timed with the start of
their workers. Processor time is that of this process and all below it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_context
from types import ModuleType
from typing import Any

from benchmarks.pool_child import FLOW, used
from redun.core.objects import Status
from redun.executor.loader import load_workflow
from redun.executor.scheduler import Scheduler
from redun.store import Store


def _ours(wish: dict[str, Any], flow: ModuleType, address: str) -> None:
    table: dict[str, Any] = {"type": "dask", "address": address}
    if wish["pool"] != "dask":
        factory = {"futures": "concurrent.futures:ProcessPoolExecutor", "loky": "loky:ProcessPoolExecutor"}
        table = {"type": "futures", "factory": factory[wish["pool"]], "arguments": {"max_workers": wish["workers"]}}
    with Store.init(wish["store"]) as store:
        scheduler = Scheduler(store, config={"executors": {"other": table}})
        execution = scheduler.execute(flow.many("tiny", wish["n"], "other"))
    if execution.status is not Status.DONE:
        raise RuntimeError(f"the run did not finish: {execution.error!r}")


def _raw(wish: dict[str, Any], flow: ModuleType, address: str) -> None:
    calls = range(wish["n"])
    if wish["pool"] == "dask":
        with import_module("distributed").Client(address, set_as_default=False) as client:
            client.gather([client.submit(flow.tiny, i, pure=False) for i in calls])
        return
    options = {"mp_context": get_context("fork")} if wish["pool"] == "futures" else {}
    kind: Any = ProcessPoolExecutor if wish["pool"] == "futures" else import_module("loky").ProcessPoolExecutor
    with kind(wish["workers"], **options) as pool:
        for future in [pool.submit(flow.tiny, i) for i in calls]:
            future.result()


@contextmanager
def _cluster(wish: dict[str, Any]) -> Iterator[str]:
    if wish["pool"] != "dask":
        yield ""
        return
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    with import_module("distributed").LocalCluster(n_workers=wish["workers"], **options) as cluster:
        yield cluster.scheduler_address


def _used(wish: dict[str, Any]) -> float:
    if wish["pool"] != "dask":
        return used()
    times = [child.cpu_times() for child in import_module("psutil").Process().children(recursive=True)]
    return used() + sum(one.user + one.system for one in times)


def main() -> None:
    """Does what is wished for, and tells what it took: seconds by the clock, and of the processor."""
    wish = json.loads(sys.argv[1])
    flow = sys.modules[load_workflow(str(FLOW)).module_name]
    with _cluster(wish) as address:
        clock, cpu = time.perf_counter(), _used(wish)
        {"ours": _ours, "raw": _raw}[wish["who"]](wish, flow, address)
        print(json.dumps([time.perf_counter() - clock, _used(wish) - cpu]), flush=True)


if __name__ == "__main__":
    main()
