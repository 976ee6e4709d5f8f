"""What the libraries of remote filesystems are told, by scheme, and how long their servers are waited for.

It is one for the process, as files are: `redun.toml` says it in `[files]`, workers are given what their run was given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from redun.core.concealed import remember_texts
from redun.core.errors import ConfigError
from redun.core.files.remote.urls import settings_of

#: Seconds without an answer, where nobody says.
DEFAULT_TIMEOUT: Final = 60
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET: Final = re.compile(
    r"passw|passphrase|secret|token|credential|connection_string|^key$|[a-z]_?key$|auth", re.IGNORECASE
)


class FileOptions(NamedTuple):
    """Storage options by scheme, as they were written, and the seconds that a server is waited for."""

    schemes: Mapping[str, Mapping[str, Any]] = {}
    timeout: int = DEFAULT_TIMEOUT


_current = FileOptions()


def current() -> FileOptions:
    """Returns what holds for this process."""
    return _current


def configure(options: FileOptions) -> None:
    """Makes options hold for this process."""
    global _current
    _current = options


def to_text(options: FileOptions) -> str:
    """Returns options as a worker is told of them, with variables as they were written; empty where nothing is said."""
    if options == FileOptions():
        return ""
    import json  # hardly any run has options

    return json.dumps([{name: dict(table) for name, table in options.schemes.items()}, options.timeout], default=str)


def from_text(text: str) -> FileOptions:
    """Returns the options of a text that `to_text` made."""
    if not text:
        return FileOptions()
    import json

    return FileOptions(*json.loads(text))


def options_of(scheme: str) -> dict[str, Any]:
    """Returns the storage options of a scheme. `${NAME}` in them is an environment variable; what has a name like a
    secret's is masked from then on wherever it would be printed.

    Raises:
        ConfigError: if a variable is not set.
    """
    name = settings_of(scheme)
    return {option: _filled(value, name, option) for option, value in _current.schemes.get(name, {}).items()}


def _filled(value: Any, scheme: str, name: str) -> Any:
    if isinstance(value, Mapping):
        return {inner: _filled(item, scheme, inner) for inner, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(item, scheme, name) for item in value]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        text = os.environ.get(found[1])
        if text is None:
            raise ConfigError(
                f"files.{scheme}.{name} is ${{{found[1]}}}, and there is no environment variable {found[1]}",
                key=f"files.{scheme}.{name}",
                hint="set it, also where workers run",
            )
        return text

    text = _VARIABLE.sub(variable, value)
    if _SECRET.search(name):
        remember_texts(text)
    return text
