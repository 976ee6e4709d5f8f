"""The remotes of a command: those that its store has noted, and those of the project's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redun.cli.context import Settings
from redun.cli.project import project_settings

if TYPE_CHECKING:
    from redun.store import Store
    from redun.store.sync.sync import Sync


def sync_of(store: Store, found: Settings) -> Sync:
    """Returns what moves objects between a store and others.

    Raises:
        ConfigError: if there are settings that make no sense.
    """
    project = project_settings(found)
    if project is None or not project.remotes:
        return store.sync
    # Here and not at the top: most projects name none in their settings.
    from redun.store.sync.remotes import Remote

    return store.sync.knowing({name: Remote(name, one.url, one.trust) for name, one in project.remotes.items()})
