"""What the cache makes of executions that came in: entries for the calls that their jobs made.

That a task gives a result on some arguments is a claim that no hash can check. It is taken over only from a remote that
is trusted to make it, and where this store has an answer of its own, that stays.

A claim needs no bytes of its own: its key is made of the call's task and arguments, and its footprint is on the job's
row. A key that user classes among the arguments are part of is not found that way; then the job runs here once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redun.core.arrivals import call_of
from redun.core.digest import Digest, Key
from redun.core.errors import MalformedObject
from redun.core.keys import call_key
from redun.core.objects import (
    CallRecord,
    HeadRecord,
    How,
    JobRow,
    JobsRecord,
    Outcome,
    Status,
    TaskRecord,
    TreeRecord,
    parse_footprint,
)
from redun.store.memo import MemoTable, MemoUpdate
from redun.store.objects import kind_of
from redun.store.ports import ReadTransaction, WriteTransaction
from redun.store.sync.parts import SyncParts

_UNKNOWN: Final = "unknown"
#: Pages of jobs whose claims are taken over in one transaction.
_PAGES_TOGETHER: Final = 32


class Claims:
    """Takes over what the jobs of some pages claim.

    Args:
        parts: of the store.
    """

    def __init__(self, parts: SyncParts) -> None:
        self._backend = parts.backend
        self._format = parts.format
        self._write = parts.write
        self._get_many = parts.get_many
        self._memo = MemoTable(parts.format)
        self._tasks: dict[Digest, str | None] = {}
        self._heads: dict[Digest, bool] = {}

    def take(self, pages: Sequence[Digest]) -> int:
        """Returns how many entries the cache has got."""
        return sum(
            self._some(pages[start : start + _PAGES_TOGETHER]) for start in range(0, len(pages), _PAGES_TOGETHER)
        )

    def _some(self, pages: Sequence[Digest]) -> int:
        found = [item for item in self._get_many(pages) if item is not None and item[0] == "jobs"]
        rows = [row for _, payload in found for row in JobsRecord.parse(payload).rows if _is_answer(row)]
        calls = [row.call for row in rows if row.call is not None]
        heads = [row.head for row in rows if row.head is not None]
        self._learn_heads(list(dict.fromkeys(heads)))
        records = self._records(calls)
        trees = self._trees([call.args[0] for call in records if call is not None and len(call.args) == 1])
        updates: dict[MemoUpdate, None] = {}
        for row, call in zip(rows, records, strict=True):
            update = None if call is None or row.head is None or row.call is None else self._update(row, call, trees)
            if update is not None:
                updates[update] = None
        return self._add(list(updates)) if updates else 0

    def _records(self, calls: Sequence[Digest]) -> list[CallRecord | None]:
        found = self._get_many(calls)
        return [None if item is None or item[0] != "call" else self._call(item[1]) for item in found]

    def _call(self, payload: bytes) -> CallRecord | None:
        try:
            return call_of(payload, self._format.size)
        except MalformedObject:
            return None

    def _learn_heads(self, heads: Sequence[Digest]) -> None:
        """Notes which footprints admit an answer: without flags."""
        new = [head for head in heads if head not in self._heads]
        for head, item in zip(new, self._get_many(new), strict=True):
            record = None if item is None else parse_footprint(bytes(item[1]))
            self._heads[head] = isinstance(record, HeadRecord) and not record.flags

    def _update(self, row: JobRow, call: CallRecord, trees: set[Digest]) -> MemoUpdate | None:
        target = call.reduction or call.result
        name = self._task(call.task)
        if name is None or target is None or call.outcome is not Outcome.VALUE or not self._heads.get(row.head):  # type: ignore[arg-type]
            return None
        arguments = self._leaves(call.args[0]) if len(call.args) == 1 and call.args[0] in trees else call.args
        key = call_key(self._format, call.task, arguments)
        return MemoUpdate(key, name, target, call.reduction is not None, row.call, row.head)

    def _trees(self, digests: Sequence[Digest]) -> set[Digest]:
        """Returns those of some objects that are lists of arguments."""
        some = sorted(set(digests))
        rows = self._backend.read(lambda txn: txn.get_many("objects", some))
        return {Digest(digest) for digest, env in rows if kind_of(env) == "tree"}

    def _leaves(self, tree: Digest) -> list[Digest]:
        [item] = self._get_many([tree])
        if item is None:
            return []
        record = TreeRecord.parse(bytes(item[1]))
        if record.level == 0:
            return list(record.children)
        return [leaf for child in record.children for leaf in self._leaves(child)]

    def _task(self, digest: Digest) -> str | None:
        """Returns the full name of a task whose calls may be remembered, or None."""
        if digest not in self._tasks:
            [item] = self._get_many([digest])
            record = None if item is None else TaskRecord.parse(bytes(item[1]))
            self._tasks[digest] = None if record is None or record.code == _UNKNOWN else record.fullname
        return self._tasks[digest]

    def _add(self, updates: Sequence[MemoUpdate]) -> int:
        """Adds what agrees with what is there."""

        def write(txn: WriteTransaction) -> int:
            some = self._fitting(txn, updates)
            self._memo.apply(txn, some)
            return len(some)

        added: int = self._write(write)
        return added

    def _fitting(self, txn: ReadTransaction, updates: Sequence[MemoUpdate]) -> list[MemoUpdate]:
        keys = list(dict.fromkeys(update.key for update in updates))
        known = dict(zip(keys, self._memo.read(txn, keys), strict=True))
        chosen: dict[Key, Digest] = {}
        fitting = []
        for update in updates:
            row = known[update.key]
            reduction = chosen.setdefault(update.key, update.reduction) if row is None else row.reduction
            is_known = row is not None and any(call[:2] == (update.call, update.head) for call in row.calls)
            if reduction == update.reduction and not is_known:
                fitting.append(update)
        return fitting


def _is_answer(row: JobRow) -> bool:
    return row.status is Status.DONE and row.how is not How.JOINED and row.call is not None and row.head is not None
