"""Context: values that tasks ask for by name (`get_context("db.host")`) and are not handed as arguments.

A job has the context of the job that called it, with what the call's `update_context` changes. What a job reads of it
is part of its footprint, path by path: a change of anything else in the context runs nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from redun.core.digest import Digest
from redun.core.scheduler_tasks import Reading, scheduler_task
from redun.core.tasks import merged
from redun.core.values import Encoder


class Context:
    """An immutable tree of values. Paths are keys, and numbers of items of lists, joined by dots."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self._ids: dict[str, Digest | None] = {}
        self._id: Digest | None = None

    def find(self, path: str) -> tuple[bool, Any]:
        """Returns whether there is something at a path, and what."""
        found: Any = self.values
        for part in path.split("."):
            if isinstance(found, Mapping) and part in found:
                found = found[part]
            elif isinstance(found, (list, tuple)) and part.isdecimal() and int(part) < len(found):
                found = found[int(part)]
            else:
                return False, None
        return True, found

    def id_at(self, path: str, encoder: Encoder) -> Digest | None:
        """Returns the id of the value at a path, None where there is none.

        Raises:
            CannotEncode: if it has no deterministic encoding.
        """
        if path not in self._ids:
            there, value = self.find(path)
            self._ids[path] = encoder.value(value) if there else None
        return self._ids[path]

    def digest(self, encoder: Encoder) -> Digest:
        """Returns the id of all of it.

        Raises:
            CannotEncode: as `id_at`.
        """
        if self._id is None:
            self._id = encoder.value(self.values)
        return self._id

    def updated(self, changes: Mapping[str, Any]) -> Context:
        """Returns the context with these changes: mappings are merged, and anything else replaced."""
        return Context(merged(self.values, changes)) if changes else self


EMPTY = Context({})


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values with every mapping in them a dict, as they are encoded."""
    return {name: plain(value) if isinstance(value, Mapping) else value for name, value in values.items()}


def paths(changes: Mapping[str, Any]) -> list[str]:
    """Returns the paths that changes replace."""
    found = []
    for name, value in changes.items():
        inner = paths(value) if isinstance(value, Mapping) else []
        found += [f"{name}.{path}" for path in inner] if inner else [name]
    return found


def is_within(path: str, replaced: Sequence[str]) -> bool:
    """Returns whether a path is one of these or below one."""
    return any(path == other or path.startswith(f"{other}.") for other in replaced)


@scheduler_task(namespace="redun", name="get_context", version="1")
def _get_context(path: Any, default: Any = None) -> Any:
    wanted = yield path
    there, value = yield Reading(str(wanted))
    return value if there else default


def get_context(path: str, default: Any = None) -> Any:
    """Returns lazily what the context of the job has at a path, such as `db.host` or `samples.0`; the default where it
    has nothing there. Mostly written as a parameter's default: `def load(host=get_context("db.host"))`."""
    return _get_context(path, default)
