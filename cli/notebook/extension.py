"""`%load_ext redun`: runs show how far they are, executions and expressions are shown as HTML, and `%redun log` and all
other commands work in a cell."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import Any

from redun.cli.notebook.display import execution_html, expression_html
from redun.cli.notebook.progress import CellProgress, LineProgress
from redun.core.expressions import Expression
from redun.executor.observer import WATCHERS, Execution

_PAGES = {Execution: execution_html, Expression: expression_html}


def load_ipython_extension(shell: Any) -> None:
    """Loads the extension into a shell of IPython; called by `%load_ext redun`."""
    formatter = shell.display_formatter.formatters["text/html"]
    for kind, page in _PAGES.items():
        formatter.for_type(kind, page)
    shell.register_magic_function(_command, "line", "redun")
    WATCHERS[:] = [_in_cell if hasattr(shell, "kernel") else _on_line]


def unload_ipython_extension(shell: Any) -> None:
    """Takes the extension out of a shell; called by `%unload_ext redun`."""
    formatter = shell.display_formatter.formatters["text/html"]
    for kind in _PAGES:
        formatter.pop(kind, None)
    shell.magics_manager.magics["line"].pop("redun", None)
    WATCHERS.clear()


def _in_cell() -> CellProgress:
    from IPython.display import display

    return CellProgress(display)


def _on_line() -> LineProgress:
    return LineProgress(None)  # type: ignore[arg-type]  # it displays nothing


def _command(line: str) -> None:
    """`%redun log -`: runs a command of redun and prints what it says.

    It is a process of its own: a command may set signal handlers, and end.
    """
    words = [sys.executable, "-m", "redun", *shlex.split(line)]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        for text in process.stdout:
            sys.stdout.write(text)
        code = process.wait()
    finally:
        process.stdout.close()
        if process.poll() is None:
            process.terminate()
            process.wait()
    if code:
        sys.stderr.write(f"redun ended with exit code {code}\n")
