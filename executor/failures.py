"""Failures: from an exception to what is recorded and shown of it."""

from __future__ import annotations

import linecache
import os
import traceback
from pathlib import PurePath
from types import FrameType, TracebackType
from typing import Any, Final

from redun.core.codec import storable
from redun.core.concealed import redacted
from redun.core.objects import TraceFrame, TraceRecord

#: Frames of redun's own code, whatever floor they are on, say nothing about a mistake of the user's.
_OURS: Final = f"{PurePath(__file__).parent.parent}{os.sep}"
_FRAMES: Final = 200
_TEXT: Final = 10_000


def summary(error: BaseException) -> str:
    """Returns the last line of a traceback, as Python words it; an error whose text cannot be made is still named."""
    return storable(redacted(_summary(error)))


def _summary(error: BaseException) -> str:
    try:
        lines = "".join(traceback.format_exception_only(error)).rstrip("\n").split("\n")
        if isinstance(error, SyntaxError):  # Python puts where it is before what it is
            return lines[-1][:_TEXT]
        notes = sum(note.count("\n") + 1 for note in _notes(error))
        return "\n".join(lines[: len(lines) - notes] if notes else lines)[:_TEXT]
    except Exception:  # noqa: BLE001  the user's own __str__ may raise anything
        return type(error).__name__


def trace_of(error: BaseException) -> TraceRecord:
    """Returns the traceback of an error without the engine's own frames; long recursions keep both their ends."""
    frames = []
    for frame, line in _walk(error.__traceback__):
        code = frame.f_code
        if code.co_filename.startswith(_OURS):
            continue
        text = linecache.getline(code.co_filename, line, frame.f_globals).strip()
        frames.append(TraceFrame(storable(code.co_filename), line, storable(code.co_name), storable(text)))
    if len(frames) > _FRAMES:
        half = _FRAMES // 2
        left_out = TraceFrame("", 0, f"... {len(frames) - _FRAMES} more ...", "")
        frames = [*frames[:half], left_out, *frames[-half:]]
    return TraceRecord(summary(error), tuple(frames), _notes(error))


def _notes(error: BaseException) -> tuple[str, ...]:
    try:
        found = getattr(error, "__notes__", None)  # whoever assigns it may assign anything
    except Exception:  # noqa: BLE001  or make it a property
        return ()
    return tuple(map(_words, found)) if isinstance(found, (list, tuple)) else ()


def _words(note: Any) -> str:
    try:
        return storable(redacted(str(note)))
    except Exception:  # noqa: BLE001  the note's own __str__ may raise anything
        return f"<{type(note).__name__}>"


def causes(error: BaseException) -> list[BaseException]:
    """Returns the error and those that it was raised from or while handling, newest first, each once."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and all(current is not seen for seen in chain):
        chain.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return chain


def _walk(trace: TracebackType | None) -> list[tuple[FrameType, int]]:
    return [] if trace is None else list(traceback.walk_tb(trace))
