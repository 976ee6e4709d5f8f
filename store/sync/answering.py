"""What the cache of a store answers to another one that asks for some keys: rows of the memo, as far as they are to be
believed here, and whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol, runtime_checkable

from redun.core import limits
from redun.core.digest import Digest, Key
from redun.core.errors import CodecError
from redun.core.objects import HeadRecord, TaskSetRecord, parse_footprint
from redun.store.memo import MemoRow, MemoTable
from redun.store.objects import size_of
from redun.store.ports import ReadTransaction
from redun.store.sync.parts import SyncParts
from redun.store.sync.peers import Ask, Item

#: Keys that are answered at once.
MOST_KEYS: Final = 20_000
#: So many bytes go with an answer without being asked for: to send them twice costs less than to wait for a reply.
_UNASKED_BYTES: Final = 512 * limits.KIB
#: Objects that are known to be over there.
_NOTED: Final = 1_000_000


@runtime_checkable
class Answerer(Protocol):
    """A peer that can be asked for single results. A file, and a bucket, cannot."""

    def lookup(self, keys: Sequence[Key], ask: Ask) -> tuple[Sequence[MemoRow | None], Iterator[Sequence[Item]]]:
        """Returns the row of each key, and in batches what these lead to and `ask` says is missing. Numbers of calls
        are those of here and mean nothing there."""
        ...


class Answering:
    """Looks keys up for others.

    Args:
        parts: of the store.
    """

    def __init__(self, parts: SyncParts) -> None:
        self._parts = parts
        self._memo = MemoTable(parts.format)
        #: What is over there by now, with all that it leads to.
        self._there: set[Digest] = set()
        #: By the head of a footprint: full names of the tasks in it; None where it cannot be read.
        self._tasks: dict[Digest, tuple[str, ...] | None] = {}

    def rows(self, keys: Sequence[Key]) -> list[MemoRow | None]:
        """Returns the row of each key; None where there is none, or none that is whole and to be believed."""
        found = self._parts.backend.read(lambda txn: self._memo.read(txn, keys))
        absent = set(self._parts.absent(list(dict.fromkeys(root for row in found if row for root in roots_of(row)))))
        self._learn([call.head for row in found if row for call in row.calls if call.head not in absent])
        return self._parts.backend.read(lambda txn: [row and self._whole(txn, row, absent) for row in found])

    def _whole(self, txn: ReadTransaction, row: MemoRow, absent: set[Digest]) -> MemoRow | None:
        calls = tuple(
            [
                one
                for one in row.calls
                if one.call not in absent
                and one.head not in absent
                and (not row.is_expr or self._newest(txn, one.head) <= one.seq)
            ]
        )
        return row._replace(calls=calls) if calls and row.reduction not in absent else None

    def _newest(self, txn: ReadTransaction, head: Digest) -> float:
        """The number above which calls with that footprint are to be believed."""
        names = self._tasks.get(head)
        if names is None:
            return float("inf")
        return max([self._memo.superseded(txn, name) for name in names], default=0)

    def _learn(self, heads: Sequence[Digest]) -> None:
        new = [head for head in dict.fromkeys(heads) if head not in self._tasks]
        for head, item in zip(new, self._parts.get_many(new), strict=True):
            self._tasks[head] = None if item is None else self._names(item[1])

    def _names(self, payload: bytes) -> tuple[str, ...] | None:
        try:
            head = parse_footprint(bytes(payload))
            [item] = self._parts.get_many([head.tasks]) if isinstance(head, HeadRecord) else [None]
            tasks = None if item is None else parse_footprint(bytes(item[1]))
        except CodecError:
            return None
        return tuple([name for name, _, _ in tasks.tasks]) if isinstance(tasks, TaskSetRecord) else None

    def sparing(self, ask: Ask) -> Ask:
        """Returns what asks the other side of one answer as little as there is to ask: not for what it was sent or has
        said to have, and not for a little that it may have."""
        room = _UNASKED_BYTES

        def spare(digests: Sequence[Digest]) -> Sequence[Digest]:
            nonlocal room
            unknown = [digest for digest in digests if digest not in self._there]
            if not unknown:
                return ()
            rows = self._parts.backend.read(lambda txn: txn.get_many("objects", sorted(unknown)))
            room -= sum([size_of(env) for _, env in rows])
            absent = unknown if room >= 0 else ask(unknown)
            if len(self._there) > _NOTED:
                self._there.clear()
            self._there.update(unknown)
            return absent

        return spare


def roots_of(row: MemoRow) -> list[Digest]:
    """Returns the objects that a row names."""
    return [row.reduction, *(digest for call in row.calls for digest in call[:2])]
