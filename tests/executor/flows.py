"""A workflow in a file that is written, loaded as a new process would load it, run, edited and run again."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from redun.core.files.memo import STATS
from redun.core.objects import Status
from redun.core.tasks import registry
from redun.executor.loader import load_workflow
from redun.executor.observer import Execution, JobEvent
from redun.executor.scheduler import Scheduler
from redun.store import Store

#: Edits follow each other faster than the seconds that Python's own cache of byte code tells apart.
sys.dont_write_bytecode = True
MODULE = "flow"
#: Bodies say that they ran through the standard library, which is no part of anybody's fingerprint.
HEADER = """\
import logging
from redun.core.files.file import File
from redun.core.tasks import task

def ran(*what):
    logging.getLogger("bodies").info(" ".join(map(str, what)))

"""


class Bodies(logging.Handler):
    """Lists what bodies said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


class Watcher:
    """Lists what a run tells."""

    wants_jobs = True

    def __init__(self) -> None:
        self.events: list[JobEvent] = []
        self.warnings: list[str] = []
        self.said_lines: list[str] = []

    def started(self, uuid: str) -> None: ...

    def job(self, event: JobEvent) -> None:
        self.events.append(event)

    def summed(self, jobs: int) -> None: ...

    def said(self, job: str, lines: list[str]) -> None:
        self.said_lines += lines

    def warned(self, message: str) -> None:
        self.warnings.append(message)

    def progress(self, counts: Any) -> None: ...

    def finished(self, execution: Execution) -> None: ...


class Flow:
    """A workflow, its store, and what its bodies said since it was last asked.

    Attributes:
        module: the module as loaded last.
        replay: how the next runs answer jobs.
    """

    def __init__(self, folder: Path, store: Store, bodies: Bodies) -> None:
        self.folder = folder
        self.store = store
        self.module: ModuleType | None = None
        self.replay: Literal["whole", "step"] = "whole"
        self.threads = 4
        self.watcher = Watcher()
        self._bodies = bodies

    def load(self, text: str) -> ModuleType:
        """Writes the workflow and loads it; nothing of the one before is left."""
        forget()
        path = self.folder / f"{MODULE}.py"
        path.write_text(HEADER + text, encoding="utf-8")
        load_workflow(str(path))
        self.module = sys.modules[MODULE]
        return self.module

    def reload(self) -> ModuleType:
        """Loads the workflow as it is, as a new process would."""
        return self.edit("", "")

    def edit(self, old: str, new: str) -> ModuleType:
        """Replaces a piece of the text, which must be there, and loads the workflow."""
        text = (self.folder / f"{MODULE}.py").read_text(encoding="utf-8").removeprefix(HEADER)
        assert old in text
        return self.load(text.replace(old, new) if old else text)

    def expression(self, text: str) -> Any:
        """Returns what an expression of Python means in the workflow."""
        assert self.module is not None
        return eval(text, self.module.__dict__)  # the test's own text

    def execute(self, text: str = "main()", *, context: Any = None, **options: Any) -> Execution:
        """Runs an expression against the store and forgets what bodies said before."""
        self._bodies.said.clear()
        STATS.fresh.clear()
        scheduler = Scheduler(self.store, threads=self.threads, replay=self.replay, observer=self.watcher, **options)
        return scheduler.execute(self.expression(text), context=context)

    def __call__(self, text: str = "main()", **options: Any) -> Any:
        """Runs an expression and returns its value."""
        execution = self.execute(text, **options)
        if execution.error is not None:
            raise execution.error
        assert execution.status is Status.DONE
        return execution.value

    @property
    def ran(self) -> list[str]:
        """What bodies said in the last run, sorted: threads have no order."""
        return sorted(self._bodies.said)


def forget() -> None:
    """Forgets the workflow that was loaded before."""
    sys.modules.pop(MODULE, None)
    for name, task in list(registry._tasks.items()):
        if task.module == MODULE:
            del registry._tasks[name]
    registry.generation += 1


@contextmanager
def flow_in(folder: Path, store: Store) -> Iterator[Flow]:
    """Gives a workflow in the folder, which becomes the working directory, and leaves the process as it was."""
    logger, bodies = logging.getLogger("bodies"), Bodies()
    path, tasks, here = list(sys.path), dict(registry._tasks), Path.cwd()
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(bodies)
    os.chdir(folder)
    for name, task in tasks.items():
        if task.namespace != "redun":  # a new process knows nothing but the engine's
            del registry._tasks[name]
    try:
        yield Flow(folder, store, bodies)
    finally:
        os.chdir(here)
        logger.removeHandler(bodies)
        logger.setLevel(level)
        logger.propagate = propagate
        forget()
        sys.path[:] = path
        registry._tasks.clear()
        registry._tasks.update(tasks)
