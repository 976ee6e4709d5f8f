"""Text and JSON to the values that an annotation asks for. Pure functions: what they are given decides what comes out.

`from_text` reads one word of a command line, `from_json` one item of parsed JSON; containers are written as JSON and
their items read by `from_json`. What does not fit raises `Unfit`, which says what was expected.

The `json` module is loaded by what needs it: most arguments are plain words.
"""

from __future__ import annotations

import enum
import functools
import math
import operator
import os
import typing
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, NoReturn

from redun.cli.annotations import choices, container_of, fields_of, is_secret, item_of, members, plain, type_name
from redun.cli.text_forms import READERS, Reader, constructor_of, parser_of

_NOTHING: Final = ("none", "null")
_TRUE: Final = frozenset(("true", "yes", "on", "1"))
_FALSE: Final = frozenset(("false", "no", "off", "0"))
#: Words that `--flag WORD` takes as its value.
BOOL_WORDS: Final = _TRUE | _FALSE
#: Characters of an unfit text that its complaint repeats.
_SHOWN_CHARS: Final = 80


class Unfit(ValueError):
    """Text or JSON that an annotation does not admit. Its message says what was expected and what came."""


def _unfit(kind: Any, found: object, why: str = "") -> NoReturn:
    import json

    shown = found if isinstance(found, str) else json.dumps(found, default=str)
    if len(shown) > _SHOWN_CHARS:
        shown = f"{shown[:_SHOWN_CHARS]}..."
    raise Unfit(f"{shown!r} is not {_article(type_name(kind))}" + (f" ({why})" if why else ""))


def _no_form(kind: Any) -> NoReturn:
    raise Unfit(f"{_article(type_name(kind))} has no text form, so it cannot be given on the command line")


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


# -- text -------------------------------------------------------------------------------------------------------------


def from_text(text: str, kind: Any) -> Any:
    """Returns the value that a word of the command line means where `kind` is wanted.

    Raises:
        Unfit: if it means none.
    """
    kind = plain(kind)
    if kind is str:
        return text
    if is_secret(kind):
        return _secret(kind)(from_text(text, _kept(kind)))
    if kind is Any or kind is object:
        return _loose(text)
    several = members(kind)
    if len(several) > 1:
        return _first_fit(several, lambda member: from_text(text, member), kind, text)
    if kind is type(None):
        return None if text.lower() in _NOTHING else _unfit(kind, text)
    if typing.get_origin(kind) is Literal or isinstance(kind, enum.EnumMeta):
        return _choice(kind, text)
    read = _reader(kind)
    if read is not None:
        return _read(read, kind, text)
    if container_of(kind) is None and fields_of(kind) is None and not hasattr(kind, "model_validate"):
        read = constructor_of(kind)
        return _no_form(kind) if read is None else _read(read, kind, text)
    return from_json(_parse_json(text, kind), kind)


def _secret(kind: Any) -> Any:
    return typing.get_origin(kind) or kind


def _kept(kind: Any) -> Any:
    """Returns the annotation of what a secret keeps: text where nothing is said."""
    return typing.get_args(kind)[0] if typing.get_args(kind) else str


def from_texts(texts: list[str], kind: Any) -> Any:
    """Returns the container that an option given several times means: each word an item, or a JSON array of items.

    Raises:
        Unfit: if a word fits neither as an item nor as an array of items.
    """
    container = plain(kind)
    items: list[Any] = []
    for text in texts:
        array = _array(text)
        if array is not None:
            try:
                items.extend([from_json(part, item_of(container, len(items) + i)) for i, part in enumerate(array)])
                continue
            except Unfit:
                # It may still be one item, where items are arrays themselves; if not, the first complaint is better.
                if container_of(members(item_of(container))[0]) is None:
                    raise
        items.append(from_text(text, item_of(container, len(items))))
    return _gather(items, container)


def _loose(text: str) -> Any:
    import json

    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are words, not JSON


def _array(text: str) -> list[Any] | None:
    if not text.lstrip().startswith("["):
        return None
    value = _loose(text)
    return value if isinstance(value, list) else None


def _parse_json(text: str, kind: Any) -> Any:
    import json

    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _unfit(kind, text, f"not JSON: {error}")


