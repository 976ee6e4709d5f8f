"""Where the settings of a project stand: the nearest directory that holds any, upwards from where a command is run.

Everything else about settings is loaded only where a file is found: a project without one pays for a few `stat` calls.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from redun.core.errors import ConfigError

#: In order of strength.
TOML_NAME: Final = "redun.toml"
PYPROJECT_NAME: Final = "pyproject.toml"
INI_NAME: Final = os.path.join(".redun", "redun.ini")
#: Names the place of the settings instead of the search.
CONFIG_VARIABLE: Final = "REDUN_CONFIG"
#: Variables that set something, but the one that names the store: who asks for the store, asks for that one first.
VARIABLE_NAMES: Final = (CONFIG_VARIABLE, "REDUN_JOBS", "REDUN_USER", "REDUN_PROJECT")
#: A `pyproject.toml` in which this is not found says nothing about us. What it finds may still be none.
_MENTIONS: Final = (
    rb"""(?m)tool["']?[ \t]*\.[ \t]*["']?redun|^[ \t]*\[[ \t]*["']?tool["']?[ \t]*\]|^[ \t]*["']?tool["']?[ \t]*="""
)


def has_settings(start: str | os.PathLike[str], environ: Mapping[str, str]) -> bool:
    """Returns whether anything sets anything around `start`: a file, or a variable.

    Raises:
        ConfigError: as `find_files` does.
    """
    return any(map(environ.get, VARIABLE_NAMES)) or bool(find_files(start))


def find_files(start: str | os.PathLike[str]) -> list[Path]:
    """Returns the files with settings of the project around `start`, the strongest first; empty where there are none.

    They all lie in (or, `.redun/redun.ini`, below) one directory: `start` or the nearest above it that has any.

    Raises:
        ConfigError: if they lie above `start` and belong to somebody else: settings name code that is run.
    """
    here = os.path.abspath(start)
    directory = here
    while True:
        found = files_of(directory)
        if found:
            if directory != here:
                _refuse_strangers(found)
            return found
        above = os.path.dirname(directory)
        if above == directory:
            return []
        directory = above


def files_of(directory: str | os.PathLike[str]) -> list[Path]:
    """Returns the files with settings in one directory, the strongest first."""
    names = (TOML_NAME, PYPROJECT_NAME, INI_NAME)
    paths = [os.path.join(directory, name) for name in names]
    return [
        Path(path)
        for name, path in zip(names, paths, strict=True)
        if os.path.isfile(path) and (name != PYPROJECT_NAME or _mentions_us(path))
    ]


def named_files(path: str | os.PathLike[str], by: str) -> list[Path]:
    """Returns the files that somebody means by a path: itself, or those of a directory (a project, or a `.redun`).

    Raises:
        ConfigError: if there is none.
    """
    place = Path(os.path.abspath(path))
    if not place.is_dir():
        if place.exists():
            return [place]
        raise ConfigError(f"there is no {place} (named by {by})", path=str(place), hint="a file, or a directory")
    beside = place / "redun.ini"
    found = files_of(place) or ([beside] if beside.is_file() else [])
    if not found:
        hint = f"it should hold {TOML_NAME}, a {PYPROJECT_NAME} with [tool.redun], or {INI_NAME}"
        raise ConfigError(f"there are no settings in {place} (named by {by})", path=str(place), hint=hint)
    return found


def _mentions_us(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return False  # nobody says that it is about us
    # Compiled here: where there is no such file, nobody waits for it.
    return b"redun" in data and re.search(_MENTIONS, data) is not None


def _refuse_strangers(found: list[Path]) -> None:
    for path in found:
        owner = path.stat().st_uid
        if owner not in (0, os.geteuid()):
            hint = f"if you trust it: REDUN_CONFIG={path.parent}; to do without: REDUN_CONFIG=/dev/null"
            raise ConfigError(f"{path} is above the working directory and belongs to user {owner}", hint=hint)
