"""All checks of an open store, in the order of what builds on what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from redun.core.digest import ObjectFormat
from redun.core.errors import StoreDamaged
from redun.store.blobs import BlobArea
from redun.store.check_names import check_derived, check_logs, check_memo, check_refs, check_runs
from redun.store.check_objects import ObjectCheck
from redun.store.check_trash import check_trash
from redun.store.indexes.audit import audit
from redun.store.indexes.gather import Source
from redun.store.journal import Journal
from redun.store.lost import losses
from redun.store.objects import Objects
from redun.store.ports import Backend
from redun.store.problems import Problem, Progress

_DATA_FILE = "redun fsck --repair copies what can be read to a new file"


class Part(NamedTuple):
    """Something of a store that can be checked by itself.

    Attributes:
        what: `objects`, `names` (refs, logs, live runs, rows of the cache and what is derived) or `indexes`.
        start, stop: of objects, the first id, and the one before which to end; none for no end.
    """

    what: str
    start: bytes = b""
    stop: bytes = b""


def all_parts(level: int, ranges: int = 1) -> list[Part]:
    """Returns what a level looks at, objects in so many ranges; if in one, each part after those that it builds on."""
    bounds = [(place << 16) // ranges for place in range(1, ranges)]
    starts = [b"", *(bound.to_bytes(2, "big") for bound in bounds)]
    parts = [Part("objects", start, stop) for start, stop in zip(starts, [*starts[1:], b""], strict=True)]
    others = [Part(what) for what, least in (("names", 2), ("indexes", 3)) if level >= least]
    # What cannot be divided goes first where processes share the work.
    return ((parts + others) if ranges == 1 else (others + parts)) if level >= 1 else []


def check_tables(
    backend: Backend, fmt: ObjectFormat, blobs: BlobArea, journal: Journal, *, level: int, progress: Progress
) -> Iterator[Problem]:
    """Returns what is wrong with an open store. See `Store.check`."""
    for part in all_parts(level):
        yield from check_part(backend, fmt, blobs, journal, part, level=level, progress=progress)


def check_part(
    backend: Backend,
    fmt: ObjectFormat,
    blobs: BlobArea,
    journal: Journal,
    part: Part,
    *,
    level: int,
    progress: Progress,
) -> Iterator[Problem]:
    """Returns what is wrong with a part of a store."""
    looks: list[Iterator[Problem]] = []
    if part.what == "objects":
        looks.append(ObjectCheck(backend, fmt, blobs, level).problems(progress, part.start, part.stop))
    elif part.what == "names":
        looks += [check_refs(backend), check_logs(backend), check_runs(backend, journal)]
        looks += [check_memo(backend, fmt, progress), check_derived(backend)]
        looks.append(check_trash(backend, Objects(fmt, blobs)))
        known = sum(1 for _ in losses(backend))
        if known:
            progress("known losses", known, known)
    else:
        looks.append(audit(Source(backend, Objects(fmt, blobs), fmt), progress))
    for look in looks:
        try:
            yield from look
        except StoreDamaged as error:  # the database itself found pages that it cannot read
            yield Problem(0, "file", "data.mdb", error.message, _DATA_FILE)
