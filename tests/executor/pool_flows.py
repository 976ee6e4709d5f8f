"""One workflow, run by each kind of pool: what comes of it, and what is recorded, must be the same."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from redun.core import functional  # noqa: F401  its tasks are registered before a workflow comes and goes
from redun.core.digest import Digest
from redun.core.objects import ExecRecord, JobRow, Status
from redun.executor.observer import Execution
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import Flow

#: Names of executors that every installation has, with what settings they need.
EXECUTORS: dict[str, Mapping[str, Any]] = {
    "threads": {},
    "processes": {"executors": {"processes": {"type": "processes", "workers": 2}}},
    "futures": {
        "executors": {
            "futures": {
                "type": "futures",
                "factory": "concurrent.futures:ProcessPoolExecutor",
                "arguments": {"max_workers": 2},
            }
        }
    },
}
#: Those that need other libraries: what to import, and the settings.
OPTIONAL: dict[str, tuple[str, Mapping[str, Any]]] = {
    "loky": (
        "loky",
        {
            "executors": {
                "loky": {"type": "futures", "factory": "loky:ProcessPoolExecutor", "arguments": {"max_workers": 2}}
            }
        },
    ),
    "dask": ("distributed", {"executors": {"dask": {"type": "dask", "workers": 2}}}),
}
#: Those of them that are installed. Each makes its workers anew for each test, in seconds: the whole contract is run
#: over them by `tests/torture`.
INSTALLED = {name: settings for name, (library, settings) in OPTIONAL.items() if find_spec(library) is not None}


class Ran(NamedTuple):
    """What came of a run: how it ended, the id of its root's call, and its job rows."""

    execution: Execution
    call: Digest | None
    rows: list[JobRow]


class Pooled:
    """A workflow whose tasks with `executor=EXECUTOR` run in one kind of pool."""

    def __init__(self, flow: Flow, executor: str) -> None:
        self.flow = flow
        self.executor = executor

    @property
    def module(self) -> Any:
        """The module as loaded last."""
        return self.flow.module

    def load(self, text: str) -> None:
        """Writes the workflow and loads it, with the executor's name for EXECUTOR: options of a task are no part of its
        code."""
        head = "from redun.core.functional import catch, catch_all\n"
        self.flow.load(head + text.replace("EXECUTOR", repr(self.executor)))

    def run(self, text: str = "main()") -> Ran:
        """Runs an expression and returns what came of it."""
        scheduler = Scheduler(
            self.flow.store, threads=2, observer=self.flow.watcher, config=(EXECUTORS | INSTALLED)[self.executor]
        )
        execution = scheduler.execute(self.flow.expression(text))
        assert execution.digest is not None
        record = ExecRecord.parse(self.flow.store.get(execution.digest)[1])
        rows = [row for page in self.flow.store.job_pages(record.pages) for row in page.rows]
        return Ran(execution, record.root, rows)

    def value(self, text: str = "main()") -> Any:
        """Runs an expression and returns its value."""
        execution = self.run(text).execution
        if execution.error is not None:
            raise execution.error
        return execution.value


def lines(path: Path) -> list[str]:
    """Returns the lines that bodies have written to a file, none where there is no file."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def await_stored(folder: Path) -> None:
    """Waits until the store of a project has a job that has ended, of a run that is under way."""
    end = time.monotonic() + 60
    done = False
    while not done:
        assert time.monotonic() < end
        time.sleep(0.01)
        with Store.open(folder / ".redun" / "store", read_only=True) as store:
            done = any(row.status is Status.DONE for live in store.live_runs() for row in live.tail)
