"""How long `redun log` and `redun cat-object` take, as whole processes, over a large store.

    python benchmarks/history_scale.py [--jobs 100000] [--runs 100] [--repeat 15] [--keep DIRECTORY]

Makes a store of about two objects a job (its call and its value; a root call for each run besides), then times each
command and prints minimum and median in milliseconds, with the bare interpreter and `redun --help` to compare with.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from redun.core.codec import ExtType, pack
from redun.core.digest import Digest
from redun.core.frame import object_id
from redun.core.limits import PAGE_ROWS
from redun.core.objects import (
    CallRecord,
    How,
    JobRow,
    JobsRecord,
    Outcome,
    SourceRecord,
    Status,
    TaskCount,
    TaskRecord,
    Why,
    job_id,
)
from redun.store import Batch, Store


class History:
    """Writes runs, each a root call over a fan-out of calls of one task."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.source = self.put("source", SourceRecord("def step(x):\n    return x\n", "flow.py", 1).payload())
        self.step = self.put("task", TaskRecord("bench.step", "closure", params=(("x", 1),)).payload())
        self.root = self.put("task", TaskRecord("bench.main", "closure").payload())
        self.objects: dict[Digest, tuple[str, bytes]] = {}
        self.value = 0

    def put(self, kind: str, payload: bytes) -> Digest:
        return self.store.put(kind, payload)

    def add(self, kind: str, payload: bytes) -> Digest:
        digest = object_id(self.store.format, kind, payload)
        self.objects[digest] = (kind, payload)
        return digest

    def run(self, jobs: int) -> bytes:
        """Writes one run and returns its uuid."""
        live = self.store.begin_run(["run", "flow.py", "main"], {})
        calls = [self._call() for _ in range(jobs)]
        nodes = [[0, 0, [i], {}, {}] for i in range(jobs)]
        expr = pack([1, ["bench.step"], nodes, [ExtType(65, i.to_bytes(4, "big")) for i in range(jobs)]])
        result = self.add("value", pack(list(range(jobs))))
        reduction = self.add("expr", expr)
        root = self.add(
            "call", CallRecord(self.root, (), reduction, Outcome.VALUE, result, children=tuple(calls)).payload()
        )
        rows = [JobRow(i + 1, call, 0, Status.DONE, How.RAN, Why.FIRST, i * 10, 5) for i, call in enumerate(calls)]
        rows.append(JobRow(0, root, -1, Status.DONE, How.RAN, Why.FIRST, 0, jobs * 10))
        whole = len(rows) // PAGE_ROWS * PAGE_ROWS
        pages = [
            self.add("jobs", JobsRecord(live.uuid, tuple(rows[i : i + PAGE_ROWS])).payload())
            for i in range(0, whole, PAGE_ROWS)
        ]
        objects, self.objects = self.objects, {}
        live.seal(
            Batch(objects=objects),
            root=root,
            status=Status.DONE,
            rows=len(rows),
            counts=[TaskCount("bench.main", done=1), TaskCount("bench.step", done=jobs)],
            sources=sorted([(self.step, self.source), (self.root, self.source)]),
            pages=pages,
            tail=rows[whole:],
        )
        return live.uuid

    def _call(self) -> Digest:
        self.value += 1
        value = self.add("value", pack(f"value number {self.value}"))
        return self.add("call", CallRecord(self.step, (value,), None, Outcome.VALUE, value).payload())


def measure(command: list[str], directory: Path, repeat: int) -> tuple[float, float]:
    """Returns the least and the median time of a command in milliseconds."""
    times = []
    # An installed program finds its modules compiled; where the environment forbids that, each start compiles them.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(repeat + 1):
        start = time.perf_counter()
        subprocess.run(command, cwd=directory, env=environment, stdout=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - start) * 1000)
    return min(times[1:]), statistics.median(times[1:])


def build(directory: Path, jobs: int, runs: int) -> dict[str, list[str]]:
    """Makes the store and returns the commands to time, by what they show."""
    with Store.init(directory / ".redun" / "store") as store:
        history = History(store)
        uuids = [history.run(jobs // runs) for _ in range(runs)]
        middle, oldest = uuids[runs // 2], uuids[0]
        job = job_id(store.format.hash, middle, jobs // runs // 2).hex()
        old_job = job_id(store.format.hash, oldest, jobs // runs // 2).hex()
        step = history.step.hex()
    return {
        "log": ["log"],
        "log, all": ["log", "-n", "0"],
        "log EXEC": ["log", middle.hex()],
        "log JOB": ["log", job[:8]],
        "log JOB (oldest run)": ["log", old_job[:8]],
        "log TASK": ["log", "step"],
        "cat-object (a task)": ["cat-object", "-s", step],
        "cat-object -p": ["cat-object", step[:10]],
        "cat-object EXEC": ["cat-object", "-"],
    }


def main() -> None:
    """Builds, times, prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--keep", type=Path, help="make the store here and leave it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        commands = build(directory, options.jobs, options.runs)
        size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
        print(f"{options.jobs:,} jobs in {options.runs:,} runs, {size / 1e6:,.0f} MB; milliseconds, least and median")
        redun = str(Path(sys.executable).with_name("redun"))
        timed = {"python -c pass": [sys.executable, "-c", "pass"], "redun --help": [redun, "--help"]}
        timed |= {what: [redun, *words] for what, words in commands.items()}
        for what, command in timed.items():
            least, median = measure(command, directory, options.repeat)
            print(f"{what:<24} {least:8.0f} {median:8.0f}")


if __name__ == "__main__":
    main()
