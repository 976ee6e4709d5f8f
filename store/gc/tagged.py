"""Tags keep nothing: a tag stays exactly as long as what it is about, and goes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from redun.core.digest import Digest
from redun.core.objects import ExecRecord, NoteRecord
from redun.store.gc.reach import Reach
from redun.store.journal import LiveInfo
from redun.store.ports import Backend, WriteTransaction
from redun.store.refs import all_refs, move, read
from redun.store.tags import TAGS, thing_of

GetMany = Callable[[Sequence[Digest]], list[tuple[str, bytes] | None]]

#: Notes read in one transaction.
_STEP: Final = 1000


class Kept:
    """What is kept of that which is no object: executions, their jobs, and tasks by their names."""

    def __init__(self, records: Iterable[ExecRecord], live: Iterable[LiveInfo]) -> None:
        self._uuids: set[str] = set()
        self._tasks: set[str] = set()
        for uuid, counts in [(found.uuid, found.counts) for found in live] + [(r.uuid, r.counts) for r in records]:
            self._uuids.add(uuid.hex())
            self._tasks.update([count.fullname for count in counts])

    def has(self, kind: str, name: str) -> bool:
        """Returns whether something of that kind and name is kept."""
        return name in self._tasks if kind == "task" else name.partition(" ")[0] in self._uuids


def mark_tags(backend: Backend, get_many: GetMany, reach: Reach, kept: Kept) -> dict[str, Digest]:
    """Marks the notes of tags whose things are kept; returns the refs of the others."""
    going: dict[str, Digest] = {}
    refs = list(all_refs(backend, TAGS).items())
    for start in range(0, len(refs), _STEP):
        step = refs[start : start + _STEP]
        for (name, note), found in zip(step, get_many([note for _, note in step]), strict=True):
            if found is not None and found[0] == "note" and _goes(NoteRecord.parse(found[1]), reach, kept):
                going[name] = note
            else:
                reach.mark([note])
    return going


def _goes(note: NoteRecord, reach: Reach, kept: Kept) -> bool:
    thing = thing_of(note)
    if thing is None:
        return False
    return not (reach.has(thing.about) if thing.about is not None else kept.has(thing.kind, thing.name))


def remove(txn: WriteTransaction, going: dict[str, Digest]) -> None:
    """Removes refs of tags, but for those that have moved since."""
    for name, note in going.items():
        if read(txn, name.encode()) == note:
            move(txn, name, None, expected=note, reason="gc")
