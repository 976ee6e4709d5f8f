"""The index of a store: brought up to date where the store may be written to, and otherwise beside it."""

from __future__ import annotations

from redun.store.indexes.catch_up import CatchUp, Write, drop, read_state, unseen
from redun.store.indexes.gather import Source
from redun.store.indexes.index import Index
from redun.store.memory_backend import MemoryBackend
from redun.store.ports import Backend
from redun.store.problems import Progress


def open_index(source: Source, write: Write | None, progress: Progress) -> Index:
    """Returns an index with all executions that are sealed by now.

    Args:
        write: writes to the store; None where it is read only: what its tables do not have is then kept in memory.
    """
    stored = source.backend
    if write is not None:
        CatchUp(source, stored, write, progress).run()
        return Index(source, [stored])
    if read_state(stored) is not None and not unseen(source, stored):
        return Index(source, [stored])
    layers: list[Backend] = [stored] if read_state(stored) is not None else []
    memory = MemoryBackend()
    CatchUp(source, memory, memory.write, progress, below=stored if layers else None).run()
    return Index(source, [memory, *layers])


def stored_index(source: Source) -> Index:
    """Returns an index of what the tables of the store have."""
    return Index(source, [] if read_state(source.backend) is None else [source.backend])


def rebuild(source: Source, write: Write, progress: Progress) -> int:
    """Drops the tables and makes them again; returns how many executions they have."""
    drop(write)
    return CatchUp(source, source.backend, write, progress).run()
