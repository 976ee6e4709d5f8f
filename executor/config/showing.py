"""How settings are printed: keys and values as TOML has them, places as short as they are clear, secrets not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from redun.core.concealed import MASK, redacted
from redun.executor.config.records import Origin

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SECRET: Final = re.compile(
    r"passw|passphrase|secret|token|credential|(api|private|access)[_-]?key|authorization", re.IGNORECASE
)
_CREDENTIALS: Final = re.compile(r"(\w://)[^/@\s]+@")
_SHOWN_CHARS: Final = 60


def key_text(path: Iterable[str]) -> str:
    """Returns a key as TOML writes it: `executors.default.workers`."""
    return ".".join(part if _BARE.fullmatch(part) else _quoted(part) for part in path)


def value_text(path: Iterable[str], value: Any) -> str:
    """Returns a value as TOML writes it; one whose name, or whose key's name, tells of a secret is masked."""
    return redacted(_toml(value, hidden=any(map(_SECRET.search, path))))


def masked(path: Iterable[str], value: Any) -> Any:
    """Returns a value as JSON may have it, with what `value_text` masks masked."""
    return _masked(value, hidden=any(map(_SECRET.search, path)))


def brief(path: Iterable[str], value: Any) -> str:
    """Returns a value as a message quotes it."""
    text = value_text(path, value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def place_text(origin: Origin) -> str:
    """Returns where a setting came from; a file is named from the working directory where it lies there or below."""
    source = origin.source
    if os.path.isabs(source):
        try:
            short = os.path.relpath(source)
        except OSError:  # the working directory is gone
            short = source
        source = source if short.startswith("..") else short
    return str(Origin(source, origin.line))


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns a hint that names the closest of some names, or all of them."""
    from difflib import get_close_matches  # here: only ever needed on the way to an error

    known = list(names)
    close = get_close_matches(name.replace("-", "_").lower(), known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"there is {', '.join(known)}" if known else ""


def _masked(value: Any, *, hidden: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            str(name): _masked(item, hidden=hidden or bool(_SECRET.search(str(name)))) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(item, hidden=hidden) for item in value]
    if hidden and value is not None:
        return MASK
    if isinstance(value, str):
        return redacted(_CREDENTIALS.sub(rf"\1{MASK}@", value))
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def _toml(value: Any, *, hidden: bool) -> str:
    if isinstance(value, Mapping):
        items = (
            f"{key_text([str(name)])} = {_toml(item, hidden=hidden or bool(_SECRET.search(str(name))))}"
            for name, item in value.items()
        )
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item, hidden=hidden) for item in value)}]"
    if hidden:
        return MASK
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(_CREDENTIALS.sub(rf"\1{MASK}@", value))
    return str(value)


def _quoted(text: str) -> str:
    import json  # here: nothing is shown of settings that make sense, unless somebody asks

    return json.dumps(text, ensure_ascii=False)
