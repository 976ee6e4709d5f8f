"""Live runs whose journal is damaged: what can be read of them becomes an interrupted execution."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import msgpack

from redun.core.codec import pack, packed, unpack
from redun.core.digest import Digest
from redun.core.errors import MalformedObject, NotFound, StoreDamaged
from redun.core.objects import JobRow, JobsRecord
from redun.store.batch import RunUpdate
from redun.store.check_objects import kinds
from redun.store.checksums import body_of, with_checksum
from redun.store.history import job_pages
from redun.store.journal import UUID_BYTES, LiveInfo, now
from redun.store.machine import boot_id, host_name
from redun.store.mending.work import Work
from redun.store.ports import scan_prefix

_EMPTY: Final = {b"p": b"", b"r": b"", b"s": packed([1, None, 0, [], []]), b"t": b""}
_PARTS: Final = {
    b"h": "the words and the start of the run",
    b"p": "the list of its pages of jobs",
    b"r": "the jobs that were running",
    b"s": "its root, counts and sources",
    b"t": "its last jobs",
}


def mend_runs(work: Work) -> None:
    """Makes every live run readable, and lead only to what is there. Nobody runs: each has died, or is another
    host's."""
    for uuid in work.journal.uuids():
        try:
            info = work.journal.info(uuid)
        except StoreDamaged:
            info = None
        if info is None:
            info = _readable(work, uuid)
        if info is not None:
            _lead_home(work, info)


def _readable(work: Work, uuid: bytes) -> LiveInfo | None:
    rows = dict(scan_prefix(work.backend, "live", uuid))
    bodies = {key[UUID_BYTES:]: _body(work, key, row) for key, row in rows.items()}
    found = {letter: body for letter, body in bodies.items() if body is not None}
    where = uuid.hex()
    if not found:
        work.replace("live", rows)
        work.note("run", where, f"run {where} had nothing that can be read, and is removed", lost=True)
        return None
    wanted = list(_PARTS) if bodies.keys() - {b"h"} else [b"h"]
    gone = [_PARTS[letter] for letter in wanted if letter not in found]
    facts = [["boot", boot_id()], ["host", host_name()], ["pid", "0"]]
    whole = {b"h": pack([1, [], facts, now()]), **_EMPTY, **found}
    entries = [(uuid + letter, with_checksum(uuid + letter, whole[letter])) for letter in wanted]
    work.replace("live", rows, entries)
    work.note("run", where, f"run {where} can be read again, without {', '.join(gone)}", lost=bool(gone))
    try:
        return work.journal.info(uuid)
    except StoreDamaged:
        work.replace("live", [key for key, _ in entries])
        work.note("run", where, f"run {where} cannot be read, and is removed", lost=True)
        return None


def _body(work: Work, key: bytes, row: bytes) -> bytes | None:
    """The body of an entry, or None where it is not what an entry of its letter is."""
    body, letter = body_of(key, row), key[UUID_BYTES:]
    if body is None or letter not in _PARTS:
        return None
    try:
        if letter == b"h":
            version, argv, facts, start = unpack(body)
            fits = version == 1 and isinstance(start, int) and bool(dict(facts)) and isinstance(argv, list)
        elif letter == b"p":
            fits = len(body) % work.format.size == 0
        elif letter == b"s":
            fits = len(msgpack.unpackb(body)) == 5
        else:
            fits = not body or bool(JobsRecord.parse(body).rows)
    except (MalformedObject, ValueError, TypeError, msgpack.UnpackException):
        return None
    return body if fits else None


def _lead_home(work: Work, info: LiveInfo) -> None:
    """Removes from a run what is not there."""
    gone: list[str] = []
    rows = (*info.tail, *info.running)
    named = [*info.pages, info.root, *(digest for pair in info.sources for digest in pair)]
    named += [digest for row in rows for digest in (row.call, row.head, row.trace)]
    there = kinds(work.backend, (digest for digest in named if digest is not None))

    def fits(digest: Digest | None, kind: str) -> bool:
        if digest is not None and there.get(digest) != kind:
            gone.append(f"{kind} {digest.hex()}")
            return False
        return True

    def mended(row: JobRow) -> JobRow:
        changes: dict[str, Any] = {
            name: None
            for name, kind in (("call", "call"), ("head", "footprint"), ("trace", "trace"))
            if not fits(getattr(row, name), kind)
        }
        return row._replace(**changes)

    pages = [page for page in info.pages if fits(page, "jobs")]
    numbers = [row.number for row in rows]
    with suppress(NotFound, StoreDamaged, MalformedObject):
        for page in job_pages(work.backend, lambda digest: work.payload(digest) or ("", b""), pages):
            numbers += [row.number for row in page.rows]
    update = RunUpdate(
        info.uuid,
        pages,
        tuple(map(mended, info.tail)),
        tuple(map(mended, info.running)),
        info.root if fits(info.root, "call") else None,
        max([info.rows, *(number + 1 for number in numbers)]),
        info.counts,
        tuple(pair for pair in info.sources if fits(pair[0], "task") and fits(pair[1], "source")),
    )
    if gone or update.rows != info.rows:
        entries = work.journal.entries(update)
        work.write(lambda txn: txn.put_many("live", entries))
    if gone:
        where = info.uuid.hex()
        work.note("run", where, f"run {where} named what is not there: {', '.join(dict.fromkeys(gone))}", lost=True)
