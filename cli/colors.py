"""Whether to colour, and how: `--color`, `NO_COLOR`, `FORCE_COLOR`, then whether the stream is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, Final

CHOICES: Final = ("auto", "always", "never")

Paint = Callable[[str, str], str]
"""Given a text and the name of a role ("run", "cached", "failed", ...), returns the text to print."""

#: Colours by what the text says, not by where it stands. Names as click knows them.
_ROLES: Final[dict[str, dict[str, bool | str]]] = {
    "prefix": {"dim": True},
    "run": {"fg": "yellow"},
    "cached": {"fg": "cyan"},
    "done": {"fg": "green"},
    "failed": {"fg": "red", "bold": True},
    "id": {"fg": "yellow"},
    "title": {"bold": True},
    "faint": {"dim": True},
}


def wants_color(choice: str, stream: IO[str] | None, environ: Mapping[str, str]) -> bool:
    """Returns whether to colour what goes to `stream`.

    `choice` (of `--color`) wins; then a non-empty NO_COLOR (no-color.org), then FORCE_COLOR (any but empty and 0), then
    whether the stream is a terminal that is not dumb.
    """
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return is_terminal(stream) and environ.get("TERM") != "dumb"


def is_terminal(stream: IO[str] | None) -> bool:
    """Returns whether the stream is an open terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def write_escaped(stream: IO[str], text: str) -> None:
    """Writes text; a character that the stream's encoding lacks becomes an escape instead of an error."""
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = getattr(stream, "encoding", None) or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def painter(colored: bool) -> Paint:
    """Returns the function that colours a text by its role, or leaves it alone."""
    return _painted if colored else _plain


def _plain(text: str, role: str) -> str:
    return text


def _painted(text: str, role: str) -> str:
    # Here and not at the top: the plain path never needs click.
    from click import style

    return style(text, **_ROLES[role])  # type: ignore[arg-type]
