"""Converting a store to the other object format: every object is written anew, children first, and named anew.

The new store is made beside the old one and takes its place in one step. What was known by an id before is found by it
afterwards (table `former`). The cache goes on answering: a key is made anew from the call that it was made of.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from redun.core.digest import Digest, object_format
from redun.core.errors import MalformedObject, StoreDamaged, StoreError, StoreLocked
from redun.store import locks, meta
from redun.store.blobs import FileBlobs
from redun.store.copying import Marks, Source, ids, no_collection
from redun.store.filesystem import translated
from redun.store.lmdb_backend import LmdbBackend
from redun.store.locate import directory_of
from redun.store.objects import Collided, Objects
from redun.store.problems import Progress, no_progress
from redun.store.renamed_names import carry_names
from redun.store.renaming import Renaming
from redun.store.staging import Staging, beside, remove
from redun.store.store import Store

_WHAT: Final = "converting"
_KEPT: Final = "before-convert"
#: A file in the store that has taken its place, until the one before it has its own.
_MARK: Final = "converted"
_SECRET: Final = "secret.key"
_REPAIR: Final = "redun fsck --repair, then convert again"
_EVERY: Final = 1_000


class Conversion(NamedTuple):
    """What a conversion did.

    Attributes:
        before, after: names of the object formats; equal ones if there was nothing to do.
        objects: that were written anew.
        cache: entries of the cache that go on answering.
        forgotten: entries whose key could not be made anew: their calls run again.
        kept: where the store lies as it was before; None if it was removed.
    """

    before: str
    after: str
    objects: int = 0
    cache: int = 0
    forgotten: int = 0
    kept: Path | None = None


def convert(
    path: str | os.PathLike[str], name: str, *, keep: bool = True, progress: Progress = no_progress
) -> Conversion:
    """Converts the store at a path to another object format. A process that dies meanwhile, at any moment, leaves the
    old store or the new one, and doing it again is all there is to do.

    Args:
        path: as for `Store.open`.
        name: the object format.
        keep: whether the store stays as it was, beside the new one; its large files are shared by both.

    Raises:
        StoreLocked: if it is open for writing elsewhere.
        StoreDamaged: if something in it is missing or damaged; nothing was changed.
        StoreFormatError: if this program knows no such format.
        DigestCollision: if two objects have one id in the new format; nothing was changed.
        StoreFull, StoreReadOnly, StoreError: nothing was changed.
    """
    place = Path(os.path.realpath(directory_of(path)))
    wanted = object_format(name)
    Store.open(place).close()  # seals the runs that have died, and sees that it can be used
    session = locks.take(place / "session.lock")
    if session is None:
        raise StoreLocked(
            f"{place} is open elsewhere, so it cannot be converted", path=str(place), hint="let its runs end"
        )
    try:
        _tidy(place)
        before = meta.read_format(place)
        if before.object_format is wanted:
            return Conversion(name, name)
        if keep and os.path.lexists(beside(place, _KEPT)):
            raise StoreError(
                f"{beside(place, _KEPT)} is there already", path=str(place), hint="remove it, or move it away"
            )
        with no_collection(place, alone=True):
            return _converted(place, before, before._replace(object_format=wanted), keep=keep, progress=progress)
    finally:
        session.release()


def _tidy(place: Path) -> None:
    """Ends an earlier conversion whose process died when all but the last step was done."""
    mark, old, kept = place / _MARK, beside(place, _WHAT), beside(place, _KEPT)
    if not mark.exists():
        return
    with translated(old):
        if meta.is_store(old) and not os.path.lexists(kept):
            os.rename(old, kept)
        mark.unlink()


def _converted(place: Path, before: meta.Format, after: meta.Format, *, keep: bool, progress: Progress) -> Conversion:
    staging = Staging(place, _WHAT, after)
    try:
        old = LmdbBackend(place, writable=False)
        try:
            _refuse_live(old, place)
            made = _Conversion(place, old, before, staging, progress).run()
        finally:
            old.close()
        with translated(staging.path):
            if (place / _SECRET).exists():
                shutil.copy2(place / _SECRET, staging.path / _SECRET)
            (staging.path / _MARK).touch()
        staging.complete()
        staging.place()
    except BaseException:
        staging.discard()
        raise
    kept: Path | None = beside(place, _KEPT)
    if keep and kept is not None:
        with translated(kept):
            os.rename(staging.path, kept)
    else:
        remove(staging.path)
        kept = None
    with translated(place):
        (place / _MARK).unlink()
    return made._replace(kept=kept)


def _refuse_live(backend: LmdbBackend, place: Path) -> None:
    rows = backend.read(lambda txn: txn.scan_keys("live", b"", 1))
    if rows:
        raise StoreLocked(
            f"run {rows[0][:16].hex()} of another machine has not ended in {place}",
            path=str(place),
            hint="redun log shows it; open the store there once, so that it is sealed",
        )


class _Conversion:
    """Writes the objects of one store into another."""

    def __init__(
        self, place: Path, old: LmdbBackend, before: meta.Format, staging: Staging, progress: Progress
    ) -> None:
        self._old = old
        self._before, self._after = before.object_format, staging.format.object_format
        self._blobs = FileBlobs(place)
        objects = Objects(self._before, self._blobs)
        self._source = Source(old, objects, self._before)
        self._marks = Marks(old)
        self._progress = progress
        self._new_objects = Objects(self._after, FileBlobs(staging.path))
        self._new_objects.compresses = meta.read_compression(old) == "zstd"
        self._renaming = Renaming(
            self._before, self._after, staging.backend, self._new_objects, self._blobs, FileBlobs(staging.path)
        )
        self._staging = staging
        self._done = 0

    def run(self) -> Conversion:
        """Does all of it."""
        try:
            for page in ids(self._old):
                for digest in page:
                    self._write(Digest(digest))
            self._renaming.flush()
            cache, forgotten = carry_names(self._old, self._staging.backend, self._renaming, self._source)
        except Collided as error:
            raise self._new_objects.settle(error) from None
        except StoreDamaged as error:
            raise StoreDamaged(error.message, path=error.path, hint=_REPAIR) from error
        except MalformedObject as error:
            raise StoreDamaged(error.message, hint=_REPAIR) from error
        return Conversion(self._before.name, self._after.name, self._done, cache, forgotten)

    def _write(self, root: Digest) -> None:
        """Writes an object, and before it what it points to, and what it names besides and is there."""
        if self._marks.has(root):
            return
        for digest, loaded in self._source.children_first(root, self._marks.has):
            for named in self._source.present(self._renaming.names(loaded)):
                self._write(named)
            self._renaming.add(digest, loaded)
            self._marks.add(digest)
            self._done += 1
            if self._done % _EVERY == 0:
                self._progress("objects", self._done, max(self._done, self._marks.total))
