"""The settings of one place, each checked against the schema, as a flat table of entries."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from redun.core.errors import ConfigError
from redun.core.tags import NAME_CHARS
from redun.executor.config import kinds
from redun.executor.config.records import Entry, Origin
from redun.executor.config.schema import Key, is_table, key_of, names_below
from redun.executor.config.showing import brief, did_you_mean, key_text, place_text
from redun.executor.config.sources import Source, read_text, read_toml, toml_origin

Entries = dict[tuple[str, ...], Entry]

CONTEXT: Final = ("context",)
_CONTEXT_FILE: Final = ("context_file",)


def entries_of(source: Source) -> Entries:
    """Returns the settings of a place, by their paths; a context comes item by item.

    Raises:
        ConfigError: for a setting that there is not, or one that is not what it may be.
    """
    found: Entries = {}
    for path, key, value in _walk(source, (), source.data):
        if path == CONTEXT:
            continue
        raw = key.kind.from_text(value) if source.texts and isinstance(value, str) else value
        try:
            read = key.kind.read(raw)
        except kinds.Unfit:
            fail(source, path, f"is {brief(path, value)}; expected {key.kind.expected}")
        if key.kind is kinds.PATH:
            read = source.base / os.path.expanduser(read)
        found[path] = Entry(raw, read, source.origin(path))
    _check_names(source, found)
    context: Entries = {}
    if _CONTEXT_FILE in found:
        context = context_entries(found[_CONTEXT_FILE].value, found[_CONTEXT_FILE].origin)
    if CONTEXT[0] in source.data:
        table = source.data[CONTEXT[0]]
        if not isinstance(table, Mapping):
            fail(source, CONTEXT, f"is {brief(CONTEXT, table)}; expected a table")
        merge(context, {path: Entry(v, v, source.origin(path)) for path, v in _leaves(CONTEXT, table)})
    return {**found, **context}


def context_entries(path: Path, named: Origin) -> Entries:
    """Returns the context that a JSON or TOML file holds.

    Raises:
        ConfigError: if it cannot be read, or is neither.
    """
    if not path.is_file():
        message = f"{place_text(named)}: there is no context file {path}"
        raise ConfigError(message, path=named.source, line=named.line, key="context_file")
    text = read_text(path)
    if path.suffix == ".toml":
        table: Any = read_toml(path, text)
        origin = toml_origin(path, text)
        return {at: Entry(v, v, origin(at[1:])) for at, v in _leaves(CONTEXT, table)}
    import json

    place = Origin(str(path))
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        shown = place_text(Origin(str(path), error.lineno))
        raise ConfigError(f"{shown}: no JSON: {error.msg}", path=str(path), line=error.lineno) from None
    except RecursionError:
        raise ConfigError(f"{place_text(place)}: nested too deep", path=str(path)) from None
    if not isinstance(table, dict):
        raise ConfigError(f"{place_text(place)}: expected an object, such as {{}}", path=str(path))
    return {at: Entry(v, v, place) for at, v in _leaves(CONTEXT, table)}


def merge(weak: Entries, strong: Entries) -> None:
    """Lays entries over weaker ones, in place: what is a table in both is merged item by item."""
    tables = {path[:end] for path in weak for end in range(1, len(path))}
    for path, entry in strong.items():
        for end in range(1, len(path)):
            if path[:end] in weak:  # what was no table, or an empty one, is one now
                del weak[path[:end]]
        if path in tables:
            if entry.value == {}:
                continue
            for other in [other for other in weak if len(other) > len(path) and other[: len(path)] == path]:
                del weak[other]
        weak[path] = entry


def nested(entries: Entries, below: tuple[str, ...]) -> dict[str, Any]:
    """Returns the values of the entries below a path as tables inside tables."""
    tables: dict[str, Any] = {}
    for path, entry in entries.items():
        if len(path) > len(below) and path[: len(below)] == below:
            table = tables
            *outer, last = path[len(below) :]
            for part in outer:
                table = table.setdefault(part, {})
            table[last] = entry.value
    return tables


def fail(source: Source, path: tuple[str, ...], message: str, hint: str = "") -> NoReturn:
    """Raises ConfigError for a setting, with its place."""
    origin = source.origin(path)
    text = f"{place_text(origin)}: {key_text(path)} {message}"
    raise ConfigError(text, path=origin.source, line=origin.line, key=key_text(path), hint=hint)


def _walk(source: Source, at: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Key, Any]]:
    for name, value in table.items():
        path = (*at, str(name))
        key = key_of(path)
        if key is not None:
            yield path, key, value
        elif not is_table(path):
            _refuse(source, path, value)
        elif isinstance(value, Mapping):
            yield from _walk(source, path, value)
        else:
            fail(source, path, f"is {brief(path, value)}; expected a table, [{key_text(path)}]")


def _refuse(source: Source, path: tuple[str, ...], value: Any) -> NoReturn:
    if path == ("tool",) and isinstance(value, Mapping) and "redun" in value:
        fail(source, (*path, "redun"), "is for pyproject.toml", "in redun.toml the tables stand without tool.redun")
    *outer, last = path
    inside = f"in [{key_text(outer)}]" if outer else "at the top"
    fail(source, path, f"is no setting {inside}", did_you_mean(last, names_below(tuple(outer))))


def _check_names(source: Source, found: Entries) -> None:
    """Raises ConfigError for names that the user chose and nobody could use."""
    for path in found:
        if path[0] in ("tags", "limits", "executors") and not (path[1].strip() and path[1].isprintable()):
            fail(source, path, "has no name that can be used")
        if path[0] == "tags" and ("=" in path[1] or len(path[1]) > NAME_CHARS):
            fail(source, path, "has a name that no tag has", "a word or a few, without =")


def _leaves(path: tuple[str, ...], value: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, item in value.items():
        inner = (*path, str(name))
        if isinstance(item, Mapping) and item:
            yield from _leaves(inner, item)
        else:
            yield inner, item
