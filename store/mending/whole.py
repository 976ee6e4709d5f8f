"""The repair of a store at a path, from its files to its last object."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from redun.core.errors import NotAStore, StoreDamaged, StoreFormatError
from redun.store import filesystem, locks, meta, soundness
from redun.store.blobs import FileBlobs
from redun.store.lmdb_backend import LmdbBackend
from redun.store.locate import directory_of
from redun.store.mending.aside import Aside
from redun.store.mending.mend import FROM_COPY, in_use
from redun.store.mending.records import Mended, Repaired
from redun.store.mending.salvage import salvage
from redun.store.problems import DEEPEST, Problem, Progress, no_progress
from redun.store.store import Store

_IDENTITY: Final = "put the FORMAT file back from a copy: `redun fsck` says then whether the rest is sound"
#: Table -> what may be lost with rows of it, besides what a check sees.
_UNSEEN: Final = {
    "objects": "objects that nothing leads to",
    "refs": "refs whose logs were lost as well",
    "reflog": "entries of logs of refs",
    "live": "runs that had not ended",
    "memo": "cached results",
    "superseded": "marks of doubtful calls, so that no call recorded until now is replayed whole",
    "shallow": "marks of what was pruned",
    "trash": "what gc had swept",
}


def repair(path: str | os.PathLike[str], *, level: int = DEEPEST, progress: Progress = no_progress) -> Repaired:
    """Mends the store at a path, also one that cannot be opened any more, and returns what was done and what is left.

    Nothing is thrown away: what is taken out is kept under `damaged/` in the store. What was killed in the middle
    is brought to its end by doing it again.

    Args:
        level: how deep to look for damage; see `problems.LEVELS`.

    Raises:
        NotAStore: if there is none.
        StoreFormatError: if it is of a format that this program does not read.
        StoreLocked: if somebody else has it open for writing.
        StoreReadOnly, StoreFull: if there is no permission or no room; what was done until then is done.
        StoreError: on a network file system.
    """
    directory = directory_of(path)
    if not (directory / "FORMAT").exists() and not (directory / "data.mdb").exists():
        meta.read_format(directory)  # says what is there instead
    filesystem.refuse_network(directory)
    session = locks.take(directory / "session.lock")
    if session is None:
        raise in_use(str(directory))
    aside = Aside(directory)
    try:
        return _Patient(directory, aside, level, progress).repair()
    finally:
        aside.close()
        session.release()


class _Patient:
    def __init__(self, directory: Path, aside: Aside, level: int, progress: Progress) -> None:
        self._directory = directory
        self._aside = aside
        self._level = level
        self._progress = progress
        self._done: list[Mended] = []

    def repair(self) -> Repaired:
        """Mends the files, then what is in them; and once more where what is in them shows that a file is not sound."""
        meta.make_directories(self._directory)
        distrusted = False
        while True:
            problem = self._mend_files(distrusted=distrusted)
            if problem is not None:
                return Repaired(tuple(self._done), (problem,), self._aside.where)
            inside = self._mend_inside()
            hidden = any(problem.what == "file" for problem in inside.remaining)
            self._done += inside.done
            if distrusted or not hidden:
                return Repaired(tuple(self._done), inside.remaining, self._aside.where)
            distrusted = True

    def _mend_files(self, *, distrusted: bool) -> Problem | None:
        """Returns what cannot be mended."""
        directory = self._directory
        data = directory / "data.mdb"
        if not data.exists() or not data.stat().st_size:
            return Problem(0, "file", "data.mdb", "data.mdb is gone, or empty", FROM_COPY)
        self._progress("data file", 0, 1)
        sound = not distrusted and not soundness.verify(directory)
        self._progress("data file", 1, 1)
        try:
            fmt = meta.read_format(directory)
        except (StoreDamaged, NotAStore) as error:
            found = self._identity() if sound else None
            if found is None:
                return Problem(0, "file", "FORMAT", error.message, _IDENTITY)
            fmt = found
            self._aside.file(directory / "FORMAT")
            meta.write_format(directory, fmt)
            self._note("FORMAT", "FORMAT was damaged, and is written anew from what data.mdb says")
        return None if sound and self._is_whole(fmt) else self._salvage(fmt)

    def _identity(self) -> meta.Format | None:
        backend = LmdbBackend(self._directory, writable=False)
        try:
            return meta.read_identity(backend)
        finally:
            backend.close()

    def _is_whole(self, fmt: meta.Format) -> bool:
        """Whether all tables are there, by their names, and say whose they are."""
        try:
            return self._identity() == fmt
        except (StoreDamaged, StoreFormatError):
            return False

    def _salvage(self, fmt: meta.Format) -> Problem | None:
        try:
            salvaged = salvage(self._directory, fmt, self._aside, self._progress)
        except StoreDamaged as error:
            return Problem(0, "file", "data.mdb", error.message, FROM_COPY)
        if salvaged is None:
            return Problem(0, "file", "data.mdb", "nothing in data.mdb can be read", FROM_COPY)
        self._note("data.mdb", f"data.mdb was damaged; {salvaged.objects:,} objects were copied to a new one")
        unseen = [_UNSEEN[name] for name in salvaged.broken if name in _UNSEEN]
        if unseen:
            text = f"with pages of data.mdb there may be lost, without a trace: {'; '.join(unseen)}"
            self._done.append(Mended("file", "data.mdb", text, lost=True))
        return None

    def _mend_inside(self) -> Repaired:
        directory = self._directory
        soundness.record(directory, soundness.last_transaction(directory))
        fmt = meta.read_format(directory)
        backend = LmdbBackend(directory)
        run_locks = locks.FileRunLocks(directory / "runs")
        with Store(fmt, backend, FileBlobs(directory), run_locks, path=directory, read_only=False) as store:
            found = store._mend(self._aside, self._level, self._progress)
            backend.sync()
            soundness.record(directory, soundness.last_transaction(directory))
        return found

    def _note(self, where: str, message: str) -> None:
        self._done.append(Mended("file", where, message))
