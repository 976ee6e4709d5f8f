"""The executors of a project: those that are built in, those that are configured, and what each may be told."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from redun.core.errors import ConfigError
from redun.executor.config.collect import Entries
from redun.executor.config.records import Entry, ExecutorSettings, Origin
from redun.executor.config.schema import BUILT_IN, DEFAULT_THREADS, KEYS, TYPES
from redun.executor.config.showing import did_you_mean, key_text, place_text

_TAKES: Final = {
    kind: tuple(key.path[2] for key in KEYS if key.path[0] == "executors" and kind in key.types) for kind in TYPES
}
_NEEDS: Final = {"futures": "factory", "alias": "target"}
#: Keys of a Dask executor that say where its cluster is, of which one is enough.
_CLUSTER: Final = ("address", "factory", "workers")
BUILT: Final = Origin("default")


def read_executors(entries: Entries) -> dict[str, ExecutorSettings]:
    """Returns every executor that tasks may name.

    Raises:
        ConfigError: if one is told what its type does not take, or an alias leads nowhere.
    """
    tables: dict[str, dict[str, Entry]] = {name: {} for name in BUILT_IN}
    for path, entry in entries.items():
        if path[0] == "executors":
            tables.setdefault(path[1], {})[path[2]] = entry
    found = {name: _executor(name, table) for name, table in tables.items()}
    for executor in found.values():
        _check_alias(executor, found)
    return found


def _executor(name: str, table: dict[str, Entry]) -> ExecutorSettings:
    kind, target = BUILT_IN.get(name, (None, None))
    origin = next((entry.origin for entry in table.values()), BUILT)
    if "type" in table:
        kind, target, origin = table["type"].value, None, table["type"].origin
    if kind is None:
        _fail(name, "type", origin, "is missing", f"write one of {', '.join(TYPES)}")
    for key, entry in table.items():
        if key not in _TAKES[kind]:
            _fail(name, key, entry.origin, f"has no meaning for type {kind}", f"it takes {', '.join(_TAKES[kind])}")
    needed = _NEEDS.get(kind)
    values: dict[str, Any] = {key: entry.value for key, entry in table.items() if key != "type"}
    if target is not None:
        values.setdefault("target", target)
    if needed is not None and needed not in values:
        _fail(name, needed, origin, "is missing", f"an executor of type {kind} needs it")
    if kind == "dask":
        _check_cluster(name, table)
    if kind == "threads":
        values.setdefault("workers", DEFAULT_THREADS)
    return ExecutorSettings(name=name, type=kind, origin=origin, **values)


def _check_cluster(name: str, table: dict[str, Entry]) -> None:
    said = [key for key in _CLUSTER if key in table]
    if len(said) > 1:
        _fail(name, said[1], table[said[1]].origin, f"contradicts {said[0]}", "one of them says where the cluster is")
    if "arguments" in table and "factory" not in table:
        _fail(name, "arguments", table["arguments"].origin, "stands without factory", "they are what it is called with")


def _check_alias(alias: ExecutorSettings, known: dict[str, ExecutorSettings]) -> None:
    seen, target = [alias.name], alias.target
    while target is not None:
        if target not in known:
            hint = did_you_mean(target, [name for name in known if name not in seen])
            _fail(seen[-1], "target", known[seen[-1]].origin, f"is {target}, which is no executor", hint)
        if target in seen:
            _fail(alias.name, "target", alias.origin, f"leads in a ring: {' -> '.join([*seen, target])}")
        seen.append(target)
        target = known[target].target


def _fail(name: str, key: str, origin: Origin, message: str, hint: str = "") -> NoReturn:
    full = key_text(("executors", name, key))
    raise ConfigError(
        f"{place_text(origin)}: {full} {message}", path=origin.source, line=origin.line, key=full, hint=hint
    )
