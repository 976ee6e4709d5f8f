"""Text for people: escaped names, shortened values, calls, job lines, the status table. Pure functions, no I/O.

Everything that comes out of a store or a workflow passes through `printable`: a name or a value never moves the cursor,
sets a title or hides text on the reader's terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from redun.cli.colors import Paint
from redun.core.forms import printable
from redun.core.history import TaskCount

#: Characters of an argument list in one printed line.
ARGUMENT_CHARS: Final = 200
#: Hexadecimal characters of an id in a line.
SHORT_ID: Final = 8
ELLIPSIS: Final = "..."

#: Characters of a command line, and of one word of it, that are printed; the history keeps all.
_COMMAND_CHARS: Final = 4_000
_WORD_CHARS: Final = 1_000
_COLUMNS: Final = ("PENDING", "RUNNING", "FAILED", "CACHED", "DONE", "TOTAL")
_COLUMN_WIDTH: Final = 8
#: The least width of the column of names.
_NAME_WIDTH: Final = 7
#: Containers inside containers that a shortened value shows.
_SHOWN_DEPTH: Final = 5
#: A longer integer has no decimal form that Python computes quickly, or at all (`sys.set_int_max_str_digits`).
_INT_BITS: Final = 4096


def shorten(text: str, limit: int) -> str:
    """Returns the text cut to `limit` characters, three dots at the end where something is missing."""
    return text if len(text) <= limit else text[: max(0, limit - len(ELLIPSIS))] + ELLIPSIS


def shell_text(words: Iterable[str]) -> str:
    """Returns the words of a command line as a shell would read them, escaped and of a length that can be read."""
    from shlex import quote  # here: few lines need it

    text = " ".join([quote(shorten(word, _WORD_CHARS)) for word in words])
    return printable(shorten(text, _COMMAND_CHARS))


def safe_repr(value: object) -> str:
    """Returns `repr(value)`, or what it is when its own repr raises or gives no text."""
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - the user's code, and any of it may be wrong
        return f"<{type(value).__qualname__}: its repr raised {type(error).__qualname__}>"


def short_repr(value: object, limit: int = ARGUMENT_CHARS) -> str:
    """Returns one line of at most `limit` characters that shows the value.

    The work is bounded by `limit`, not by the size of the value, for the built-in types.
    """
    return shorten(printable(_bounded(value, limit, _SHOWN_DEPTH)), limit)


def _bounded(value: object, limit: int, depth: int) -> str:
    kind = type(value)
    if kind is str or kind is bytes or kind is bytearray:
        # One character or byte more than fits is enough to tell that something is missing.
        return repr(value[: limit + 1])  # type: ignore[index]
    if kind is int:
        bits = value.bit_length()  # type: ignore[attr-defined]
        return repr(value) if bits <= _INT_BITS else f"<int of {bits} bits>"
    if kind in _BRACKETS:
        return _container(value, kind, limit, depth)
    if kind in _PLAIN:
        return repr(value)
    text = safe_repr(value)
    return " ".join(text.split()) if "\n" in text else text


_PLAIN: Final = frozenset((bool, float, complex, type(None)))
_BRACKETS: Final[dict[type, tuple[str, str]]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    dict: ("{", "}"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}


def _container(value: Any, kind: type, limit: int, depth: int) -> str:
    opening, closing = _BRACKETS[kind]
    if not value:
        return repr(value)
    if depth == 0:
        return f"{opening}{ELLIPSIS}{closing}"
    parts: list[str] = []
    room = limit
    for item in value.items() if kind is dict else value:
        if room <= 0:
            parts.append(ELLIPSIS)
            break
        if kind is dict:
            text = f"{_bounded(item[0], room, depth - 1)}: {_bounded(item[1], room, depth - 1)}"
        else:
            text = _bounded(item, room, depth - 1)
        parts.append(text)
        room -= len(text) + 2
    comma = "," if kind is tuple and len(value) == 1 else ""
    return f"{opening}{', '.join(parts)}{comma}{closing}"


def call_text(fullname: str, arguments: Iterable[tuple[str, object]], limit: int = ARGUMENT_CHARS) -> str:
    """Returns `fullname(name=value, ...)` with the argument list cut to `limit` characters.

    An argument without a name (one of `*args`) is shown by its value alone.
    """
    parts: list[str] = []
    room = limit
    for name, value in arguments:
        text = short_repr(value, max(room, len(ELLIPSIS)))
        if name:
            text = f"{printable(name)}={text}"
        if len(text) > room:
            parts.append(shorten(text, room) if room > 2 * len(ELLIPSIS) else ELLIPSIS)
            break
        parts.append(text)
        room -= len(text) + 2
    return f"{printable(fullname)}({', '.join(parts)})"


def job_line(paint: Paint, verb: str, job: str, call: str, *, key: str = "", executor: str = "default") -> str:
    """Returns the line of a job: `Run    Job 8hex:  call on default`, `Cached Job ...` or `*** Reject Job ...`."""
    short = paint(job[:SHORT_ID], "id")
    if verb == "Run":
        return f"{paint('Run', 'run')}    Job {short}:  {call} on {printable(executor)}"
    if verb == "Cached":
        return f"{paint('Cached', 'cached')} Job {short}:  {call} (eval_hash={key[:SHORT_ID]})"
    return f"{paint(f'*** {verb}', 'failed')} Job {short}:  {call}:"


def miss_line(paint: Paint, job: str, fullname: str, reason: str) -> str:
    """Returns the line that says why a job was not answered from the cache: `Miss   Job 8hex:  fullname: reason`."""
    return f"{paint('Miss', 'faint')}   Job {paint(job[:SHORT_ID], 'id')}:  {printable(fullname)}: {reason}"


def status_table(counts: Sequence[TaskCount], when: str) -> list[str]:
    """Returns the lines of the status table, a line for all tasks first, then the tasks by name.

    `when` is a date and time as it shall be printed.
    """
    total = TaskCount(
        "ALL",
        pending=sum(c.pending for c in counts),
        running=sum(c.running for c in counts),
        failed=sum(c.failed for c in counts),
        cached=sum(c.cached for c in counts),
        done=sum(c.done for c in counts),
    )
    rows = [total, *sorted(counts, key=lambda count: count.fullname)]
    names = [printable(row.fullname) for row in rows]
    width = max(_NAME_WIDTH, *map(len, names))
    lines = [f"| JOB STATUS {when}", f"| {'TASK':<{width}}{_cells(_COLUMNS)}", "| "]
    for name, row in zip(names, rows, strict=True):
        numbers = (row.pending, row.running, row.failed, row.cached, row.done, row.total)
        lines.append(f"| {name:<{width}}{_cells(numbers)}")
    return lines


def _cells(cells: Iterable[object]) -> str:
    return "".join(f" {cell!s:>{_COLUMN_WIDTH - 1}}" for cell in cells)


def duration_text(seconds: float) -> str:
    """Returns a duration as the last line of a run shows it."""
    return f"{seconds:.2f} seconds"
