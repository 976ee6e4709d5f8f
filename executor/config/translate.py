"""What another program's `redun.ini` says, in our words: what can be meant here is taken over, the rest remarked on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from redun.core.errors import ConfigError
from redun.executor.config.ini import Text
from redun.executor.config.records import Origin, Remark
from redun.executor.config.schema import TYPES
from redun.executor.config.showing import brief, key_text, place_text

_DATABASE: Final = "there is no database: results are kept in .redun/store"
_SECTIONS: Final = {
    "backend": _DATABASE,
    "repos": "other repositories are not configured here",
    "federated_tasks": "there are no federated tasks",
}
_SCHEDULER: Final = {
    "ignore_warnings": "there are no such warnings",
    "setup_scheduler": "make a redun.Scheduler in a program of your own",
    "boto_config": "no cloud is called",
    "federated_configs": "there are no federated tasks",
    "job_status_interval": "progress is always shown on a terminal",
}
#: What `redun init` of that program writes for everybody, and so says nothing.
_USUAL: Final[dict[tuple[str, ...], str]] = {("backend", "db_uri"): "sqlite:///redun.db"}
_MODES: Final = {"thread": "threads", "process": "processes"}
_LOCAL: Final = ("type", "mode", "max_workers", "start_method", "scratch")


class Translated:
    """What a file of theirs says in our words.

    Attributes:
        data: tables inside tables.
        remarks: what has no meaning here.
    """

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self._remarks: list[Remark] = []
        self._origins: dict[tuple[str, ...], Origin] = {}

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What has no meaning here."""
        return tuple(self._remarks)

    def origin(self, path: tuple[str, ...]) -> Origin:
        """Returns where the setting at one of our paths stands; a table stands where the first in it does."""
        for known, origin in self._origins.items():
            if known[: len(path)] == path:
                return origin
        while path:
            if path in self._origins:
                return self._origins[path]
            path = path[:-1]
        return Origin("Config")

    def put(self, path: tuple[str, ...], value: Any, *, of: Any = None) -> None:
        """Takes a setting over; `of` is what stood there, where `value` was made from it."""
        table = self.data
        for part in path[:-1]:
            table = table.setdefault(part, {})
        table[path[-1]] = _plain(value)
        self._origins[path] = _origin(value if of is None else of)

    def remark(self, path: tuple[str, ...], value: Any, text: str) -> None:
        """Notes that a setting has no meaning here."""
        self._remarks.append(Remark(key_text(path), text, _origin(value)))


def translate(sections: Mapping[str, Any], *, ours: bool = False) -> Translated:
    """Says tables of theirs in our words.

    Args:
        ours: whether tables may be ours as well, as those that a program gives: what is not theirs is left as it is.

    Raises:
        ConfigError: if a value that can be meant here cannot be read.
    """
    found = Translated()
    for section, table in sections.items():
        if not isinstance(table, Mapping):
            if ours:
                found.put((section,), table)
            else:
                found.remark((section,), table, "it stands in no section")
        elif section == "scheduler":
            _scheduler(found, table)
        elif section == "executors":
            for name, executor in table.items():
                _executor(found, name, executor)
        elif section in _SECTIONS:
            for path, value in _leaves((section,), table):
                if path not in _USUAL or (value.raw if isinstance(value, Text) else value) != _USUAL[path]:
                    found.remark(path, value, _SECTIONS[section])
        elif ours or section in ("limits", "tags"):
            for path, value in _leaves((section,), table):
                found.put(path, value)
        else:
            for path, value in _leaves((section,), table):
                found.remark(path, value, "there is no such section")
    return found


def _scheduler(found: Translated, table: Mapping[str, Any]) -> None:
    for name, value in table.items():
        path = ("scheduler", name)
        if name == "context":
            found.put(("context",), _json(_plain(value), _origin(value)), of=value)
        elif name == "context_file":
            found.put(("context_file",), value)
        else:
            found.remark(path, value, _SCHEDULER.get(name, "there is no such setting"))


def _executor(found: Translated, name: str, table: Any) -> None:
    path = ("executors", name)
    if not isinstance(table, Mapping):
        found.put(path, table)
        return
    kind = _plain(table.get("type", ""))
    if kind == "local" or (not kind and {"mode", "max_workers"} & set(table)):
        _local(found, path, table)
    elif kind in ("", *TYPES) or not isinstance(kind, str):
        for leaf, value in _leaves(path, table):
            found.put(leaf, value)
    else:
        text = f"there is no type {kind}; define [{key_text(path)}] in redun.toml, as dask or futures"
        found.remark(path, table["type"], text)


def _local(found: Translated, path: tuple[str, ...], table: Mapping[str, Any]) -> None:
    mode = _plain(table.get("mode", "thread"))
    anchor = table.get("mode", table.get("type", next(iter(table.values()))))
    if not isinstance(mode, str) or mode not in _MODES:
        key = key_text((*path, "mode"))
        said = f"{place_text(_origin(anchor))}: {key} is {brief((), mode)}; expected thread or process"
        raise ConfigError(said, key=key)
    found.put((*path, "type"), _MODES[mode], of=anchor)
    if "max_workers" in table:
        found.put((*path, "workers"), table["max_workers"])
    for name, value in table.items():
        if name == "start_method" and mode == "process" and _plain(value) != "fork":
            found.put((*path, name), value)
        elif name == "start_method" and mode == "process":
            found.remark((*path, name), value, "forkserver is used: a fork of a process with threads may hang")
        elif name == "scratch":
            found.remark((*path, name), value, "nothing is written to a scratch directory")
        elif name not in _LOCAL:
            found.put((*path, "options", name), _scalar(_plain(value)), of=value)


def _leaves(path: tuple[str, ...], table: Mapping[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    if not table:
        return [(path, table)]
    leaves = []
    for name, value in table.items():
        inner = (*path, str(name))
        leaves += _leaves(inner, value) if isinstance(value, Mapping) and value else [(inner, value)]
    return leaves


def _json(value: Any, origin: Origin) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        place = place_text(origin)
        raise ConfigError(f"{place}: scheduler.context is no JSON: {error}", key="scheduler.context") from None


def _scalar(value: Any) -> Any:
    """Returns what a text says where that is a number, true or false; else the text."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
    return found if isinstance(found, bool | int | float) else value


def _plain(value: Any) -> Any:
    return value.read() if isinstance(value, Text) else value


def _origin(value: Any) -> Origin:
    return value.origin if isinstance(value, Text) else Origin("Config")
