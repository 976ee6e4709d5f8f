"""Commands: what a user writes as text or as words."""

from __future__ import annotations

import textwrap
from typing import Any

from redun.core.errors import TaskError
from redun.executor.scripting.words import quote


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
            f"the command of a script is text or a list of words, not {type(command).__name__}",
            hint='write "ls -l" or ["ls", "-l"]',
        )
    text = textwrap.dedent(command).strip("\n").rstrip()
    if not text.strip():
        raise TaskError("the command of a script is empty", hint="write what is to be run")
    if "\0" in text:
        raise TaskError("no command can hold a NUL", hint="pass such data in a file")
    return text
