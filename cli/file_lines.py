"""Files in a state, as lines of lists and as documents."""

from __future__ import annotations

from typing import Any

from redun.cli.colors import Paint
from redun.cli.history_view import SHORT
from redun.core.forms import printable
from redun.store.file_history import FileState


def state_document(state: FileState, mode: str) -> dict[str, Any]:
    """Returns the document of a file in one state."""
    return {
        "kind": "file",
        "path": state.path,
        "hash": None if state.state is None else state.state.hex(),
        "class": state.kind,
        "mode": mode,
        "archive": None if state.archive is None else state.archive.hex(),
        "values": [value.hex() for value in state.values],
    }


def state_line(state: FileState, mode: str, paint: Paint) -> str:
    """Returns the line of a file in one state, in a list."""
    name = paint(f"{state_text(state):<{SHORT}}", "id")
    return f"File {name} {mode:<2} {printable(state.path)}{'' if state.archive is None else ' (archived)'}"


def state_text(state: FileState) -> str:
    """Returns the start of what a file is compared by."""
    return "missing" if state.state is None else state.state.hex()[:SHORT] or "-"
