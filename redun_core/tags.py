"""Tags: names and values that people give to things, in the form in which they are kept.

A value is JSON, and is kept as text. Text that reads as JSON is that, any other text stands for itself, so quotes are
needed only for a word that would otherwise be a number and the like: `env=prod`, `count=3`, `count="3"`, `l=[1, 2]`.
"""

from __future__ import annotations

from typing import Any, Final

#: Characters of a name and of a value: a tag is a word or a few, what is longer is a value of its own.
NAME_CHARS: Final = 200
VALUE_CHARS: Final = 10_000
_QUOTED: Final = frozenset(" ,()'\"\\")


def tag_value(text: str) -> Any:
    """Returns the value that a text stands for."""
    import json  # here, as below: lists of executions show tags, and nearly all are plain words

    try:
        value = json.loads(text, parse_constant=_refused)
        json.dumps(value, allow_nan=False)  # a number beyond all floats is read as infinite
    except (ValueError, RecursionError):
        return text
    return value


def tag_text(value: Any) -> str:
    """Returns the text of a value: the one text of all that stand for it.

    Raises:
        TypeError, ValueError: if it is no JSON.
    """
    if isinstance(value, str) and _is_text(value) and tag_value(value) is value:
        return value
    return _written(value)


def canonical(text: str) -> str:
    """Returns the text under which what a person typed is kept: `[1,2]` and `[1, 2]` are one value."""
    return tag_text(tag_value(text))


def read_tag(text: str) -> tuple[str, str | None]:
    """Returns the name, and the value as it is kept, of `NAME=VALUE`; None for the value of `NAME` alone.

    Raises:
        ValueError: if it is no tag; the message says why.
    """
    name, equals, value = text.partition("=")
    kept = canonical(value) if equals else None
    check_tag(name, kept or "")
    return name, kept


def tag_pairs(tags: Any) -> tuple[tuple[str, str], ...]:
    """Returns the pairs of name and value as they are kept, of pairs (or a mapping) of names and JSON.

    Raises:
        TypeError, ValueError: if one can be no tag.
    """
    pairs = tags.items() if isinstance(tags, dict) else tags
    found = tuple((str(name), tag_text(value)) for name, value in pairs)
    for name, value in found:
        check_tag(name, value)
    return found


def check_tag(name: str, value: str) -> None:
    """Raises ValueError if no tag can be called so, or have that text as its value."""
    if not name.strip():
        raise ValueError("it has no name")
    if name != name.strip() or not name.isprintable() or "=" in name:
        raise ValueError("its name begins or ends with a space, or has characters that no name has")
    if len(name) > NAME_CHARS or len(value) > VALUE_CHARS:
        raise ValueError(f"a name has at most {NAME_CHARS} characters and a value {VALUE_CHARS:,}")
    if not _is_text(value):
        raise ValueError("its value is no text")


def shown_tag(name: str, value: str) -> str:
    """Returns a tag as people read it: `env=prod`, `doc="My doc"`, `l=[1, 2]`. Not escaped for a terminal."""
    if _QUOTED.isdisjoint(value) and value:
        return f"{name}={value}"
    return f"{name}={_written(tag_value(value))}"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _written(value: Any) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if _is_text(text) else json.dumps(value, allow_nan=False)


def _refused(text: str) -> Any:
    raise ValueError(text)