def _first_fit(kinds: Iterable[Any], read: Callable[[Any], Any], kind: Any, found: object) -> Any:
    # What takes any text goes last, whatever the order in the annotation: `str | int` and `int | str` mean the same.
    complaints: list[Unfit] = []
    for member in sorted(kinds, key=_greediness):
        try:
            return read(member)
        except Unfit as error:
            if member is not type(None):
                complaints.append(error)
    if len(complaints) == 1:  # one thing or nothing: what is wrong with the thing
        raise complaints[0]
    _unfit(kind, found)


def _greediness(kind: Any) -> int:
    if kind is type(None):
        return 4  # `none` is a fine text, path or file name where such is wanted
    if kind is Any or kind is object:
        return 3
    read = _reader(kind)
    return 2 if read in (_any_text, _bytes) else 1 if read is _construct else 0


def _choice(kind: Any, found: Any) -> Any:
    if isinstance(kind, enum.EnumMeta):
        if isinstance(found, str) and found in kind.__members__:
            return kind[found]
        everything: list[Any] = list(kind)
        table: dict[Any, Any] = {m.value: m for m in everything if isinstance(m.value, str | int | float)}
    else:
        table = {choice: choice for choice in typing.get_args(kind)}
    for value, choice in table.items():
        if type(value) is type(found) and value == found:
            return choice
    for value, choice in table.items():
        if isinstance(found, str) and str(value) == found:
            return choice
    if isinstance(kind, enum.EnumMeta) and issubclass(kind, enum.Flag) and isinstance(found, str) and "|" in found:
        return functools.reduce(operator.or_, (_choice(kind, part.strip()) for part in found.split("|")))
    raise Unfit(f"{found!r} is none of {', '.join(choices(kind))}")


# -- classes with a text form -----------------------------------------------------------------------------------------


def _reader(kind: Any) -> Reader | None:
    """Returns what reads the text form of a class, found by its name or a base's: nothing is imported to ask."""
    kind = typing.get_origin(kind) or kind  # of Callable[[int], str] and re.Pattern[str], too
    if not isinstance(kind, type):
        return None
    parser = parser_of(kind)
    if parser is not None:
        return parser
    for base in kind.__mro__:
        name = f"{base.__module__}.{base.__qualname__}"
        reader = _READERS.get(name) or READERS.get(name, (None, ""))[0]
        if reader is not None:
            return reader
    return None


def _read(read: Reader, kind: Any, text: str) -> Any:
    try:
        return read(kind, text)
    except Unfit:
        raise
    except (ValueError, ArithmeticError, TypeError) as error:
        _unfit(kind, text, "" if kind in (int, float, complex) else str(error))


def _construct(kind: Any, text: str) -> Any:
    return kind(text)


def _any_text(kind: Any, text: str) -> Any:
    return kind(text)


def _from_iso(kind: Any, text: str) -> Any:
    return kind.fromisoformat(text)


def _bool(kind: Any, text: str) -> bool:
    word = text.lower()
    return word in _TRUE if word in BOOL_WORDS else _unfit(kind, text, "true or false")


def _int(kind: Any, text: str) -> Any:
    number = int(text, 0) if text.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else int(text)
    return number if kind is int else kind(number)


def _bytes(kind: Any, text: str) -> Any:
    return kind(os.fsencode(text))


def _seconds(kind: Any, text: str) -> Any:
    """Reads a number of seconds, or H:MM:SS, with days in front as `2 days, 3:00:00` or `2d 3:00:00`."""
    days, _, clock = text.rpartition("d") if "d" in text else ("0", "", text)
    clock = clock.removeprefix("ays").removeprefix("ay").strip(" ,") or "0"
    total = 0.0
    for part in clock.split(":"):
        total = total * 60 + float(part)
    return kind(days=float(days), seconds=total)


_READERS: Final[dict[str, Reader]] = {
    "builtins.bool": _bool,
    "builtins.int": _int,
    "builtins.float": _construct,
    "builtins.complex": _construct,
    "builtins.str": _any_text,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "decimal.Decimal": _construct,
    "fractions.Fraction": _construct,
    "uuid.UUID": _construct,
    "pathlib.PurePath": _any_text,
    "redun.core.files.file.File": _any_text,
    "redun.core.files.sets.FileSet": _any_text,  # and `Dir`, which is one
    "datetime.date": _from_iso,
    "datetime.datetime": _from_iso,
    "datetime.time": _from_iso,
    "datetime.timedelta": _seconds,
    "ipaddress.IPv4Address": _construct,
    "ipaddress.IPv6Address": _construct,
    "numpy.generic": _construct,
}


