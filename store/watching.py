"""Watching for new executions, sealed by any process.

LMDB has no notifications between processes. What it has is a number of the last transaction, in the first page of the
map: reading it takes a few microseconds, opens no transaction, and so keeps no page from being used again, however
long one watches. Only when it has changed are the heads of the chains read, and only when one of them has moved are
executions.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from redun.core.digest import Digest
from redun.core.errors import NotFound, StoreError
from redun.core.objects import ExecRecord
from redun.store.ports import Backend, ReadTransaction
from redun.store.refs import EXECUTIONS, target_of

Sealed = tuple[Digest, ExecRecord]

_PREFIX: Final = EXECUTIONS.encode()
#: Refs read at a time: there is one head for each store whose history is here, and there may be thousands of others.
_PAGE: Final = 16


def watch(
    backend: Backend,
    read: Callable[[Digest], ExecRecord],
    closing: threading.Event,
    *,
    timeout: float | None,
    poll: float,
) -> Iterator[Sealed]:
    """Returns the executions sealed from now on; see `Store.watch`.

    Args:
        read: returns the execution of an id, raises NotFound where it is missing.
        closing: set when the store is being closed.
    """
    seen_at = backend.last_transaction()  # before the heads: what is sealed in between is looked for, and found known
    return _watch(backend, read, closing, _heads(backend), seen_at, timeout, poll)


def _watch(
    backend: Backend,
    read: Callable[[Digest], ExecRecord],
    closing: threading.Event,
    heads: dict[bytes, Digest],
    seen_at: int,
    timeout: float | None,
    poll: float,
) -> Iterator[Sealed]:
    deadline = _deadline(timeout)
    while not closing.is_set():
        try:
            now_at = backend.last_transaction()
            found: list[Sealed] = []
            if now_at != seen_at:
                before, heads, seen_at = heads, _heads(backend), now_at
                found = _sealed(read, before, heads)
        except StoreError:
            if closing.is_set():
                return
            raise
        if found:
            yield from found
            deadline = _deadline(timeout)
        elif time.monotonic() >= deadline:
            return
        else:
            closing.wait(min(poll, max(0.0, deadline - time.monotonic())))


def _deadline(timeout: float | None) -> float:
    return float("inf") if timeout is None else time.monotonic() + timeout


def _heads(backend: Backend) -> dict[bytes, Digest]:
    """The newest execution of each chain, by the name of its ref."""

    def scan(txn: ReadTransaction) -> dict[bytes, Digest]:
        found: dict[bytes, Digest] = {}
        start = _PREFIX
        while True:
            page = txn.scan("refs", start, _PAGE)
            ours = [(name, target_of(name, row)) for name, row in page if name.startswith(_PREFIX)]
            found.update(ours)
            if len(ours) < _PAGE:
                return found
            start = page[-1][0] + b"\0"

    return backend.read(scan)


def _sealed(
    read: Callable[[Digest], ExecRecord], before: dict[bytes, Digest], after: dict[bytes, Digest]
) -> list[Sealed]:
    """The executions that the chains have gained, oldest first; within a chain its own order counts."""
    known = set(before.values())
    chains = [_gained(read, head, before.get(name), known) for name, head in after.items() if before.get(name) != head]
    merged = heapq.merge(*chains, key=lambda sealed: sealed[1].start)
    return list({digest: (digest, record) for digest, record in merged}.values())  # two chains may share a part


def _gained(
    read: Callable[[Digest], ExecRecord], head: Digest, before: Digest | None, known: set[Digest]
) -> list[Sealed]:
    gained: list[Sealed] = []
    for digest, record in _chain(read, head):
        if digest in known:
            break
        gained.append((digest, record))
    else:
        # It does not lead to where the chain was: someone has set the ref back, or to another chain.
        older = set() if before is None else {digest for digest, _ in _chain(read, before)}
        gained = [sealed for sealed in gained if sealed[0] not in older]
    return gained[::-1]


def _chain(read: Callable[[Digest], ExecRecord], head: Digest) -> Iterator[Sealed]:
    digest: Digest | None = head
    while digest is not None:
        try:
            record = read(digest)
        except NotFound:  # what is older is not kept here
            return
        yield digest, record
        digest = record.parent
