"""Refs and their logs: each vouches for the other. A name that leads nowhere is removed, and its log says so."""

from __future__ import annotations

from contextlib import suppress

from redun.core.codec import packed
from redun.core.digest import Digest
from redun.core.errors import StoreDamaged, StoreError
from redun.store.checksums import body_of, with_checksum
from redun.store.journal import now
from redun.store.memo import next_seq
from redun.store.mending.chains import Chains
from redun.store.mending.work import Work
from redun.store.objects import kind_of
from redun.store.ports import ReadTransaction, WriteTransaction, scan_prefix
from redun.store.refs import (
    EXECUTIONS,
    RefLogEntry,
    check_name,
    last_move,
    log_key,
    log_name,
    move,
    read_entry,
    text_of,
)

_REASON = "fsck"


def mend_names(work: Work) -> None:
    """Mends every ref and every log."""
    _mend_logs(work)
    chains = Chains(work)
    for key, row in list(scan_prefix(work.backend, "refs", b"")):
        _mend_ref(work, key, row, chains)
    names = dict.fromkeys(log_name(at) for at, _ in scan_prefix(work.backend, "reflog", b""))
    for key in names:
        if work.get("refs", key) is None:
            _bring_back(work, key, chains)


# -- refs -------------------------------------------------------------------------------------------------------------


def _mend_ref(work: Work, key: bytes, row: bytes, chains: Chains) -> None:
    name, body = text_of(key), body_of(key, row)
    if not _is_name(key):
        work.replace("refs", [key])
        at = "" if body is None else f"; it was at {body.hex()}"
        work.note("ref", name, f"ref {name} had a name that no ref has, and is removed{at}", lost=True)
        return
    if body is None:
        _mend_row(work, key, row, chains)
        return
    if not _is_target(work, key, body):
        _leave(work, key, Digest(body), chains)
        return
    logged = work.backend.read(lambda txn: _last(txn, key))
    if logged is None or logged.new != body:
        entry = RefLogEntry(0, None if logged is None else logged.new, Digest(body), _REASON)
        work.write(lambda txn: _append(txn, key, entry))
        work.note("reflog", name, f"the log of ref {name} says now that it is at {body.hex()}")


def _mend_row(work: Work, key: bytes, row: bytes, chains: Chains) -> None:
    """Sets a ref of which the row is damaged to where its log says, or else to what can still be read of the row."""
    name = text_of(key)
    logged = work.backend.read(lambda txn: _last(txn, key))
    if logged is not None:
        if logged.new is None:
            work.replace("refs", [key])
            work.note("ref", name, f"ref {name} was damaged, and is removed: its log says so")
            return
        work.replace("refs", [key], [(key, with_checksum(key, logged.new))])
        if _is_target(work, key, logged.new):
            work.note("ref", name, f"ref {name} was damaged, and is at {logged.new.hex()}, as its log says")
        else:
            _leave(work, key, logged.new, chains)
        return
    found: Digest | None = None
    if key.startswith(EXECUTIONS.encode()):
        found = chains.newest(key)
    elif _is_target(work, key, row[:-4]):
        found = Digest(row[:-4])
    if found is None:
        work.replace("refs", [key])
        work.note("ref", name, f"ref {name} and its log were damaged, and it is removed", lost=True)
    else:
        work.replace("refs", [key], [(key, with_checksum(key, found))])
        entry = RefLogEntry(0, None, found, _REASON)
        work.write(lambda txn: _append(txn, key, entry))
        work.note("ref", name, f"ref {name} and its log were damaged; it is at {found.hex()} now", lost=True)


def _leave(work: Work, key: bytes, gone: Digest, chains: Chains) -> None:
    """Moves a ref from what is not there, or is no execution where one has to be."""
    found, name = chains.newest(key) if key.startswith(EXECUTIONS.encode()) else None, text_of(key)
    work.write(lambda txn: move(txn, name, found, expected=gone, reason=_REASON))
    now_at = "is removed" if found is None else f"is at {found.hex()} now"
    work.note("ref", name, f"ref {name} led to {gone.hex()}, which is not there, and {now_at}", lost=True)


def _bring_back(work: Work, key: bytes, chains: Chains) -> None:
    """Sets a ref that is gone without its log saying so."""
    logged = work.backend.read(lambda txn: _last(txn, key))
    if logged is None or logged.new is None or not _is_name(key):
        return
    target, name = logged.new, text_of(key)
    work.write(lambda txn: txn.put("refs", key, with_checksum(key, target)))
    if _is_target(work, key, target):
        work.note("ref", name, f"ref {name} was gone, and is at {target.hex()}, as its log says")
    else:
        _leave(work, key, target, chains)


def _is_name(key: bytes) -> bool:
    try:
        return check_name(key.decode("utf-8", "surrogateescape")) == key
    except StoreError:
        return False


def _is_target(work: Work, key: bytes, target: bytes) -> bool:
    if not work.has(target):
        return False
    if not key.startswith(EXECUTIONS.encode()):
        return True
    env = work.get("objects", target)
    with suppress(StoreDamaged):
        return env is not None and kind_of(env) == "exec"
    return False


# -- logs -------------------------------------------------------------------------------------------------------------


def _mend_logs(work: Work) -> None:
    """Writes entries that cannot be read anew: those before and after say from where to where the ref went."""
    damaged = [at for at, row in scan_prefix(work.backend, "reflog", b"") if _entry(at, row) is None]
    for at in damaged:
        key = log_name(at)
        entries = [(other, _entry(other, row)) for other, row in scan_prefix(work.backend, "reflog", key + b"\0")]
        place = [other for other, _ in entries].index(at) if at in dict(entries) else 0
        before = next((entry for _, entry in reversed(entries[:place]) if entry is not None), None)
        after = next((entry for _, entry in entries[place + 1 :] if entry is not None), None)
        row = work.get("refs", key)
        to = after.old if after is not None else (body_of(key, row) if row is not None else None)
        name = text_of(key)
        if after is None and to is None:
            work.replace("reflog", [at])
            work.note("reflog", name, f"an entry of the log of ref {name} could not be read, and is removed", lost=True)
            continue
        old = None if before is None else before.new
        entry = RefLogEntry(0 if before is None else before.time, old, None if to is None else Digest(to), _REASON)
        work.replace("reflog", [at], [(at, with_checksum(at, packed(list(entry))))])
        message = f"an entry of the log of ref {name} is written anew, without its time and its reason"
        work.note("reflog", name, message, lost=True)


def _entry(at: bytes, row: bytes) -> RefLogEntry | None:
    try:
        return read_entry(at, row)
    except (StoreDamaged, ValueError, TypeError):
        return None


def _last(txn: ReadTransaction, key: bytes) -> RefLogEntry | None:
    try:
        return last_move(txn, key)
    except StoreDamaged:
        return None


def _append(txn: WriteTransaction, key: bytes, entry: RefLogEntry) -> None:

    at = log_key(key, next_seq(txn))
    txn.put("reflog", at, with_checksum(at, packed(list(entry._replace(time=now())))))
