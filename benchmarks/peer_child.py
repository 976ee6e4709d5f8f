"""The process in which others are timed: the system of the seed, joblib, plain files. It imports nothing of ours, and
is started as a file by an interpreter of any environment: `python peer_child.py JSON`."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Pair = tuple[float, float]


def clocked(function: Callable[[], Any]) -> Pair:
    """Returns (seconds by the clock, seconds of the processor) of a call."""
    cpu, wall = time.process_time(), time.perf_counter()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def make(i: int, size: int) -> bytes:
    """Returns what the task of that name in `flows/jobs.py` does."""
    return i.to_bytes(8, "big") * (size // 8)


def files(wish: dict[str, Any]) -> dict[str, Pair]:
    """Writes plain files, each synced."""

    def write() -> None:
        for i in range(wish["n"]):
            with open(f"{wish['directory']}/{i}", "wb") as stream:
                stream.write(make(i, wish["size"]))
                stream.flush()
                os.fsync(stream.fileno())

    return {"cold": clocked(write)}


def joblib(wish: dict[str, Any]) -> dict[str, Pair]:
    """Caches the values with joblib's `Memory`, then reads them; nothing where joblib is not installed."""
    if importlib.util.find_spec("joblib") is None:
        return {}
    cached = importlib.import_module("joblib").Memory(wish["directory"], verbose=0).cache(make)

    def call() -> None:
        for i in range(wish["n"]):
            cached(i, wish["size"])

    return {"cold": clocked(call), "warm": clocked(call)}


def seed(wish: dict[str, Any]) -> dict[str, Pair]:
    """Runs a task of a workflow with the system of the seed twice, on an SQLite file as it does by default."""
    os.chdir(wish["directory"])
    redun = importlib.import_module("redun")
    config = importlib.import_module("redun.config").Config({"backend": {"db_uri": "sqlite:///redun.db"}})
    logging.getLogger("redun").setLevel(logging.ERROR)
    flow = Path(wish["flow"])
    sys.path.insert(0, str(flow.parent))
    task = getattr(importlib.import_module(flow.stem), wish["task"])
    scheduler = redun.Scheduler(config=config)
    scheduler.load()
    cold = clocked(lambda: scheduler.run(task(*wish["args"])))
    return {"cold": cold, "warm": clocked(lambda: scheduler.run(task(*wish["args"])))}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps({"files": files, "joblib": joblib, "seed": seed}[asked["what"]](asked)))
