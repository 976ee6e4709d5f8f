"""The settings of the project that a command is run in: read once, and only where there are any."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from redun.core.errors import NotAStore
from redun.core.project_files import has_settings

if TYPE_CHECKING:
    from redun.cli.context import Settings
    from redun.executor.config.records import ProjectSettings

#: Where `Settings.project` was not looked for yet.
UNREAD = object()


def project_settings(found: Settings) -> ProjectSettings | None:
    """Returns the settings of the project, or None where neither a file nor a variable sets any.

    Raises:
        ConfigError: if there are some that make no sense.
    """
    if found.project is UNREAD:
        some = found.config is not None or has_settings(working_directory(), os.environ)
        found.project = load_project(found) if some else None
    project: ProjectSettings | None = found.project
    return project


def load_project(found: Settings) -> ProjectSettings:
    """Returns the settings of the project, those of the command line among them; the defaults where there are none.

    Raises:
        ConfigError: if there are some that make no sense.
    """
    # Here and not at the top: a project without settings loads nothing of this.
    from redun.core.files.remote.options import FileOptions, configure
    from redun.executor.config.resolve import load_settings
    from redun.executor.config.sources import given

    here = working_directory()
    options = {("store", "path"): (found.store, "--store"), ("executors", "default", "workers"): (found.jobs, "--jobs")}
    places = [given({path: value}, by, here) for path, (value, by) in options.items() if value is not None]
    project = load_settings(here, environ=os.environ, named=found.config, given=places)
    if project.storage != FileOptions():
        configure(project.storage)  # every command that looks at a file does so as a run would
    return project


def chosen_color(found: Settings) -> str | None:
    """Returns the colour that the project's settings choose, or None. Settings that make no sense choose none: the
    complaint about them must be printed in some colour."""
    try:
        project = project_settings(found)
    except Exception:  # noqa: BLE001
        return None
    return None if project is None else project.color


def own_packages(found: Settings) -> None:
    """Makes the packages that the project's settings name count as the user's own.

    Raises:
        ConfigError: if there are settings that make no sense.
    """
    project = project_settings(found)
    if project is not None and project.own_packages:
        from redun.core.ownership import set_own_packages

        set_own_packages(project.own_packages)


def working_directory() -> Path:
    """Returns the working directory.

    Raises:
        NotAStore: if it is gone.
    """
    try:
        return Path.cwd()
    except OSError as error:
        hint = "change to a directory that exists"
        raise NotAStore(f"the working directory is gone: {error.strerror}", hint=hint) from None


def remark_line(project: ProjectSettings | None) -> str:
    """Returns the line that tells which settings mean nothing here, or an empty text."""
    if project is None or not project.remarks:
        return ""
    from redun.core.forms import printable
    from redun.executor.config.records import Origin
    from redun.executor.config.showing import place_text

    keys = ", ".join(remark.key for remark in project.remarks)
    file = place_text(Origin(project.remarks[0].origin.source))
    return printable(f"{file}: without meaning here: {keys} (redun config show says what to do)")
