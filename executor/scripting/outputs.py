"""What a script is to make: outputs as they are declared, and values in which they stand."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from typing import Any, Final

from redun.core.errors import TaskError
from redun.core.files.file import File
from redun.core.files.staging import Output

#: The path that stands for standard output, and what stands for it among outputs.
STDOUT: Final = "-"
NULL: Final = Output(File, STDOUT, None, "content")


def declared(outputs: Any, tempdir: bool) -> Any:
    """Returns outputs as they are declared: what stands for files is where they will be, not what is there now.

    Raises:
        TaskError: if one cannot be an output.
    """
    return replaced(outputs, lambda item: _output(item, tempdir))


def _output(item: Any, tempdir: bool) -> Any:
    if type(item) is Output:
        return item
    output = Output.of(item)
    if output is None:
        return item
    if output.path == STDOUT and output.local is not None:
        raise TaskError('standard output has no local path: File("-") is an output by itself')
    if tempdir and output.local is not None and leads_out(output.local):
        raise TaskError(
            f"the local path {output.local!r} of an output leads out of the temporary directory",
            hint="give a path in it, such as out.txt",
        )
    return output


def leads_out(local: str) -> bool:
    """Returns whether a relative path is one of somewhere above."""
    return os.path.normpath(local).split("/")[0] == ".."


# -- values in values -------------------------------------------------------------------------------------------------


def leaves(value: Any) -> Iterator[Any]:
    """Yields what is in a value and is no container, in order. However deep it is, nothing recurses."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(part for pair in reversed(item.items()) for part in reversed(pair))
        elif isinstance(item, list | tuple):
            stack.extend(reversed(item))
        elif isinstance(item, set | frozenset):
            stack.extend(item)
        elif fields := _fields(item):
            stack.extend(getattr(item, name) for name in reversed(fields))
        else:
            yield item


def replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """Returns a value with its leaves changed."""
    if isinstance(value, dict):
        return {replaced(key, change): replaced(item, change) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(replaced(item, change) for item in value))
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(replaced(item, change) for item in value)
    if fields := _fields(value):
        made = copy.copy(value)
        for name in fields:
            object.__setattr__(made, name, replaced(getattr(value, name), change))  # it may be frozen
        return made
    return change(value)


def _fields(value: Any) -> list[str]:
    """The names of the fields of a dataclass; an expression has whatever it is asked for, so its class is asked."""
    return list(getattr(type(value), "__dataclass_fields__", ()))
