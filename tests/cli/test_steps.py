"""The line that says how far something has come."""

from __future__ import annotations

import io

import pytest

from redun.cli import steps as module
from redun.cli.steps import steps


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error as a terminal, on which steps are shown at once."""
    made = Terminal()
    monkeypatch.setattr("sys.stderr", made)
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)
    return made


def test_on_a_terminal_the_line_is_shown_and_cleared_at_the_end(terminal: Terminal) -> None:
    with steps(wanted=True) as progress:
        progress("objects", 1000, 2000)
        assert terminal.getvalue() == "\r\x1b[Kobjects: 1,000 of 2,000"
    assert terminal.getvalue().endswith("2,000\r\x1b[K")


def test_room_is_made_for_other_lines_once(terminal: Terminal) -> None:
    with steps(wanted=True) as progress:
        progress("objects", 1, 2)
        progress.clear()
        progress.clear()
    assert terminal.getvalue().count("\r\x1b[K") == 2


def test_nothing_is_shown_where_nobody_looks(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    with steps(wanted=False) as progress:
        progress("objects", 1, 2)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with steps(wanted=True) as progress:
        progress("objects", 1, 2)
    assert terminal.getvalue() == ""
