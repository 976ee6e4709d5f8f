"""How far a run is, below the cell that runs it: one display that is updated in place."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Final

from redun.cli.notebook.display import execution_html, jobs_text, run_html
from redun.cli.render import duration_text
from redun.core.forms import printable
from redun.core.objects import TaskCount
from redun.executor.observer import Execution, JobEvent

#: Seconds between two updates.
_AGAIN_S: Final = 0.25


class CellProgress:
    """Shows a run in a notebook's cell.

    Args:
        display: shows a bundle of representations (`IPython.display.display`); gives a handle that updates it.
    """

    wants_jobs = False

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None
        self._uuid = ""
        self._due = 0.0

    def started(self, uuid: str) -> None:
        """Remembers which run it is."""
        self._uuid, self._due = uuid, time.monotonic() + _AGAIN_S

    def job(self, event: JobEvent) -> None:
        """Is never called."""

    def summed(self, jobs: int) -> None:
        """Is never called."""

    def said(self, job: str, lines: list[str]) -> None:
        """Is never called."""

    def warned(self, message: str) -> None:
        """Writes a warning to the cell's error output."""
        sys.stderr.write(f"redun: warning: {printable(message)}\n")

    def progress(self, counts: list[TaskCount]) -> None:
        """Shows the jobs so far, now and then."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _AGAIN_S
            text = f"redun {self._uuid[:8]} RUNNING: {jobs_text(counts)}"
            self._show(text, run_html(self._uuid, "RUNNING", counts))

    def finished(self, execution: Execution) -> None:
        """Shows how it went."""
        took = duration_text(execution.duration)
        text = f"redun {execution.uuid[:8]} {execution.status.name}: {jobs_text(execution.counts)} in {took}"
        self._show(text, execution_html(execution))

    def _show(self, text: str, page: str) -> None:
        bundle = {"text/plain": text, "text/html": page}
        if self._handle is None:
            self._handle = self._display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


class LineProgress(CellProgress):
    """Says on one line how a run went, where nothing can be updated: IPython in a terminal."""

    def progress(self, counts: list[TaskCount]) -> None:
        """Shows nothing meanwhile."""

    def _show(self, text: str, page: str) -> None:
        sys.stderr.write(f"[{text}]\n")
