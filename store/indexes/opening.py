"""The index of a store: brought up to date where the store may be written to, and otherwise beside it."""

from __future__ import annotations

import weakref
from typing import Final

from redun.store.indexes.catch_up import CatchUp, Write, drop, history, read_state, unseen
from redun.store.indexes.gather import Source
from redun.store.indexes.index import Index
from redun.store.memory_backend import MemoryBackend
from redun.store.ports import Backend
from redun.store.problems import Progress

#: Jobs whose rows are kept in memory where they cannot be kept in the store; those of more go to a temporary file.
_IN_MEMORY: Final = 50_000


def open_index(source: Source, write: Write | None, progress: Progress, *, most_in_memory: int = _IN_MEMORY) -> Index:
    """Returns an index with all executions that are sealed by now.

    Args:
        write: writes to the store; None where it is read only: what its tables do not have is then kept in memory, or
            in a temporary file that goes with the index.
        most_in_memory: jobs whose rows are kept in memory.
    """
    stored = source.backend
    if write is not None:
        CatchUp(source, stored, write, progress).run()
        return Index(source, [stored])
    layers: list[Backend] = [stored] if read_state(stored) is not None else []
    waiting = unseen(source, stored) if layers else history(source)
    if not waiting:
        return Index(source, layers)
    if sum(record.rows for _, record in waiting) <= most_in_memory:
        return _beside(source, layers, MemoryBackend(), progress)
    # Late: it loads an engine, a store in memory has none, and hardly ever is there so much.
    from redun.store.indexes import temporary

    tables, discard = temporary.tables()
    try:
        index = _beside(source, layers, tables, progress)
    except BaseException:
        discard()
        raise
    weakref.finalize(index, discard)
    return index


def _beside(source: Source, layers: list[Backend], tables: Backend, progress: Progress) -> Index:
    below = layers[0] if layers else None
    CatchUp(source, tables, tables.write, progress, below=below).run()
    return Index(source, [tables, *layers])


def stored_index(source: Source) -> Index:
    """Returns an index of what the tables of the store have."""
    return Index(source, [] if read_state(source.backend) is None else [source.backend])


def rebuild(source: Source, write: Write, progress: Progress) -> int:
    """Drops the tables and makes them again; returns how many executions they have."""
    drop(write)
    return CatchUp(source, source.backend, write, progress).run()
