"""How an execution ended, for people (the result pretty-printed, the traceback of jobs) and for programs (JSON)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from redun.cli.render import SHORT_ID, safe_repr, short_repr, shorten
from redun.core.concealed import redacted
from redun.core.errors import RedunError
from redun.core.forms import printable, printable_lines

if TYPE_CHECKING:
    from redun.core.history import TraceFrame
    from redun.executor.observer import Execution, FailedJob
    from redun.executor.reasons import Reason

#: A result of more items is printed as its repr: laying it out would take longer than computing it did.
_LAID_OUT: Final = 10_000
#: Columns that a result is laid out in, and the most items that may fit in one such line.
_WIDTH: Final = 80
_ONE_LINE: Final = 40
_SIMPLE: Final = frozenset({int, float, bool, type(None)})
#: Characters of one argument in a traceback of jobs, and of a line of an error's text.
_LINE_CHARS: Final = 1_000
#: Lines of an error's text.
_ERROR_LINES: Final = 100
#: Errors of a chain whose frames are looked at.
_CHAIN: Final = 100
#: Errors of a group that are shown, and how far groups inside groups are indented.
_GROUP_MEMBERS: Final = 10
_GROUP_INDENT: Final = 10
#: Characters of a result's repr in JSON.
_REPR_CHARS: Final = 10_000


# -- the result -------------------------------------------------------------------------------------------------------


def result_text(value: Any) -> str:
    """Returns the result pretty-printed, escaped, with a line break at its end."""
    return printable_lines(_laid_out(value)) + "\n"


def _laid_out(value: Any) -> str:
    if not _is_short(value, _LAID_OUT):
        return safe_repr(value)
    if _is_short(value, _ONE_LINE) and len(text := safe_repr(value)) <= _WIDTH:
        return text  # as pprint would, too
    if type(value) is list and _SIMPLE.issuperset(map(type, value)):
        return "[" + ",\n ".join(map(repr, value)) + "]"  # as pprint would, which takes 3 us an item
    from pprint import pformat  # here: a short result does without

    try:
        return pformat(value, width=_WIDTH, sort_dicts=False)
    except Exception:  # noqa: BLE001 - the repr of a user's class, or nesting deeper than pprint can follow
        return safe_repr(value)


def _is_short(value: Any, limit: int) -> bool:
    """Returns whether a value holds no more than `limit` items, all levels together."""
    stack, count = [value], 0
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            parts: Any = item.values()
        elif isinstance(item, list | tuple | set | frozenset):
            parts = item
        else:
            continue
        count += len(parts)
        if count > limit:
            return False
        stack.extend(parts)
    return True


# -- failures ---------------------------------------------------------------------------------------------------------


def failure_lines(execution: Execution) -> list[str]:
    """Returns the lines of a job traceback: the jobs from the outermost in, then the frames of the error and itself."""
    from redun.executor.failures import causes, trace_of  # here: a run that succeeds does without

    lines = ["*** Execution failed. Traceback (most recent task last):"]
    for job in execution.failed:
        lines += _job_lines(job)
    if execution.trace is not None:
        lines += _frame_lines(execution.trace.frames)
    if execution.error is None:
        return lines
    lines += error_lines(execution.error)
    lines += _member_lines(execution.error)
    for cause in causes(execution.error)[1:]:
        lines += ["Caused by:", *_frame_lines(trace_of(cause).frames), *error_lines(cause), *_member_lines(cause)]
    return lines


def _member_lines(error: BaseException, indent: str = "  ") -> list[str]:
    """Returns the errors of a group, each with where it was raised, one level of indentation further in."""
    from redun.executor.failures import trace_of  # as above

    if not isinstance(error, BaseExceptionGroup) or len(indent) > _GROUP_INDENT:
        return []
    lines = []
    for member in error.exceptions[:_GROUP_MEMBERS]:
        told = [*_frame_lines(trace_of(member).frames), *error_lines(member)]
        lines += [f"{indent}+ {told[0].strip()}", *(f"{indent}  {line}" for line in told[1:])]
        lines += _member_lines(member, f"{indent}  ")
    left_out = len(error.exceptions) - _GROUP_MEMBERS
    return [*lines, f"{indent}+ {left_out} more errors"] if left_out > 0 else lines


def _job_lines(job: FailedJob) -> list[str]:
    name = job.fullname.rpartition(".")[2]
    where = f'File "{printable(job.file)}", line {job.line}, in {printable(name)}' if job.file else job.fullname
    lines = [f"  Job {job.id[:SHORT_ID]}: {where}"]
    if job.text:
        lines.append(f"    {printable(job.text)}")
    lines += [f"    {printable(name)} = {short_repr(value, _LINE_CHARS)}" for name, value in job.args]
    return lines


def _frame_lines(frames: tuple[TraceFrame, ...]) -> list[str]:
    lines = []
    for frame in frames:
        if frame.file:
            lines.append(f'  File "{printable(frame.file)}", line {frame.line}, in {printable(frame.function)}')
        else:
            lines.append(f"  {printable(frame.function)}")
        if frame.text:
            lines.append(f"    {printable(frame.text)}")
    return lines


def error_lines(error: BaseException) -> list[str]:
    """Returns an error as Python words it, with its notes; bounded, and whatever its own methods do."""
    from traceback import format_exception_only  # as in failure_lines

    try:
        text = "".join(format_exception_only(error))
    except Exception:  # noqa: BLE001 - the user's `__str__`
        text = type(error).__name__
    if isinstance(error, RedunError):
        text = text.removeprefix(f"{type(error).__module__}.")  # where our classes stand is of no interest
    lines = redacted(text).rstrip("\n").split("\n")
    shown = [printable(shorten(line, _LINE_CHARS)) for line in lines[:_ERROR_LINES]]
    if len(lines) > _ERROR_LINES:
        shown.append(f"... {len(lines) - _ERROR_LINES} more lines")
    return shown


# -- JSON -------------------------------------------------------------------------------------------------------------


def execution_json(
    execution: Execution, task: str, argv: list[str], reasons: Sequence[tuple[str, str, Reason]] | None
) -> str:
    """Returns the execution as one line of JSON.

    `result` is the result as JSON (`redun.core.json_form` says how what JSON lacks is written), or null where it has no
    such form; `result_repr` is its repr, cut at 10,000 characters. `ran` lists the jobs that ran and why, where that
    was asked for, as `redun explain --json` does.
    """
    import json  # here: most runs print their result for people

    done = execution.error is None and execution.status.name == "DONE"
    columns = ("pending", "running", "failed", "cached", "done", "total")
    document: dict[str, Any] = {
        "execution": execution.uuid,
        "digest": execution.digest.hex() if execution.digest is not None else None,
        "status": execution.status.name,
        "task": task,
        "argv": argv,
        "result": _json_value(execution.value) if done else None,
        "result_repr": shorten(safe_repr(execution.value), _REPR_CHARS) if done else None,
        "duration": round(execution.duration, 6),
        "counts": {c.fullname: {column: getattr(c, column) for column in columns} for c in execution.counts},
        "total": {column: sum(getattr(c, column) for c in execution.counts) for column in columns},
        "error": _error_json(execution) if execution.error is not None else None,
    }
    if reasons is not None:
        # Here and not at the top: hardly any run is asked.
        from redun.cli.reason_view import reason_json

        document["ran"] = [{"job": job, "task": name, "reason": reason_json(reason)} for job, name, reason in reasons]
    # Lone surrogates (from file names) become escapes, which every reader of JSON takes.
    return json.dumps(document, ensure_ascii=True)


def _error_json(execution: Execution) -> dict[str, Any]:
    error = execution.error
    frames = execution.trace.frames if execution.trace is not None else ()
    return {
        "type": type(error).__name__,
        "message": _message(error),
        "jobs": [{"id": job.id, "task": job.fullname, "file": job.file, "line": job.line} for job in execution.failed],
        "frames": [{"file": f.file, "line": f.line, "function": f.function, "text": f.text} for f in frames],
    }


def _message(error: BaseException | None) -> str:
    try:
        return redacted(str(error))
    except Exception:  # noqa: BLE001 - the user's `__str__`
        return ""


def _json_value(value: Any) -> Any:
    if _is_json(value):
        return value
    from redun.core.digest import DEFAULT_FORMAT
    from redun.core.json_form import to_json
    from redun.core.values import Encoder

    try:
        return to_json(Encoder(DEFAULT_FORMAT).encode(value).payload)
    except RedunError:  # it has no deterministic encoding, so it was not stored either
        return None


def _is_json(value: Any) -> bool:
    kind = type(value)
    if kind in (type(None), bool, str):
        return True
    if kind is int:
        return bool(abs(value) < 2**53)
    if kind is float:
        return math.isfinite(value)
    if kind is list:
        return all(map(_is_json, value))
    return kind is dict and all(
        type(name) is str and not name.startswith("$") and _is_json(item) for name, item in value.items()
    )


# -- loading ----------------------------------------------------------------------------------------------------------


def loading_lines(error: BaseException) -> list[str]:
    """Returns the traceback of an error that the user's own code raised while it was loaded, without our frames."""
    from traceback import StackSummary, TracebackException  # here: only on the way to an error

    told = TracebackException.from_exception(error)
    waiting, seen = [told], 0
    while waiting and seen < _CHAIN:
        one = waiting.pop()
        seen += 1
        one.stack = StackSummary.from_list([frame for frame in one.stack if not _is_ours(frame.filename)])
        waiting += [link for link in (one.__cause__, one.__context__) if link is not None]
    lines = printable_lines(redacted("".join(told.format()))).rstrip("\n").split("\n")
    return lines if told.stack else lines[lines[0].startswith("Traceback ") :]


def _is_ours(file: str) -> bool:
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    return file.startswith((ours, "<frozen importlib")) or f"{os.sep}importlib{os.sep}" in file


def has_frames_of_the_user(error: BaseException) -> bool:
    """Returns whether the error came up while code of the user ran."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace is not None
