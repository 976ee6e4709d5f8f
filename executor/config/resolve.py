"""Which setting holds: the strongest place that sets it. Executors stand or fall whole; limits, tags and the
context are merged name by name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from redun.core.errors import ConfigError
from redun.core.files.remote.options import DEFAULT_TIMEOUT, FileOptions
from redun.core.files.remote.urls import scheme_of, settings_of
from redun.core.project_files import CONFIG_VARIABLE, find_files, named_files
from redun.executor.config.collect import Entries, entries_of, merge, nested
from redun.executor.config.executors import read_executors
from redun.executor.config.records import (
    GcSettings,
    ProjectSettings,
    PruneSettings,
    Remark,
    RemoteSettings,
    RunSettings,
    StoreSettings,
)
from redun.executor.config.showing import key_text
from redun.executor.config.sources import Source, read_source, variables


def load_settings(
    start: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    named: str | None = None,
    given: Sequence[Source] = (),
) -> ProjectSettings:
    """Returns the settings of the project around a directory.

    Args:
        start: where the search for files begins, upwards; what relative paths in variables count from.
        environ: the environment; None: no variable sets anything.
        named: a file or directory to read instead of the search; the user named it with `--config`.
        given: places stronger than all others, the strongest first.

    Raises:
        ConfigError: if what is found cannot be read, or makes no sense.
    """
    variables_ = environ or {}
    files = settings_files(start, environ=environ, named=named)
    here = Path(os.path.abspath(start))
    sources = [*given, *variables(variables_, here), *(read_source(path, variables_) for path in files)]
    return resolve(sources, tuple(files))


def settings_files(
    start: str | os.PathLike[str], *, environ: Mapping[str, str] | None = None, named: str | None = None
) -> list[Path]:
    """Returns the files that `load_settings` reads, the strongest first.

    Raises:
        ConfigError: if one is named and missing, or one that is found belongs to a stranger.
    """
    if named is not None:
        return named_files(named, "--config")
    by_variable = (environ or {}).get(CONFIG_VARIABLE)
    return named_files(by_variable, CONFIG_VARIABLE) if by_variable else find_files(start)


def resolve(sources: Sequence[Source], files: tuple[Path, ...] = ()) -> ProjectSettings:
    """Returns what holds of the settings of several places, the strongest first.

    Raises:
        ConfigError: if a setting is unknown, or not what it may be, or contradicts another.
    """
    entries: Entries = {}
    remarks: tuple[Remark, ...] = ()
    for source in reversed(sources):
        found = entries_of(source)
        if source.whole:
            for name in {path[1] for path in found if path[0] == "executors"}:
                for path in [path for path in entries if path[:2] == ("executors", name)]:
                    del entries[path]
                own = key_text(("executors", name))
                remarks = tuple(
                    remark for remark in remarks if remark.key != own and not remark.key.startswith(f"{own}.")
                )
        merge(entries, found)
        remarks = (*source.remarks, *remarks)
    remarks = (*remarks, *_lost_aliases(entries, remarks))
    return _record(entries, files, remarks)


def _storage(found: dict[str, Any]) -> FileOptions:
    timeout = found.pop("timeout", DEFAULT_TIMEOUT)
    return FileOptions(
        MappingProxyType({settings_of(scheme_of(f"{s}://")): table for s, table in found.items()}), timeout
    )


def _remotes(entries: Entries) -> dict[str, RemoteSettings]:
    """Returns the remotes, each from its `[remotes.NAME]`.

    Raises:
        ConfigError: if one has no URL.
    """
    found: dict[str, dict[str, Any]] = {}
    for path, entry in entries.items():
        if path[0] == "remotes":
            found.setdefault(path[1], {})[path[2]] = entry.value
            if ("remotes", path[1], "url") not in entries:
                raise ConfigError(
                    f"{entry.origin}: remote {path[1]} has no url", hint='url = "host:path", as for redun remote add'
                )
    return {name: RemoteSettings(**table) for name, table in found.items()}


def _lost_aliases(entries: Entries, remarks: tuple[Remark, ...]) -> list[Remark]:
    """Takes out aliases of executors that are not there because they mean nothing here; returns what to say of them."""
    gone = {remark.key for remark in remarks}
    lost = []
    for path, entry in list(entries.items()):
        stands_for = key_text(("executors", str(entry.value)))
        there = any(other[:2] == ("executors", entry.value) for other in entries)
        if path[0] == "executors" and path[2] == "target" and stands_for in gone and not there:
            lost.append(Remark(key_text(path[:2]), f"{stands_for}, which it stands for, is not there", entry.origin))
            for other in [other for other in entries if other[:2] == path[:2]]:
                del entries[other]
    return lost


def _record(entries: Entries, files: tuple[Path, ...], remarks: tuple[Remark, ...]) -> ProjectSettings:
    def section(name: str) -> dict[str, Any]:
        return {path[1]: entry.value for path, entry in entries.items() if path[0] == name and len(path) == 2}

    return ProjectSettings(
        store=StoreSettings(**section("store")),
        executors=MappingProxyType(read_executors(entries)),
        limits=MappingProxyType(section("limits")),
        context=MappingProxyType(nested(entries, ("context",))),
        tags=MappingProxyType(section("tags")),
        own_packages=section("code").get("own_packages", ()),
        run=RunSettings(**section("run")),
        remotes=MappingProxyType(_remotes(entries)),
        prune=PruneSettings(**section("prune")),
        gc=GcSettings(**section("gc")),
        color=section("display").get("color", "auto"),
        storage=_storage(section("files")),
        entries=MappingProxyType(entries),
        files=files,
        remarks=remarks,
    )
