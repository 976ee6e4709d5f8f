"""A Dask cluster as others run it: a scheduler and two workers, each started by its own command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self


class DaskProcesses:
    """The processes, on the loopback interface, until the with-statement ends.

    Attributes:
        address: of the scheduler.
        scheduler: its process.
    """

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self._folder = folder
        self._workers = workers
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        file = self._folder / "scheduler.json"
        where = ["--scheduler-file", str(file)]
        self.scheduler = self._run("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *where)
        for _ in range(self._workers):
            self._run("worker", "--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard", *where)
        from distributed import Client

        end = time.monotonic() + 60
        while not file.exists() or not file.read_text().strip():
            assert time.monotonic() < end
            time.sleep(0.02)
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(self._workers, timeout=60)
            self.address = str(client.scheduler.address)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *command],
            cwd=self._folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},  # edits follow each other within a second
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._started.append(process)
        return process
