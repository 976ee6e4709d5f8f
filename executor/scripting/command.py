"""Commands: what a user writes as text or as words, and what is executed for it."""

from __future__ import annotations

import os
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from redun.core.errors import TaskError
from redun.executor.scripting.words import quote

#: What runs a command that does not say it by itself. A command fails when any part of it does.
BASH: Final = ("bash", "-euo", "pipefail")
#: The most of a command that is one word of another (Linux: 128 KiB); a longer one is read from a file.
_WORD_BYTES: Final = 100_000
#: What the shell calls itself in what it says.
_NAME: Final = "script"


def command_text(command: Any) -> str:
    """Returns the text of a command: without the indentation that all its lines have; of words, quoted.

    Raises:
        TaskError: if it is neither text nor words, empty, or holds a NUL.
    """
    if isinstance(command, list | tuple):
        if not command:
            raise TaskError("the command of a script is empty", hint="give at least the name of a program")
        return quote(command)
    if not isinstance(command, str):
        raise TaskError(
            f"the command of a script is text or a list of words, not a {type(command).__name__}",
            hint="a lazy command is one that a task returned; plain values are needed here",
        )
    text = textwrap.dedent(command).strip("\n").rstrip()
    if not text.strip():
        raise TaskError("the command of a script is empty", hint="write what is to be run")
    if "\0" in text:
        raise TaskError("no command can hold a NUL", hint="pass such data in a file")
    return text


@contextmanager
def executable(text: str) -> Iterator[list[str | bytes]]:
    """Gives the words that execute a command, as long as the block lasts.

    A command that begins with `#!` is one for the interpreter named there, as the kernel reads it.

    Raises:
        TaskError: if no interpreter is named after `#!`.
        OSError: if a temporary file is needed and cannot be written.
    """
    data = os.fsencode(text) + b"\n"
    interpreter = _interpreter(text)
    if interpreter is None and len(data) < _WORD_BYTES:
        yield [*BASH, "-c", os.fsencode(text), _NAME]
        return
    with tempfile.NamedTemporaryFile(prefix="redun-script-") as file:
        file.write(data)
        file.flush()
        yield [*(interpreter or BASH), file.name]


def _interpreter(text: str) -> list[str] | None:
    if not text.startswith("#!"):
        return None
    words = text.partition("\n")[0][2:].split(maxsplit=1)
    if not words:
        raise TaskError("no interpreter is named after #!", hint="write #!/usr/bin/env python3, or leave the line out")
    return [word.rstrip() for word in words]
