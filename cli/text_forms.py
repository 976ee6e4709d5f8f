"""Classes that have a text form, beyond numbers and times: how a word becomes one, and how help describes the word.

Classes are found by name: nothing is imported to ask whether an annotation is one of them.
"""

from __future__ import annotations

import enum
import sys
import typing
from collections.abc import Callable
from typing import Any, Final

Reader = Callable[[Any, str], Any]


def _construct(kind: Any, text: str) -> Any:
    return kind(text)


def _numbers(kind: Any, text: str) -> Any:
    """Reads `STOP`, `START:STOP` or `START:STOP:STEP`, as in a slice; a range has no parts that are missing."""
    try:
        parts: list[Any] = [int(part) if part.strip() else None for part in text.split(":")]
        return kind(*parts)
    except (ValueError, TypeError):
        raise ValueError("START:STOP:STEP is") from None


def _pattern(_: Any, text: str) -> Any:
    import re

    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(str(error)) from None


def _zone(kind: Any, text: str) -> Any:
    try:
        return kind(text)
    except (LookupError, OSError):  # a zone that is not known is a KeyError, a folder of zones an OSError
        raise ValueError("Area/City is, such as Europe/Berlin") from None


def _array(_: Any, text: str) -> Any:
    import json

    numpy: Any = sys.modules["numpy"]  # whoever names its class has loaded it
    return numpy.array(json.loads(text))


def _offset(kind: Any, text: str) -> Any:
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(f"2000-01-01T00:00:00{'Z' if text.upper() == 'UTC' else text}")
        return kind(moment.utcoffset())
    except (ValueError, TypeError):
        raise ValueError("UTC or an offset such as +01:00 is") from None


def _by_name(kind: Any, text: str) -> Any:
    """Reads `module.name` or `module:name`."""
    import importlib

    module, _, name = text.rpartition(":" if ":" in text else ".")
    try:
        found: Any = importlib.import_module(module or "builtins")
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{error}; MODULE.NAME is") from None
    if not (isinstance(found, type) if kind is type else callable(found)):
        raise ValueError(f"that is a {type(found).__name__}")
    return found


#: How each class is read, and what help says of the word.
READERS: Final[dict[str, tuple[Reader, str]]] = {
    "builtins.range": (_numbers, "STOP, START:STOP or START:STOP:STEP"),
    "builtins.slice": (_numbers, "START:STOP or START:STOP:STEP"),
    "builtins.type": (_by_name, "MODULE.CLASS"),
    "collections.abc.Callable": (_by_name, "MODULE.FUNCTION"),
    "types.FunctionType": (_by_name, "MODULE.FUNCTION"),
    "builtins.function": (_by_name, "MODULE.FUNCTION"),
    "re.Pattern": (_pattern, "a regular expression"),
    "zoneinfo.ZoneInfo": (_zone, "Area/City"),
    "datetime.timezone": (_offset, "UTC or +HH:MM"),
    "ipaddress.IPv4Network": (_construct, "A.B.C.D/N"),
    "ipaddress.IPv6Network": (_construct, "X::/N"),
    "ipaddress.IPv4Interface": (_construct, "A.B.C.D/N"),
    "ipaddress.IPv6Interface": (_construct, "X::Y/N"),
    "numpy.dtype": (_construct, "such as int32"),
    "numpy.ndarray": (_array, "a JSON array"),
    "pandas.Timestamp": (_construct, "such as 2026-01-31T12:00"),
    "pandas.Timedelta": (_construct, "such as 90s or '2 days 3h'"),
}
#: What help says of the words of classes that `conversions` reads.
_FORMS: Final = {
    "builtins.bool": "",
    "datetime.datetime": "such as 2026-01-31T12:00",
    "datetime.date": "YYYY-MM-DD",
    "datetime.time": "HH:MM:SS",
    "datetime.timedelta": "seconds or [D days,] HH:MM:SS",
    "fractions.Fraction": "such as 1/3",
    "builtins.complex": "such as 1+2j",
}


def parser_of(kind: Any) -> Reader | None:
    """Returns the `parse_arg` of a class of values, or of the proxy of a class, if it has one."""
    loaded = sys.modules.get("redun.core.value_protocol")  # whoever has such a class has loaded it
    if loaded is None:
        return None
    proxy = next((loaded.PROXIES[base] for base in kind.__mro__ if base in loaded.PROXIES), None)
    for owner in (kind, proxy):
        if owner is not None and loaded.reads_words(owner):
            read: Reader = owner.parse_arg
            return read
    return None


def constructor_of(kind: Any) -> Reader | None:
    """Returns what makes one of a class of the user from a text, if its constructor takes one."""
    if not isinstance(kind, type) or kind.__module__.partition(".")[0] in sys.stdlib_module_names:
        return None
    return _construct if _takes_a_text(kind) else None


def _takes_a_text(kind: Any) -> bool:
    """Whether a class is made of one text: one argument is enough, and it is said to be a text or nothing is."""
    import inspect

    if "__init__" not in vars(kind) and "__new__" not in vars(kind):
        return False
    try:
        parameters = list(inspect.signature(kind).parameters.values())
    except (ValueError, TypeError):
        return False
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return (
        len(needed) == 1
        and needed[0].kind is not needed[0].KEYWORD_ONLY
        and needed[0].annotation in (str, "str", needed[0].empty)
    )


def form_of(kind: Any) -> str:
    """Returns how a word is to be written where that is not plain from the type's name; empty where it is."""
    kind = typing.get_origin(kind) or kind
    if not isinstance(kind, type):
        return ""
    if hasattr(kind, "model_validate") or hasattr(kind, "__dataclass_fields__") or hasattr(kind, "__attrs_attrs__"):
        return "a JSON object"
    if issubclass(kind, enum.Flag):
        return "joined by |"
    if issubclass(kind, dict):
        return "a JSON object"
    for base in kind.__mro__:
        name = f"{base.__module__}.{base.__qualname__}"
        if name in READERS:
            return READERS[name][1]
        if name in _FORMS:
            return _FORMS[name]
    return ""
