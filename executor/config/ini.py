"""The form of `.redun/redun.ini`: sections whose dots nest, keys, and `${NAME}` for another key or a variable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from configparser import (
    ConfigParser,
    DuplicateOptionError,
    DuplicateSectionError,
    MissingSectionHeaderError,
    ParsingError,
)
from configparser import Error as ParserError
from pathlib import Path
from typing import Any, Final, NamedTuple

from redun.core.errors import ConfigError
from redun.executor.config.records import Origin
from redun.executor.config.showing import place_text

_REFERENCE: Final = re.compile(r"\$(\$|\{([^}]*)\})")
_SECTION: Final = re.compile(r"\[(?P<name>.+)\]")
_KEY: Final = re.compile(r"(?P<name>[^\s\[#;=:][^=:]*?)\s*[=:]")
_DEPTH: Final = 10


class Text(NamedTuple):
    """A value as it stands in a section, and how to get what it says."""

    raw: str
    section: Mapping[str, str]
    environ: Mapping[str, str]
    origin: Origin

    def read(self, depth: int = 0) -> str:
        """Returns the value with every reference replaced.

        Raises:
            ConfigError: if one leads nowhere, or in a ring.
        """
        if depth > _DEPTH:
            raise ConfigError(
                f"{place_text(self.origin)}: references that refer to each other", path=self.origin.source
            )

        def replaced(found: re.Match[str]) -> str:
            if found[1] == "$":
                return "$"
            name = found[2].rpartition(":")[2]
            if name in self.section:
                return self._replace(raw=self.section[name]).read(depth + 1)
            if name in self.environ:
                return self.environ[name]
            message = f"{place_text(self.origin)}: ${{{name}}} is neither a key of its section nor a variable"
            hint = f"set it: export {name}=..."
            raise ConfigError(message, path=self.origin.source, line=self.origin.line, hint=hint)

        return _REFERENCE.sub(replaced, self.raw)


def read_ini(path: Path, text: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Returns the sections of a file as tables inside tables, with a `Text` for each value.

    Raises:
        ConfigError: if it is not of this form.
    """
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # keys differ by case
    try:
        parser.read_string(text)
    except ParserError as error:
        line, message = _told(error)
        place = place_text(Origin(str(path), line))
        raise ConfigError(f"{place}: {message}", path=str(path), line=line) from None
    lines = _lines(text)
    data: dict[str, Any] = {}
    for section in parser.sections():
        table = data
        for part in section.split("."):
            table = table.setdefault(part, {})
        values = dict(parser.items(section))
        own = [name for name in values if (section, name) in lines]
        for name in own:
            table[name] = Text(values[name], values, environ, Origin(str(path), lines[section, name]))
    return data


def _told(error: ParserError) -> tuple[int | None, str]:
    if isinstance(error, MissingSectionHeaderError):
        return error.lineno, "a key before the first [section]"
    if isinstance(error, DuplicateOptionError):
        return error.lineno, f"{error.option} stands twice in [{error.section}]"
    if isinstance(error, DuplicateSectionError):
        return error.lineno, f"[{error.section}] stands twice"
    if isinstance(error, ParsingError) and error.errors:
        return error.errors[0][0], "neither a [section] nor key = value"
    return None, str(error).splitlines()[0]


def _lines(text: str) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _SECTION.match(line):
            section = header["name"]
        elif key := _KEY.match(line):
            found.setdefault((section, key["name"].rstrip()), number)
    return found
