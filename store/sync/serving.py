"""The side that is asked: `redun serve --stdio` answers one connection, and then ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redun.core.digest import Digest, Key
from redun.core.errors import RedunError, RemoteError
from redun.store.sync import wire
from redun.store.sync.answering import MOST_KEYS
from redun.store.sync.local import LocalPeer, Trust
from redun.store.sync.parts import SyncParts
from redun.store.sync.peers import Update
from redun.store.sync.wire import Connection


def serve(connection: Connection, parts: SyncParts, *, trust: Trust = "cache") -> None:
    """Answers what the other side asks, until it says that it has no more to ask.

    Raises:
        RemoteError: if the connection breaks, or something comes that cannot be answered.
    """
    connection.greet()
    _Serving(connection, parts, trust).run()


def refuse(connection: Connection, error: RedunError) -> None:
    """Tells the other side, which waits for an answer, why there is none."""
    connection.greet()
    connection.send(wire.ERROR, [error.message, error.hint])
    connection.flush()


class _Serving:
    def __init__(self, connection: Connection, parts: SyncParts, trust: Trust) -> None:
        self._connection = connection
        self._parts = parts
        self._peer = LocalPeer(parts, trust=trust, sender=connection.name)

    def run(self) -> None:
        answers = {
            wire.HELLO: self._hello,
            wire.REFS: self._refs,
            wire.MISSING: self._missing,
            wire.TAKE: self._take,
            wire.GIVE: self._give,
            wire.LOOKUP: self._lookup,
        }
        while True:
            kind, data = self._connection.receive()
            if kind == wire.QUIT:
                return
            answer = answers.get(kind)
            try:
                if answer is None:
                    raise RemoteError(f"nothing is known of a message {kind!r}", hint="a newer redun asks: upgrade")
                answer(self._connection.parsed(data))
                self._connection.flush()
            except RedunError as error:
                self._connection.send(wire.ERROR, [error.message, error.hint])
                self._connection.flush()
                return  # where objects were on their way nobody knows what comes next

    def _hello(self, versions: Any) -> None:
        common = [version for version in wire.VERSIONS if isinstance(versions, list) and version in versions]
        hello = self._peer.hello
        if not common:
            raise RemoteError(
                f"redun {hello.redun} over here speaks versions {list(wire.VERSIONS)} of sync, not {versions!r:.40}",
                hint="upgrade the older of both",
            )
        self._connection.send(wire.ANSWER, [common[0], hello.format, hello.store_id, hello.redun, hello.writable])

    def _refs(self, prefix: Any) -> None:
        found = self._peer.refs(prefix if isinstance(prefix, str) else "")
        self._connection.send(wire.ANSWER, [[name, digest] for name, digest in found.items()])

    def _missing(self, digests: Any) -> None:
        self._connection.send(wire.ANSWER, b"".join(self._peer.missing(self._split(digests))))

    def _split(self, digests: Any) -> list[Digest]:
        size = self._parts.format.size
        if not isinstance(digests, bytes) or len(digests) % size:
            raise RemoteError("ids of another size came")
        return [Digest(digests[start : start + size]) for start in range(0, len(digests), size)]

    def _take(self, updates: Any) -> None:
        wanted = [_update(update, self._parts.format.size) for update in updates]
        taken = self._peer.take(self._connection.items(self._parts.format), wanted)
        refs = [list(pair) for pair in taken.refs]
        self._connection.send(wire.ANSWER, [taken.objects, taken.size, refs, taken.claims])

    def _give(self, roots: Any) -> None:
        self._connection.send_items(self._peer.give(self._split(roots), self._ask))

    def _lookup(self, keys: Any) -> None:
        wanted = [Key(digest) for digest in self._split(keys)]
        if len(wanted) > MOST_KEYS:
            raise RemoteError(f"{len(wanted):,} keys came at once")
        rows, batches = self._peer.lookup(wanted, self._ask)
        calls = ([[call.call, call.head] for call in row.calls] if row else [] for row in rows)
        told = [row and [row.reduction, row.is_expr, known] for row, known in zip(rows, calls, strict=True)]
        self._connection.send(wire.ANSWER, told)
        self._connection.send_items(batches)

    def _ask(self, digests: Sequence[Digest]) -> Sequence[Digest]:
        return self._split(self._connection.ask(wire.MISSING, b"".join(digests)))


def _update(found: Any, size: int) -> Update:
    fits = (
        isinstance(found, list)
        and len(found) == 3
        and isinstance(found[0], str)
        and (found[1] is None or (isinstance(found[1], bytes) and len(found[1]) == size))
        and isinstance(found[2], bytes)
        and len(found[2]) == size
    )
    if not fits:
        raise RemoteError("a ref that cannot be read")
    return Update(found[0], None if found[1] is None else Digest(found[1]), Digest(found[2]))
