"""Files by the paths that people type: as executions took or gave them, however the path is spelled."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import os
from collections.abc import Iterator
from typing import NamedTuple

from redun.cli.graph import Graph
from redun.core.errors import RedunError
from redun.core.files.filesystems import filesystem_of
from redun.store.file_history import FileHistory, FileState
from redun.store.problems import Progress
from redun.store.store import Store


class FileName(NamedTuple):
    """A file that executions took or gave.

    Attributes:
        path: as recorded.
        place: where it is seen from here.
        history: what tells of it.
        states: that with the newest job first.
    """

    path: str
    place: str
    history: FileHistory
    states: tuple[FileState, ...]


def find_file(store: Store, graph: Graph, text: str, progress: Progress) -> FileName | None:
    """Returns the file that a path means, however it is spelled; None if no execution took or gave it."""
    history = FileHistory(graph, store.index(progress=progress))
    for path, place in spellings(store, text):
        states = history.states_of(path)
        if states:
            return FileName(path, place, history, tuple(states))
    return None


def spellings(store: Store, text: str) -> Iterator[tuple[str, str]]:
    """Yields (path as it may be recorded, where that is): as seen from here, from the project, and from the root."""
    yield text, text
    try:
        path = filesystem_of(text).canonical(text)
    except RedunError:
        return
    yield path, path
    if "://" in path:
        return
    full = os.path.abspath(path)
    if store.path is not None:
        project = os.path.dirname(os.path.dirname(os.path.abspath(store.path)))
        yield os.path.relpath(full, project), full
        yield path, os.path.join(project, path)
    yield full, full
