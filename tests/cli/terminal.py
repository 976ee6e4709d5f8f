"""A command on a terminal, and somebody who reads what it prints and types at it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REDUN = Path(sys.executable).with_name("redun")
#: Longer than anything takes that is waited for (seconds).
_PATIENCE = 120.0


class Terminal:
    """The user's side of a terminal that a command runs on."""

    def __init__(self, descriptor: int, command: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self._command = command
        self._read = ""

    def until(self, text: str) -> str:
        """Reads to the end of a text, and returns all that came with it since the last call."""
        end = time.monotonic() + _PATIENCE
        while text not in self._read:
            if not self._more(end - time.monotonic()):
                raise AssertionError(f"no {text!r} in {self._read!r}")
        place = self._read.index(text) + len(text)
        found, self._read = self._read[:place], self._read[place:]
        return found.replace("\r\n", "\n")

    def type(self, line: str) -> None:
        """Types a line, and the key at its end."""
        os.write(self._descriptor, line.encode() + b"\n")

    def press(self, keys: bytes) -> None:
        """Presses keys: b"\\t", b"\\x04" for the end of the input, b"\\x03" for an interrupt."""
        os.write(self._descriptor, keys)

    def end(self) -> tuple[int, str]:
        """Waits for the end of the command; returns its exit code, and what it printed since."""
        end = time.monotonic() + _PATIENCE
        while self._more(end - time.monotonic()):
            pass
        return self._command.wait(_PATIENCE), self._read.replace("\r\n", "\n")

    def _more(self, seconds: float) -> bool:
        if not select.select([self._descriptor], [], [], max(seconds, 0.0))[0]:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the command has ended
            return False
        self._read += data.decode(errors="replace")
        return bool(data)


@contextmanager
def on_terminal(*words: str, cwd: Path) -> Iterator[Terminal]:
    """Runs `redun` with these words on a terminal that knows no colours and no cursor keys."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "dumb", "COLUMNS": "120", "PYTHON_HISTORY": os.devnull}
    command = subprocess.Popen(
        [REDUN, *words], cwd=cwd, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        yield Terminal(ours, command)
    finally:
        command.kill()
        command.wait()
        os.close(ours)
