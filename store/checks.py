"""All checks of an open store, in the order of what builds on what."""

from __future__ import annotations

from collections.abc import Iterator

from redun.core.digest import ObjectFormat
from redun.core.errors import StoreDamaged
from redun.store.blobs import BlobArea
from redun.store.check_names import check_derived, check_logs, check_memo, check_refs, check_runs
from redun.store.check_objects import ObjectCheck
from redun.store.indexes.audit import audit
from redun.store.indexes.gather import Source
from redun.store.journal import Journal
from redun.store.lost import losses
from redun.store.objects import Objects
from redun.store.ports import Backend
from redun.store.problems import Problem, Progress

_DATA_FILE = "put the store back from a copy, or make a new one: results that can be made again will be"


def check_tables(
    backend: Backend, fmt: ObjectFormat, blobs: BlobArea, journal: Journal, *, level: int, progress: Progress
) -> Iterator[Problem]:
    """Returns what is wrong with an open store. See `Store.check`."""
    looks: list[Iterator[Problem]] = []
    if level >= 1:
        looks.append(ObjectCheck(backend, fmt, blobs, level).problems(progress))
    if level >= 2:
        looks += [check_refs(backend), check_logs(backend), check_runs(backend, journal)]
        looks += [check_memo(backend, fmt, progress), check_derived(backend)]
        known = sum(1 for _ in losses(backend))
        if known:
            progress("known losses", known, known)
    if level >= 3:
        looks.append(audit(Source(backend, Objects(fmt, blobs), fmt), progress))
    for look in looks:
        try:
            yield from look
        except StoreDamaged as error:  # the database itself found pages that it cannot read
            yield Problem(0, "file", "data.mdb", error.message, _DATA_FILE)
