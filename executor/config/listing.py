"""All settings as a list: what is set and what is not, each with where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from redun.core.errors import ConfigError
from redun.executor.config.executors import BUILT
from redun.executor.config.records import ExecutorSettings, Origin, ProjectSettings
from redun.executor.config.schema import ANY, KEYS, Path, is_table, key_of, names_below
from redun.executor.config.showing import did_you_mean, key_text


class Row(NamedTuple):
    """One setting: its path, its value as a file would say it (None: nothing), and where it came from."""

    path: Path
    value: Any
    origin: Origin


def rows(settings: ProjectSettings, below: Path = ()) -> list[Row]:
    """Returns the settings at a path and below it, in the order of the schema.

    Raises:
        ConfigError: if there is no such setting.
    """
    if not is_table(below) and key_of(below) is None and below[:1] != ("context",):
        *outer, last = below
        hint = did_you_mean(last, names_below(tuple(outer)))
        raise ConfigError(f"{key_text(below)} is no setting", key=key_text(below), hint=hint)
    found = [row for row in _all(settings) if row.path[: len(below)] == below]
    return found or [Row(below, None, BUILT)]


def read_key(text: str) -> Path:
    """Returns the path that a key as TOML writes it stands for.

    Raises:
        ConfigError: if it is no such key.
    """
    import tomllib

    try:
        table: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        raise ConfigError(f"{text!r} is no key", hint='such as executors.default.workers, or tags."a b"') from None
    path: Path = ()
    while isinstance(table, dict) and len(table) == 1:
        ((name, table),) = table.items()
        path = (*path, name)
    if table != 0:
        raise ConfigError(f"{text!r} is no key")
    return path


def _all(settings: ProjectSettings) -> Iterator[Row]:
    seen: set[str] = set()
    for key in KEYS:
        section = key.path[0]
        if key.path == ("context",) or ANY in key.path:
            if section not in seen:
                seen.add(section)
                yield from _chosen(settings, section)
        elif key.path in settings.entries:
            entry = settings.entries[key.path]
            yield Row(key.path, entry.raw, entry.origin)
        else:
            yield Row(key.path, key.default, BUILT)


def _chosen(settings: ProjectSettings, section: str) -> Iterator[Row]:
    """Yields the settings of a section whose names the user chooses."""
    if section == "executors":
        for executor in settings.executors.values():
            yield from _executor(settings, executor)
        return
    for path, entry in settings.entries.items():
        key = key_of(path)
        if path[0] == section and (key is None or ANY in key.path):
            yield Row(path, entry.raw, entry.origin)


def _executor(settings: ProjectSettings, executor: ExecutorSettings) -> Iterator[Row]:
    for name, value in executor._asdict().items():
        path = ("executors", executor.name, name)
        entry = settings.entries.get(path)
        if entry is not None:
            yield Row(path, entry.raw, entry.origin)
        elif name in ("type", "workers", "target") and value is not None:
            yield Row(path, value, BUILT)
