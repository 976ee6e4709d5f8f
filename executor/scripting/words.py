"""Words of a shell: values put into a command so that each is taken for what it is, whatever is in it."""

from __future__ import annotations

import os
import re
import shlex
import textwrap
from collections.abc import Generator, Mapping
from typing import Any, Final, cast

from redun.core.errors import TaskError
from redun.core.expressions import is_lazy
from redun.core.scheduler_tasks import scheduler_task

#: A place for a value, or `${name}`, which is the shell's.
_PLACE: Final = re.compile(r"(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")


def quote(value: Any) -> str:
    """Returns a value as a word of a shell: text, a path or a `File`, a number; of a list or tuple, the words of all.
    Of a lazy value it is lazy.

    Raises:
        TaskError: if it is something else, or holds a NUL.
    """
    return sh("{value}", value=value)


def sh(template: str, /, **values: Any) -> str:
    """Returns a command with values in the places `{name}`, each quoted. Of lazy values it is lazy.

        sh("wc -l {data} | awk '{print $1}' > {counts}", data=File("my data.txt"), counts="a'b.txt")

    Only a name alone in braces is a place, so braces of `awk` and of the shell stand as they are; `${name}` is a
    variable of the shell. Put no quotes around a place.

    Raises:
        TaskError: if a place has no value, a value has no place, or a value is not one of those that `quote` takes.
    """
    if is_lazy(template) or is_lazy(values):
        return cast(str, _sh(template, values))
    return _filled(template, values)


@scheduler_task(namespace="redun", name="sh", version="1")
def _sh(template: Any, values: Any) -> Generator[Any, Any, str]:
    found = yield [template, values]
    return _filled(*found)


def _filled(template: str, values: Mapping[str, Any]) -> str:
    unused = set(values)

    def fill(place: re.Match[str]) -> str:
        dollar, name = place.groups()
        if dollar:
            return place.group()
        if name not in values:
            raise TaskError(f"sh(): nothing is given for {{{name}}}", hint=f"add {name}=..., or write ${{{name}}}")
        unused.discard(name)
        return _word(values[name], name)

    if not isinstance(template, str):
        raise TaskError(f"sh() takes text, not {type(template).__name__}")
    text = _PLACE.sub(fill, textwrap.dedent(template).strip())
    if unused:
        name = min(unused)
        raise TaskError(f"sh(): the command has no {{{name}}}", hint="each value that is given has a place of its name")
    return text


def _word(value: Any, name: str) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_word(item, name) for item in value)
    if isinstance(value, os.PathLike):
        text = os.fsdecode(value)
        if text.startswith("-"):
            text = f"./{text}"  # a path, and no option
    elif isinstance(value, str):
        text = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        text = repr(value)
    else:
        raise TaskError(f"{name}: {type(value).__name__} is no word of a shell", hint="give text, a path or a number")
    if "\0" in text:
        raise TaskError(f"{name}: no word of a shell can hold a NUL")
    return shlex.quote(text)
