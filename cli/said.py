"""The tags of what a command shows, in its text and in its document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redun.cli.history_view import tags_text
from redun.store import Store
from redun.store.lookup_names import Named, ObjectName, Run, thing_of
from redun.store.tags import Tag, of_task


def tags_of(store: Store, named: Named) -> list[Tag]:
    """Returns the tags of what a name means; of a version of a task, also those of the task."""
    found = store.tags(thing_of(store, named))
    if isinstance(named, ObjectName) and named.kind == "task":
        found += store.tags(of_task(store.get_record(named.digest).fullname))
    return found


def tagged_lines(store: Store, named: Named | None, lines: Iterator[str]) -> Iterator[str]:
    """Yields lines, after the first of them the tags of what they are about. Lines of executions have theirs."""
    if named is None or isinstance(named, Run):
        yield from lines
        return
    first = next(lines, None)
    if first is not None:
        yield first
    if tags := tags_of(store, named):
        yield f"Tags: {tags_text([tag.pair for tag in tags])}"
    yield from lines


def document_with_tags(store: Store, named: Named | None, document: Any) -> Any:
    """Returns a document with the tags of what it is about."""
    if named is None or isinstance(named, Run) or not isinstance(document, dict):
        return document
    return {**document, "tags": [list(tag.pair) for tag in tags_of(store, named)]}
