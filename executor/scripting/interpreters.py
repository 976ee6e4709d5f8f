"""What is executed for the text of a command."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redun.core.errors import TaskError

#: What runs a command that does not say it by itself. A command fails when any part of it does.
BASH: Final = ("bash", "-euo", "pipefail")
#: The most of a command that is one word of another (Linux: 128 KiB); a longer one is read from a file.
_WORD_BYTES: Final = 100_000
#: What the shell calls itself in what it says.
_NAME: Final = "script"


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
