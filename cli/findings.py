"""What `redun doctor` finds: one line a fact, with a mark that says whether something is to be done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from redun.cli.colors import Paint
from redun.cli.exits import INTERNAL, exit_code
from redun.core.errors import RedunError
from redun.core.forms import printable

#: Mark -> role of its colour.
MARKS: Final = {"ok": "done", "warn": "run", "bad": "failed"}
_ABOUT: Final = 14
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
_STEP: Final = 1000


class Finding(NamedTuple):
    """A fact: `ok`, `warn` (works, and somebody should know) or `bad` (does not work); what it is about; what to do.

    `code` is the exit code of a bad one.
    """

    mark: str
    about: str
    text: str
    hint: str = ""
    code: int = 0


def bad(about: str, error: Exception) -> Finding:
    """Returns the finding that an error is."""
    if isinstance(error, RedunError):
        return Finding("bad", about, error.message, error.hint, exit_code(error))
    return Finding("bad", about, f"{type(error).__name__}: {error}", code=INTERNAL)


def examined(about: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yields what `look` finds. Whatever it raises is a finding too: a patient with one complaint may have others."""
    try:
        yield from look()
    except Exception as error:  # noqa: BLE001  whoever calls a doctor has something that does not work
        yield bad(about, error)


def finding_line(finding: Finding, paint: Paint) -> str:
    """Returns the line of a finding."""
    mark = paint(f"{finding.mark:<4}", MARKS[finding.mark])
    hint = f"; {printable(finding.hint)}" if finding.hint else ""
    return f"  {mark}  {printable(finding.about):<{_ABOUT}}  {printable(finding.text)}{hint}"


def size_text(size: int) -> str:
    """Returns a number of bytes for people: `512 bytes`, `1.5 MB`."""
    number, unit = float(size), 0
    while number >= _STEP and unit < len(_UNITS) - 1:
        number, unit = number / _STEP, unit + 1
    return f"{size} bytes" if not unit else f"{number:.1f} {_UNITS[unit]}"
