"""The status table that redraws itself below the lines of a run. Only on a terminal: nothing else loads this module."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from redun.cli.colors import is_terminal
from redun.cli.render import status_table

if TYPE_CHECKING:
    from redun.core.history import TaskCount


class LiveTable:
    """Draws the table and keeps it at the bottom; lines are printed above it.

    It must be closed, which takes the table away.
    """

    def __init__(self, stream: IO[str], *, colored: bool) -> None:
        self._console = Console(file=stream, no_color=not colored, highlight=False, markup=False)
        self._live = Live(
            console=self._console,
            # Drawn when there is news, not by a thread of its own.
            auto_refresh=False,
            transient=True,
            vertical_overflow="ellipsis",
            # What tasks print goes above the table, but never away from where it is sent.
            redirect_stdout=is_terminal(sys.stdout),
        )
        self._live.start()

    def show(self, counts: Sequence[TaskCount], when: str) -> None:
        """Draws the table with these counts."""
        text = Text("\n".join(status_table(counts, when)), no_wrap=True, overflow="ellipsis", style="dim")
        self._live.update(text, refresh=True)

    def line(self, text: str) -> None:
        """Prints a line above the table."""
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def close(self) -> None:
        """Takes the table away."""
        self._live.stop()
