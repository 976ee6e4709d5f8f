"""The three ways to answer a run, side by side: without a store, step by step, and whole replay."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from redun.core import constants, keys, ownership, sources, static_uses
from redun.core.digest import DEFAULT_FORMAT, Digest
from redun.core.files.memo import STATS
from redun.core.objects import How, Status
from redun.core.values import HANDLERS, Encoder
from redun.executor.observer import Execution
from redun.store import Store
from tests.executor.flows import MODULE, Flow, flow_in

#: Modules that are loaded afresh for every run.
_MODULES = (MODULE, "parts")


@dataclass
class Outcome:
    """How one run went.

    Attributes:
        result: id of the value; the error's text where it failed.
        ran: bodies, with their arguments as text.
        totals: jobs by task.
        whole: whether the root was replayed in one step.
    """

    result: Digest | str
    ran: Counter[str]
    totals: dict[str, int]
    whole: bool
    execution: Execution


class Strategy:
    """One way to answer runs, with a folder for files of its own.

    Attributes:
        store: what it remembers.
    """

    def __init__(self, flow: Flow, folder: Path, replay: Literal["whole", "step"], *, keeps: bool) -> None:
        self._flow = flow
        self._replay: Literal["whole", "step"] = replay
        self._keeps = keeps
        self.folder = folder
        self.store = Store.memory()
        (folder / "out").mkdir(parents=True)

    def run(self, modules: dict[str, str], root: str, *, threads: int = 4, **options: Any) -> Outcome:
        """Runs an expression in a workflow, as a new process would; options as in `Flow.execute`."""
        os.chdir(self.folder)
        forget_all()
        flow = self._flow
        (flow.folder / "parts.py").write_text(modules["parts"])
        flow.load(modules["main"])
        flow.store = self.store if self._keeps else Store.memory()
        flow.replay, flow.threads = self._replay, threads
        flow.watcher.events.clear()
        execution = flow.execute(root, **options)
        told = [event.id for event in flow.watcher.events if event.verb != "Reject"]
        assert len(told) == len(set(told)), "two jobs were told of under one id"
        done = execution.status is Status.DONE
        result = Encoder(DEFAULT_FORMAT).value(execution.value) if done else f"{type(execution.error)}{execution.error}"
        totals = {count.fullname: sum(count[1:]) for count in execution.counts}
        return Outcome(result, Counter(flow.ran), totals, self._is_whole(flow.store), execution)

    def _is_whole(self, store: Store) -> bool:
        _, record = next(store.executions())
        rows = [row for page in store.job_pages(record.pages) for row in page.rows]
        return any(row.number == 0 and row.how is How.WHOLE for row in rows)


def forget_all() -> None:
    """Forgets all that a new process would not know."""
    for module in _MODULES:
        sys.modules.pop(module, None)
    tables: list[dict] = [
        keys._PREPARED,
        keys._CODE,
        constants._FROZEN,
        constants._FROZEN_MODULES,
        ownership._INTERNED,
        sources._REGISTERED,
        sources._READ,
        static_uses._FOUND,
        STATS._rows,
    ]
    for table in tables:
        table.clear()
    for kind in [kind for kind in HANDLERS if kind.__module__ in _MODULES]:
        del HANDLERS[kind]


@contextmanager
def strategies_in(folder: Path) -> Iterator[dict[str, Strategy]]:
    """Gives the three, in folders of their own; the workflow's modules lie outside of these."""
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # two edits in one second must both be seen
    code = folder / "code"
    code.mkdir()
    try:
        with flow_in(code, Store.memory()) as flow:
            yield {
                "none": Strategy(flow, folder / "none", "step", keeps=False),
                "step": Strategy(flow, folder / "step", "step", keeps=True),
                "whole": Strategy(flow, folder / "whole", "whole", keeps=True),
            }
    finally:
        sys.dont_write_bytecode = writes
        forget_all()
