"""The context of a run: what the project's settings say, and what the run is given over that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from redun.core.concealed import redacted
from redun.core.context import EMPTY, Context, plain

if TYPE_CHECKING:
    from redun.executor.config.records import ProjectSettings

#: Characters of a context that the history shows; what jobs read of it is stored with their footprints.
_SHOWN: Final = 2000


def run_context(settings: ProjectSettings | None, given: Mapping[str, Any]) -> Context:
    """Returns the context of a run."""
    configured = {} if settings is None else plain(settings.context)
    return Context(configured).updated(given) if configured or given else EMPTY


def context_fact(given: Mapping[str, Any]) -> dict[str, str]:
    """Returns what the history notes of the context that a run was given; that of the settings is in their files."""
    if not given:
        return {}
    import json  # here: few runs are given one

    text = redacted(json.dumps(plain(given), default=repr, ensure_ascii=False))
    return {"context": text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."}
