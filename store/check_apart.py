"""The checks of a large store, spread over the processors: each by a process that opens it for itself.

A worker asks for a part when it is done with the one before, so that none waits for another for long. It says what it
finds in lines of JSON: `["step", what, rows]`, `["problem", ...]` and `["done"]`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Final, TextIO

from redun.core.errors import StoreError
from redun.store.checks import Part, all_parts, check_part
from redun.store.problems import Problem, Progress
from redun.store.store import Store

#: Objects from which on it is worth it: a process takes 0.1 s until it begins, half a million objects take seconds.
_MANY: Final = 500_000
#: More processes than that wait for the disk.
_MOST_WORKERS: Final = 8
#: Parts of the table of objects for each worker: so many that all end at nearly the same time.
_RANGES: Final = 4
#: Different missing objects that are remembered: parts find the same ones.
_TOLD: Final = 10_000
_DIED: Final = "put the store back from a copy, or make a new one: results that can be made again will be"
#: The interpreter may find this package where no installation says so.
_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from redun.store.check_apart import work; work(sys.argv[2], int(sys.argv[3]))"
)

Message = list[Any] | None


def workers_for(store: Store) -> int:
    """Returns how many processes are to check a store; 1 where it is small, or there is one processor."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    many = store._backend.read(lambda txn: txn.count("objects")) >= _MANY
    return min(processors, _MOST_WORKERS) if many and store.path is not None else 1


def check_apart(store: Store, *, level: int, workers: int, progress: Progress) -> Iterator[Problem]:
    """Returns what `Store.check` returns, in the order in which processes find it.

    Raises:
        StoreError: if one cannot check its part.
    """
    assert store.path is not None
    parts = deque(all_parts(level, workers * _RANGES))
    totals = _totals(store, level)
    for what, total in totals.items():
        progress(what, 0, total)
    messages: SimpleQueue[Message] = SimpleQueue()
    command = [sys.executable, "-c", _START, json.dumps(sys.path), str(store.path), str(level)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(workers)]
    threads = [threading.Thread(target=_feed, args=(process, parts, messages)) for process in processes]
    try:
        for thread in threads:
            thread.start()
        yield from _told(messages, workers, totals, progress)
    finally:
        for process in processes:
            process.kill()
        for thread in threads:
            thread.join()
        for process in processes:
            process.communicate()


def _feed(process: subprocess.Popen[bytes], parts: deque[Part], messages: SimpleQueue[Message]) -> None:
    """Gives a worker one part after the other, and passes on what it says; None at its end."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        while parts:
            try:
                part = parts.popleft()
            except IndexError:  # another has just taken the last one
                break
            if not _one(process.stdin, process.stdout, part, messages):
                status = process.wait()
                message = f"a process that read the data file ended with {status}"
                messages.put(["problem", 0, "file", "data.mdb", message, _DIED])
                break
    finally:
        messages.put(None)


def _one(stdin: IO[bytes], stdout: IO[bytes], part: Part, messages: SimpleQueue[Message]) -> bool:
    """Has one part checked; returns whether the worker came to its end."""
    try:
        stdin.write(json.dumps([part.what, part.start.hex(), part.stop.hex()]).encode() + b"\n")
        stdin.flush()
    except OSError:
        return False
    for line in stdout:
        if not line.endswith(b"\n"):
            return False
        message = json.loads(line)
        if message[0] == "done":
            return True
        messages.put(message)
        if message[0] == "error":
            return True
    return False


def _totals(store: Store, level: int) -> dict[str, int]:
    tables = {"objects": "objects"} | ({"cache": "memo"} if level >= 2 else {})
    return {what: store._backend.read(lambda txn, of=table: txn.count(of)) for what, table in tables.items()}  # type: ignore[misc]


def _told(
    messages: SimpleQueue[Message], workers: int, totals: dict[str, int], progress: Progress
) -> Iterator[Problem]:
    seen = dict.fromkeys(totals, 0)
    missing: set[str] = set()
    while workers:
        message = messages.get()
        if message is None:
            workers -= 1
        elif message[0] == "error":
            raise StoreError(message[1], hint=message[2])
        elif message[0] == "step":
            what, rows = message[1:]
            seen[what] = seen.get(what, 0) + rows
            progress(what, seen[what], max(totals.get(what, 0), seen[what]))
        else:
            problem = Problem(*message[1:])
            if problem.what == "pointer":
                if problem.where in missing:
                    continue
                if len(missing) < _TOLD:
                    missing.add(problem.where)
            yield problem


def work(path: str, level: int) -> None:
    """Checks the parts that come in, one a line, and says what it finds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who has started it ends it
    with suppress(BrokenPipeError):
        _work(path, level, sys.stdout)


def _work(path: str, level: int, out: TextIO) -> None:

    def say(*message: object) -> None:
        out.write(json.dumps(message) + "\n")

    with Store.open(Path(path), read_only=True) as store:
        for line in sys.stdin:
            what, start, stop = json.loads(line)
            steps: dict[str, int] = {}

            def progress(of: str, done: int, total: int, steps: dict[str, int] = steps) -> None:
                del total
                if done != steps.get(of, 0):
                    say("step", of, done - steps.get(of, 0))
                    steps[of] = done
                    out.flush()

            part = Part(what, bytes.fromhex(start), bytes.fromhex(stop))
            try:
                parts = store._backend, store.format, store._blobs, store._journal
                for problem in check_part(*parts, part, level=level, progress=progress):
                    say("problem", *problem)
            except StoreError as error:
                say("error", error.message, error.hint)
            say("done")
            out.flush()
