"""Memo rows: what the cache answers for a key. One reduction a key, and the newest calls that share it.

A row is a claim that no hash can check, and can be made again from the executions' job rows: it carries a checksum,
and one that does not fit is as good as none.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from redun.core import limits
from redun.core.digest import Digest, Key, ObjectFormat
from redun.core.errors import InternalError
from redun.store.checksums import body_of, with_checksum
from redun.store.ports import ReadTransaction, WriteTransaction

_SEQ_BYTES: Final = 8
_CHECK_BYTES: Final = 4
_EXPR: Final = 0x80
#: Numbers that one update takes: one to mark the task as superseded, and a greater one for the new call.
_SEQ_STEP: Final = 2
_SEQ_KEY: Final = b"seq"
#: No call has a greater number: where it is not known from which on calls are to be believed, none is.
_NEVER: Final = 2**64 - 1

_number: Final = Struct(">Q").pack
_check: Final = Struct(">I").pack
_from_bytes: Final = int.from_bytes
_first: Final = itemgetter(0)
#: Makes a row without the constructor's own frame.
_new: Final = tuple.__new__


class MemoCall(NamedTuple):
    """A call that the key has given, the head of its footprint, and the number of its recording (greater is newer)."""

    call: Digest
    head: Digest
    seq: int


class MemoRow(NamedTuple):
    """What is remembered for a key: its newest reduction, and at most `limits.MEMO_CALLS` calls with it, newest first.

    Without calls it is that of a partial call: its body has run, what it returned has not been evaluated.
    """

    reduction: Digest
    is_expr: bool
    calls: tuple[MemoCall, ...] = ()


class MemoUpdate(NamedTuple):
    """One recording for a key.

    Attributes:
        key: the key.
        task: full name of the task.
        reduction, is_expr: what the body returned, and whether it is an `expr`.
        call, head: the call and its footprint's head; both None for a partial call.
        caused: whether there was a reason to run the body although the row had a reduction: another reduction that
            replaces it without one makes all calls of the task that are older doubtful.
    """

    key: Key
    task: str
    reduction: Digest
    is_expr: bool
    call: Digest | None = None
    head: Digest | None = None
    caused: bool = True


def merge(old: MemoRow | None, update: MemoUpdate, seq: int) -> tuple[MemoRow, bool]:
    """Returns the row after an update, and whether its reduction was replaced without cause.

    The newest reduction wins and empties the calls of another; with the same reduction the call joins the others in
    front, or moves there if it is one of them (same call, same head). `seq` is the number that the call gets.
    """
    new = () if update.call is None or update.head is None else (MemoCall(update.call, update.head, seq),)
    if old is None or old.reduction != update.reduction:
        return MemoRow(update.reduction, update.is_expr, new), old is not None and not update.caused
    others = tuple(c for c in old.calls if c[:2] != (update.call, update.head))
    return old._replace(calls=(new + others)[: limits.MEMO_CALLS]), False


def encode_row(key: bytes, row: MemoRow) -> bytes:
    """Returns the stored bytes of a row; they fit no other key."""
    flags = len(row.calls) | (_EXPR if row.is_expr else 0)
    parts = [flags.to_bytes(1, "big"), row.reduction]
    for call, head, seq in row.calls:
        parts += (call, head, _number(seq))
    body = b"".join(parts)
    return body + _check(crc32(key + body))


def decode_row(key: bytes, data: bytes, size: int) -> MemoRow | None:
    """Returns the row of stored bytes with ids of `size` bytes, or None if they are damaged."""
    body = data[:-_CHECK_BYTES]
    if data[-_CHECK_BYTES:] != _check(crc32(body, crc32(key))):
        return None
    flags, at, step = body[0], 1 + size, 2 * size + _SEQ_BYTES
    if flags & ~_EXPR == 1 and len(body) == at + step:  # nearly every row
        end = at + size
        call = _new(MemoCall, (body[at:end], body[end : end + size], _from_bytes(body[end + size :], "big")))
        return _new(MemoRow, (body[1:at], flags >= _EXPR, (call,)))
    if len(body) != at + (flags & ~_EXPR) * step:
        return None
    calls = []
    for i in range(at, len(body), step):
        head = i + size
        seq = head + size
        calls.append(MemoCall(body[i:head], body[head:seq], _from_bytes(body[seq : seq + _SEQ_BYTES], "big")))  # type: ignore[arg-type]
    return MemoRow(body[1:at], flags >= _EXPR, tuple(calls))  # type: ignore[arg-type]


class MemoTable:
    """The tables `memo` (key -> row) and `superseded` (task -> number)."""

    def __init__(self, fmt: ObjectFormat) -> None:
        self._format = fmt

    def read(self, txn: ReadTransaction, keys: Sequence[Key]) -> list[MemoRow | None]:
        """Returns the row of each key, None where there is none."""
        found = dict(txn.get_many("memo", sorted(keys)))
        size = self._format.size
        return [decode_row(key, found[key], size) if key in found else None for key in keys]

    def apply(self, txn: WriteTransaction, updates: Sequence[MemoUpdate]) -> None:
        """Merges updates into the rows, in their order.

        Raises:
            InternalError: for a call without a head, or ids of another format.
        """
        seq = next_seq(txn, len(updates) * _SEQ_STEP)
        fresh = self._fresh_rows(updates, seq)
        # Most batches are of keys that were never seen: then adding the rows is all there is to do.
        if len(fresh) == len(updates) == txn.add_many("memo", sorted(fresh.items(), key=_first)):
            return
        found = txn.get_many("memo", sorted(fresh))
        rows = {key: data for key, data in found if data != fresh[key]}  # a number makes each row unlike all before
        self._merge_rows(txn, updates, rows, seq)

    def _fresh_rows(self, updates: Sequence[MemoUpdate], seq: int) -> dict[bytes, bytes]:
        """Returns what `encode_row(merge(None, ...))` gives for each update, without making the objects."""
        rows: dict[bytes, bytes] = {}
        with_call, without = 1 + 3 * self._format.size + _SEQ_BYTES, 1 + self._format.size
        for key, task, reduction, is_expr, call, head, _ in updates:
            seq += _SEQ_STEP
            if call is not None and head is not None:
                body = b"".join((b"\x81" if is_expr else b"\x01", reduction, call, head, _number(seq - 1)))
                fits = len(body) == with_call
            else:
                body = (b"\x80" if is_expr else b"\x00") + reduction
                fits = len(body) == without and call is head
            if not fits:
                raise InternalError(f"a memo update of {task} with a call and no head, or ids of another format")
            rows[key] = body + _check(crc32(key + body))
        return rows

    def _merge_rows(
        self, txn: WriteTransaction, updates: Sequence[MemoUpdate], rows: dict[bytes, bytes], seq: int
    ) -> None:
        changed: dict[bytes, bytes] = {}
        superseded: dict[bytes, bytes] = {}
        for update in updates:
            seq += _SEQ_STEP
            key, old = update.key, rows.get(update.key)
            before = None if old is None else decode_row(key, old, self._format.size)
            row, without_cause = merge(before, update, seq - 1)
            rows[key] = changed[key] = encode_row(key, row)
            if without_cause:
                mark = self._task_key(update.task)
                superseded[mark] = with_checksum(mark, _number(seq - 2) + update.task.encode())
        txn.put_many("memo", sorted(changed.items(), key=_first))
        if superseded:
            txn.put_many("superseded", sorted(superseded.items()))

    def superseded(self, txn: ReadTransaction, fullname: str) -> int:
        """Returns the number above which calls that involve the task are to be believed; 0 for all."""
        key = self._task_key(fullname)
        data = txn.get("superseded", key)
        if data is None:
            return 0
        body = body_of(key, data)
        return _NEVER if body is None else int.from_bytes(body[:_SEQ_BYTES], "big")

    def _task_key(self, fullname: str) -> bytes:
        return self._format.hash(fullname.encode())  # a full name may be longer than a key


def last_seq(txn: ReadTransaction) -> int:
    """Returns the newest number that this store has given out."""
    return int.from_bytes(txn.get("meta", _SEQ_KEY) or b"", "big")


def raise_seq(txn: WriteTransaction, number: int) -> None:
    """Sees to it that numbers given out from now on are greater than this one."""
    if number > last_seq(txn):
        txn.put("meta", _SEQ_KEY, _number(number))


def next_seq(txn: WriteTransaction, count: int = 1) -> int:
    """Returns the first of `count` numbers that this store has not given out before, in increasing order."""
    last = last_seq(txn)
    txn.put("meta", _SEQ_KEY, _number(last + count))
    return last + 1
