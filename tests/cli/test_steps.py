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
    """A terminal on which steps are shown at once."""
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)
    return Terminal()


def test_on_a_terminal_the_line_is_shown_and_cleared_at_the_end(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal
) -> None:
    monkeypatch.setattr("sys.stderr", terminal)  # here: capturing begins anew with the test itself
    with steps(wanted=True) as progress:
        progress("objects", 1000, 2000)
        assert terminal.getvalue() == "\r\x1b[Kobjects: 1,000 of 2,000"
    assert terminal.getvalue().endswith("2,000\r\x1b[K")


def test_where_nobody_knows_of_how_many_the_number_stands_alone(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal
) -> None:
    monkeypatch.setattr("sys.stderr", terminal)
    with steps(wanted=True) as progress:
        progress("executions", 1000, 0)
        assert terminal.getvalue().endswith("executions: 1,000")


def test_room_is_made_for_other_lines_once(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    monkeypatch.setattr("sys.stderr", terminal)
    with steps(wanted=True) as progress:
        progress("objects", 1, 2)
        progress.clear()
        progress.clear()
    assert terminal.getvalue().count("\r\x1b[K") == 2


def test_nothing_is_shown_where_nobody_looks(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    monkeypatch.setattr("sys.stderr", terminal)
    with steps(wanted=False) as progress:
        progress("objects", 1, 2)
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    with steps(wanted=True) as progress:
        progress("objects", 1, 2)
    assert terminal.getvalue() + file.getvalue() == ""
