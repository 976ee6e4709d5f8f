"""What is remembered and derived: rows that are damaged go, and so do those that keep a lost object from being made
again."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from redun.core import limits
from redun.core.digest import Digest, Key, ObjectFormat
from redun.core.errors import MalformedObject, StoreDamaged
from redun.core.frame import object_id
from redun.core.objects import CallRecord, Outcome, TaskRecord
from redun.store.check_objects import kinds, pages
from redun.store.checksums import body_of, with_checksum
from redun.store.memo import MemoRow, decode_row, encode_row, next_seq
from redun.store.mending.solid import Solidity
from redun.store.mending.work import Work, Write
from redun.store.objects import HEAD_BYTES, Objects, kind_of, raw_row
from redun.store.ports import Backend, WriteTransaction, scan_prefix

_NUMBER_BYTES: Final = 8


def mend_derived(work: Work) -> None:
    """Removes derived rows that are damaged. Where it is not known any more from when on calls of a task are to be
    believed, those of today and before are not."""
    for table in ("stat", "tally"):
        damaged = [key for key, row in scan_prefix(work.backend, table, b"") if body_of(key, row) is None]
        if damaged:
            work.replace(table, damaged)
            work.note("derived", table, f"{len(damaged):,} damaged rows of table {table} are removed")
    marks = [key for key, row in scan_prefix(work.backend, "superseded", b"") if body_of(key, row) is None]
    if marks:
        names = _task_names(work.backend, work.objects, work.format)
        _doubt(work.write, {key: names.get(key, "") for key in marks})
        words = ", ".join(sorted({names.get(key, key.hex()) for key in marks}))
        work.note(
            "derived", "superseded", f"calls of {words} that were recorded so far are not replayed whole any more"
        )


def doubt_all(backend: Backend, objects: Objects, fmt: ObjectFormat) -> None:
    """Marks all tasks: calls that were recorded so far are not to be believed."""
    _doubt(backend.write, _task_names(backend, objects, fmt))


def _doubt(write: Write, marks: dict[bytes, str]) -> None:
    """Marks tasks, by the hash of their names."""

    def put(txn: WriteTransaction) -> None:
        number = next_seq(txn).to_bytes(_NUMBER_BYTES, "big")
        txn.put_many(
            "superseded", sorted((key, with_checksum(key, number + name.encode())) for key, name in marks.items())
        )

    write(put)


def _task_names(backend: Backend, objects: Objects, fmt: ObjectFormat) -> dict[bytes, str]:
    names: dict[bytes, str] = {}
    start = b""
    while page := backend.heads("objects", start, limits.SCAN_KEYS, HEAD_BYTES):
        for digest, head, _ in page:
            with suppress(StoreDamaged, MalformedObject):
                env = backend.read(lambda txn, key=digest: txn.get("objects", key)) if kind_of(head) == "task" else None  # type: ignore[misc]
                if env is not None:
                    name = TaskRecord.parse(bytes(objects.open(Digest(digest), env)[1])).fullname
                    names[fmt.hash(name.encode())] = name
        start = page[-1][0] + b"\0"
    return names


def forget(work: Work) -> None:
    """Removes rows of the cache that are damaged or lead to what is not there, and what hides a lost object from the
    next run: it asks for each step on the way to what made it, and makes that again."""
    steps_are, calls_are = Solidity(work, code=False), Solidity(work, code=True)
    damaged, rows, steps = 0, 0, 0
    lacking = "cached results are forgotten, so that what they lack is made again"
    inside = "cached calls are not replayed whole, so that what is lost inside is made again"
    batch: list[tuple[bytes, MemoRow | None, bytes | None]] = []
    total, looked_at = work.backend.read(lambda txn: txn.count("memo")), 0
    for page in pages(work.backend, "memo"):
        work.progress("cached results looked at", looked_at, max(total, looked_at))
        looked_at += len(page)
        found = [(key, decode_row(Key(key), data, work.format.size)) for key, data in page]
        there = kinds(work.backend, (digest for _, row in found if row is not None for digest in _named_by(row)))
        for key, row in found:
            left = None if row is None else _left(work, row, there, steps_are, calls_are)
            if left is not None and left == row:
                continue
            damaged += row is None
            rows += row is not None and left is None
            steps += left is not None
            batch.append((key, left, None if left is None or left.calls or row is None else _step(work, row)))
        _store(work, batch)
    if damaged:
        work.note("memo", "", f"cached results that were damaged are forgotten: {damaged:,}", lost=True)
    if rows:
        work.note("cache", "", f"{lacking}: {rows:,}", lost=True)
    if steps:
        work.note("cache", "", f"{inside}: {steps:,}")


def _named_by(row: MemoRow) -> list[Digest]:
    return [row.reduction, *(digest for call in row.calls for digest in (call.call, call.head))]


def _left(
    work: Work, row: MemoRow, there: dict[bytes, str], steps_are: Solidity, calls_are: Solidity
) -> MemoRow | None:
    """What stays of a row: without a sound reduction, nothing."""
    if there.get(row.reduction) != ("expr" if row.is_expr else "value") or not steps_are.is_solid(row.reduction):
        return None

    def stays(call: bytes, head: bytes) -> bool:
        if there.get(call) != "call" or there.get(head) != "footprint" or not steps_are.is_solid(head):  # type: ignore[arg-type]
            return False
        # Of a call without others inside, only arguments can be lost, and these were made elsewhere.
        return not row.is_expr or calls_are.is_solid(call)  # type: ignore[arg-type]

    calls = tuple(call for call in row.calls if stays(call.call, call.head))
    if calls or not row.calls:
        return row._replace(calls=calls)
    return row._replace(calls=()) if row.is_expr and _step(work, row) is not None else None


def _step(work: Work, row: MemoRow) -> bytes | None:
    """The partial call that vouches for the reduction where no whole call does, or None where it cannot be made."""
    for call in row.calls:
        try:
            found = work.payload(call.call)
            if found is not None and found[0] == "call":
                whole = CallRecord.parse(found[1])
                if whole.reduction == row.reduction:
                    return CallRecord(whole.task, whole.args, whole.reduction, Outcome.PARTIAL, None).payload()
        except (StoreDamaged, MalformedObject):
            continue
    return None


def _store(work: Work, batch: list[tuple[bytes, MemoRow | None, bytes | None]]) -> None:
    if not batch:
        return
    new = [(key, encode_row(key, row)) for key, row, _ in batch if row is not None]
    steps = [(object_id(work.format, "call", step), step) for _, _, step in batch if step is not None]
    rows = sorted(raw_row(digest, "call", payload) for digest, payload in steps)
    work.write(lambda txn: txn.add_many("objects", rows))
    work.replace("memo", [key for key, _, _ in batch], new)
    batch.clear()
