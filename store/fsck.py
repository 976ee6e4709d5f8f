"""The check of a store at a path, from its files to its last object. It only reads, and opens nothing for writing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from redun.core.errors import StoreDamaged, StoreError, StoreLocked
from redun.store import meta, soundness
from redun.store.check_apart import check_apart, workers_for
from redun.store.problems import DEEPEST, Problem, Progress, no_progress
from redun.store.store import Store

#: Times that the data file is looked at again because somebody wrote to it meanwhile.
_TRIES: Final = 5
_RESTORE: Final = "put the store back from a backup, or see what redun fsck --repair can save of it"


def check(path: str | os.PathLike[str], *, level: int = DEEPEST, progress: Progress = no_progress) -> Iterator[Problem]:
    """Returns what is wrong with the store at a path, as it is found; nothing for a sound one.

    The data file is verified before anything maps it, so that no damage can end the process. Others may use the store
    meanwhile. Memory is bounded, whatever the size of the store.

    Args:
        level: what is looked at; see `problems.LEVELS`. Each level includes those below it.

    Raises:
        NotAStore: if there is none.
        StoreFormatError: if it is of a format that this program does not read.
        StoreLocked: if it is written to all the time, so that its data file cannot be verified.
        StoreError: if a file cannot be read for want of permission.
    """
    directory = Path(os.path.abspath(path))
    try:
        meta.read_format(directory)
    except StoreDamaged as error:
        yield Problem(0, "file", "FORMAT", error.message, _RESTORE)
        return
    progress("data file", 0, 1)
    found = _verified(directory)
    progress("data file", 1, 1)
    if found:
        yield from (Problem(0, "file", "data.mdb", f"data.mdb: {text}", _RESTORE) for text in found)
        return
    try:
        store = Store.open(directory, read_only=True)
    except StoreDamaged as error:
        yield Problem(0, "file", "data.mdb", error.message, _RESTORE)
        return
    with store:
        workers = workers_for(store) if level else 1
        if workers > 1:
            yield from check_apart(store, level=level, workers=workers, progress=progress)
        else:
            yield from store.check(level=level, progress=progress)


def _verified(directory: Path) -> list[str]:
    data = directory / "data.mdb"
    if data.exists() and not os.access(data, os.R_OK):
        raise StoreError(f"no permission to read {data}", path=str(data))
    for _ in range(_TRIES):
        before = soundness.last_transaction(directory)
        found = soundness.verify(directory)
        # Pages that were read before and after a write belong to different trees: then problems mean nothing.
        if not found or soundness.last_transaction(directory) == before:
            return found
    raise StoreLocked(
        f"the data file of {directory} is written to all the time, and cannot be verified",
        path=str(directory),
        hint="try again when its runs have ended",
    )
