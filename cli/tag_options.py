"""Tags as options and arguments of commands."""

from __future__ import annotations

from redun.cli.exits import UsageError
from redun.core.tags import read_tag


def read_tag_option(text: str) -> tuple[str, str | None]:
    """Returns the name and the value as kept of `NAME=VALUE`; None for the value of `NAME` alone.

    Raises:
        UsageError: if it is no tag.
    """
    try:
        return read_tag(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no tag: {error}", hint="write it as NAME=VALUE") from None


def read_pair(text: str) -> tuple[str, str]:
    """Returns the name and the value as kept of `NAME=VALUE`.

    Raises:
        UsageError: if it is none.
    """
    name, value = read_tag_option(text)
    if value is None:
        raise UsageError(f"{text!r} is no tag: it has no value", hint="write it as NAME=VALUE")
    return name, value
