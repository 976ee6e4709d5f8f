"""`Config`: settings that a program gives, in the shape of `redun.toml`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from redun.core.errors import ConfigError
from redun.executor.config.records import ProjectSettings
from redun.executor.config.resolve import load_settings, resolve
from redun.executor.config.sources import Source
from redun.executor.config.translate import translate


class Config(Mapping[str, Any]):
    """Settings given by a program:

        Scheduler(config=Config({"executors": {"default": {"type": "threads", "workers": 4}}, "limits": {"db": 2}}))

    The tables are those of `redun.toml`. Those of a `redun.ini` are understood, too: `{"type": "local", "mode":
    "process", "max_workers": "4"}`, numbers as text among them; what has no meaning here is in `settings.remarks`.

    Args:
        config: tables inside tables; a table may also be named by a dotted key, `executors.default`.

    Raises:
        ConfigError: if a setting is unknown, or not what it may be.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        if not isinstance(config, Mapping | None):
            raise ConfigError(f"Config takes a dict, not {type(config).__name__}")
        self._tables = _unfolded(config or {})
        found = translate(self._tables, ours=True)
        here = Path(os.getcwd())
        self._settings = resolve([Source(found.data, found.origin, here, texts=True, remarks=found.remarks)])

    @property
    def settings(self) -> ProjectSettings:
        """All settings, checked, with the defaults."""
        return self._settings

    def get_config_dict(self) -> dict[str, Any]:
        """Returns the tables as they were given, as new ones."""
        return _copied(self._tables)

    def __getitem__(self, key: str) -> Any:
        return self._tables[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        return f"Config({', '.join(self._tables)})"  # names of tables only: values may be secrets


def settings_of(config: Config | ProjectSettings | Mapping[str, Any]) -> ProjectSettings:
    """Returns the settings that a program means: a `Config`, tables to make one of, or settings that were loaded.

    Raises:
        ConfigError: if the tables make no sense.
    """
    if isinstance(config, ProjectSettings):
        return config
    return (config if isinstance(config, Config) else Config(config)).settings


def _unfolded(config: Mapping[str, Any]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for name, value in config.items():
        _check_name(name)
        *outer, last = name.split(".")
        table = tables
        for part in outer:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{name}: {part} is no table")
        if isinstance(value, Mapping):
            inner = table.setdefault(last, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{name} is set twice")
            inner.update(_copied(value))
        else:
            table[last] = value
    return tables


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise ConfigError(f"a key of Config is {name!r}; expected a text")


def _copied(table: Mapping[str, Any]) -> dict[str, Any]:
    for name in table:
        _check_name(name)
    return {name: _copied(value) if isinstance(value, Mapping) else value for name, value in table.items()}


__all__ = ["Config", "load_settings", "settings_of"]
