"""Places that settings come from: files in three forms, environment variables, and tables that a program gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from redun.core.errors import ConfigError
from redun.core.project_files import PYPROJECT_NAME
from redun.executor.config.records import Origin, Remark
from redun.executor.config.schema import VARIABLES
from redun.executor.config.showing import place_text

#: No file of settings is read above this.
_BYTES: Final = 4 * 1024 * 1024
_PREFIX: Final = ("tool", "redun")


class Source(NamedTuple):
    """Settings of one place.

    Attributes:
        data: tables inside tables, as TOML has them.
        origin: tells where a key stands.
        base: the directory that relative paths count from.
        texts: whether values may be texts that stand for numbers and lists.
        whole: whether an executor that stands here replaces one of a weaker place, or is only amended.
        remarks: what was read and has no meaning here.
    """

    data: Mapping[str, Any]
    origin: Callable[[tuple[str, ...]], Origin]
    base: Path
    texts: bool = False
    whole: bool = True
    remarks: tuple[Remark, ...] = ()


def read_source(path: Path, environ: Mapping[str, str]) -> Source:
    """Reads a file of settings; its name tells its form.

    Raises:
        ConfigError: if it cannot be read, or is not of that form.
    """
    text = read_text(path)
    if path.suffix == ".ini":
        # Here, as TOML below: a project has one of them, and some none.
        from redun.executor.config.ini import read_ini
        from redun.executor.config.translate import translate

        sections = read_ini(path, text, environ)
        found = translate(sections)
        return Source(found.data, found.origin, path.parent, texts=True, remarks=found.remarks)
    data = read_toml(path, text)
    prefix: tuple[str, ...] = ()
    if path.name == PYPROJECT_NAME:
        prefix = _PREFIX
        data = _within(data, path)
    lines = _Lines(path, text, prefix)
    return Source(data, lines.origin, path.parent)


def variables(environ: Mapping[str, str], here: Path) -> list[Source]:
    """Returns what environment variables set, a place each; an empty variable sets nothing."""
    found = []
    for name, path in VARIABLES.items():
        if environ.get(name):
            found.append(given({path: environ[name]}, name, here)._replace(texts=True))
    return found


def given(values: Mapping[tuple[str, ...], Any], by: str, here: Path) -> Source:
    """Returns single settings as a place of their own, known as `by`."""
    data: dict[str, Any] = {}
    for path, value in values.items():
        table = data
        for part in path[:-1]:
            table = table.setdefault(part, {})
        table[path[-1]] = value
    return Source(data, lambda _: Origin(by), here, whole=False)


def read_text(path: Path) -> str:
    """Returns the text of a file.

    Raises:
        ConfigError: if it cannot be read, is no UTF-8, or is too large to be one of ours.
    """
    place = place_text(Origin(str(path)))
    try:
        with open(path, "rb") as file:
            data = file.read(_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{place} cannot be read: {error.strerror}", path=str(path)) from None
    if len(data) > _BYTES:
        raise ConfigError(f"{place} has more than {_BYTES:,} bytes", path=str(path), hint="is it the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        place = place_text(Origin(str(path), line))
        raise ConfigError(f"{place}: not UTF-8", path=str(path), line=line, hint="save it as UTF-8") from None


def read_toml(path: Path, text: str) -> dict[str, Any]:
    """Returns the tables of a TOML file.

    Raises:
        ConfigError: if it is none.
    """
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = re.search(r" ?\(at line (\d+), column \d+\)", message)
        line = int(found[1]) if found else text.count("\n") + 1
        message = message.replace(found[0], "") if found else message.replace(" (at end of document)", "")
    except RecursionError:
        line, message = None, "nested too deep"
    place = place_text(Origin(str(path), line))
    hint = "see https://toml.io; texts stand in quotes" if "Invalid value" in message else ""
    raise ConfigError(f"{place}: {message[:1].lower()}{message[1:]}", path=str(path), line=line, hint=hint)


class _Lines:
    """Tells on which line of a TOML file a key stands; reads the text only when it is asked."""

    def __init__(self, path: Path, text: str, prefix: tuple[str, ...]) -> None:
        self._path = path
        self._text = text
        self._prefix = prefix
        self._lines: dict[tuple[str, ...], int] | None = None

    def origin(self, key: tuple[str, ...]) -> Origin:
        return Origin(str(self._path), lambda: self._line(key))

    def _line(self, key: tuple[str, ...]) -> int | None:
        if self._lines is None:
            from redun.executor.config.toml_lines import key_lines

            self._lines = key_lines(self._text)
        full = (*self._prefix, *key)
        while full and full not in self._lines:
            full = full[:-1]
        return self._lines.get(full)


def toml_origin(path: Path, text: str) -> Callable[[tuple[str, ...]], Origin]:
    """Returns what tells where the keys of a TOML file stand."""
    return _Lines(path, text, ()).origin


def _within(data: dict[str, Any], path: Path) -> dict[str, Any]:
    for name in _PREFIX:
        data = data.get(name, {})
        if not isinstance(data, dict):
            place = place_text(Origin(str(path)))
            raise ConfigError(f"{place}: tool.redun is no table", path=str(path), key="tool.redun")
    return data