# -- JSON -------------------------------------------------------------------------------------------------------------


def from_json(item: Any, kind: Any) -> Any:
    """Returns the value that an item of parsed JSON means where `kind` is wanted.

    Raises:
        Unfit: if it means none.
    """
    kind = plain(kind)
    if kind is Any or kind is object:
        return item
    if is_secret(kind):
        return _secret(kind)(from_json(item, _kept(kind)))
    several = members(kind)
    if len(several) > 1:
        return _first_fit(several, lambda member: from_json(item, member), kind, item)
    if kind is type(None):
        return None if item is None else _unfit(kind, item)
    if typing.get_origin(kind) is Literal or isinstance(kind, enum.EnumMeta):
        return _choice(kind, item)
    container = container_of(kind)
    if container is dict:
        return _mapping(item, kind)
    if container is not None:
        if not isinstance(item, list):
            _unfit(kind, item, "a JSON array is")
        return _gather([from_json(part, item_of(kind, i)) for i, part in enumerate(item)], kind)
    return _leaf(item, kind)


def _leaf(item: Any, kind: Any) -> Any:
    if kind is str or kind is bool:
        return item if type(item) is kind else _unfit(kind, item)
    if type(item) is bool:
        _unfit(kind, item)
    if kind is int and isinstance(item, int):
        return item
    if kind is float and isinstance(item, int | float):
        return float(item)
    fields = fields_of(kind)
    if fields is not None:
        return _record(item, kind, fields)
    if hasattr(kind, "model_validate"):
        return _model(item, kind)
    read = _reader(kind) or constructor_of(kind)
    if read is None:
        _no_form(kind)
    if isinstance(item, str) and kind not in (int, float, complex):
        return _read(read, kind, item)
    if isinstance(item, int | float) and kind is not bytes and math.isfinite(item):
        return _read(read, kind, repr(item))
    _unfit(kind, item)


def _model(item: Any, kind: Any) -> Any:
    """A model of pydantic, which checks the item itself."""
    try:
        return kind.model_validate(item)
    except ValueError as error:
        found: Any = getattr(error, "errors", None)
        told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}".lstrip(": ") for e in found()] if found else [str(error)]
        raise Unfit(f"{type_name(kind)}: {'; '.join(told)}") from None


def _mapping(item: Any, kind: Any) -> dict[Any, Any]:
    if not isinstance(item, dict):
        _unfit(kind, item, "a JSON object is")
    arguments = typing.get_args(kind)
    key_kind, value_kind = arguments if len(arguments) == 2 else (Any, Any)
    if plain(key_kind) is Any:
        key_kind = str  # a JSON object's keys are text, and stay so where nothing else is asked for
    return {from_text(key, key_kind): from_json(value, value_kind) for key, value in item.items()}


def _gather(items: list[Any], kind: Any) -> Any:
    container = container_of(kind)
    arguments = typing.get_args(kind)
    if container is tuple and arguments and arguments[-1] is not ... and len(items) != len(arguments):
        raise Unfit(f"{type_name(kind)} wants {len(arguments)} items, not {len(items)}")
    if container is None or container is list:
        return items
    try:
        return container(items)
    except TypeError as error:  # an item of a set that has no hash
        raise Unfit(f"{type_name(kind)}: {error}") from None


def _record(item: Any, kind: Any, fields: dict[str, tuple[Any, bool]]) -> Any:
    if isinstance(item, list) and issubclass(kind, tuple) and len(item) <= len(fields):
        item = dict(zip(fields, item, strict=False))
    if not isinstance(item, dict):
        _unfit(kind, item, f"a JSON object with {', '.join(fields)} is")
    for name in item:
        if name not in fields:
            raise Unfit(f"{type_name(kind)} has no field {name!r}, only {', '.join(fields)}")
    for name, (_, required) in fields.items():
        if required and name not in item:
            raise Unfit(f"{type_name(kind)} lacks its field {name!r}")
    values = {name: from_json(value, fields[name][0]) for name, value in item.items()}
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:  # what its own checks say
        raise Unfit(f"{type_name(kind)}: {error}") from None
