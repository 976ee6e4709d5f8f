"""What a setting may be: each kind says what it expects, and makes a value of what was written."""

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from redun.core.quantities import bytes_of, seconds_of
from redun.core.tags import check_tag, tag_text, tag_value


class Kind(NamedTuple):
    """A kind of setting.

    Attributes:
        expected: what stands there, as a message says it.
        read: makes the value of what a file holds; raises ValueError where that is something else.
        from_text: makes what a file would hold of a text, for sources that know only texts.
    """

    expected: str
    read: Callable[[Any], Any]
    from_text: Callable[[str], Any] = str


class Unfit(ValueError):
    """What was written is not of the kind."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise Unfit
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise Unfit
    return value


def _natural(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise Unfit
    return value


def _yes_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unfit
    return value


def _number(text: str) -> Any:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else text


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise Unfit
    return tuple(map(_text, value))


def _matching(pattern: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if re.fullmatch(pattern, _text(value)) is None:
            raise Unfit
        return str(value)

    return read


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Unfit
    return value


def _tag(value: Any) -> str:
    try:
        text = tag_text(value)
        check_tag("name", text)
    except (TypeError, ValueError):
        raise Unfit from None
    return text


def _named_table(value: Any) -> dict[str, Any]:
    if not all(name.isidentifier() for name in _table(value)):
        raise Unfit
    return dict(value)


def _quantity(parsed: Callable[[str], int | None]) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        amount = parsed(_text(value))
        if amount is None:
            raise Unfit
        return amount

    return read


def _packages(value: Any) -> tuple[str, ...]:
    if not all(part.isidentifier() for name in _texts(value) for part in name.split(".")):
        raise Unfit
    return _texts(value)


def choice(*words: str) -> Kind:
    """Returns the kind of which these words are."""

    def read(value: Any) -> str:
        if value not in words or not isinstance(value, str):
            raise Unfit
        return value

    return Kind(f"{', '.join(words[:-1])} or {words[-1]}", read)


TEXT: Final = Kind("a text", _text)
PATH: Final = Kind("a path, as text", _text)
YES_NO: Final = Kind("true or false", _yes_no, lambda text: {"true": True, "false": False}.get(text, text))
WHOLE: Final = Kind("a whole number, 1 or more", _whole, _number)
NATURAL: Final = Kind("a whole number, 0 or more", _natural, _number)
TEXTS: Final = Kind("a list of texts", _texts, _words)
TAG: Final = Kind("a text, a number, true, false or a list", _tag, tag_value)
PACKAGES: Final = Kind('a list of packages, such as ["mylib"]', _packages, _words)
TABLE: Final = Kind("a table", _table)
NAMED_TABLE: Final = Kind("a table whose names are Python names", _named_table)
FACTORY: Final = Kind('a function, as "package.module:name"', _matching(r"[^\W\d][\w.]*:[^\W\d][\w.]*"))
DURATION: Final = Kind("a duration, such as 45m, 12h, 30d, 8w or 1y", _quantity(seconds_of))
EXPIRY: Final = Kind("a duration, such as 12h or 7d, or now", _quantity(lambda t: 0 if t == "now" else seconds_of(t)))
SIZE: Final = Kind("a size, such as 500MB, 20GB or 2GiB", _quantity(bytes_of))
