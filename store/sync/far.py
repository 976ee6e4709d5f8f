"""A peer at the other end of a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from redun.core import limits
from redun.core.digest import OBJECT_FORMATS, Digest, Key, ObjectFormat
from redun.core.errors import RemoteError
from redun.store.memo import MemoCall, MemoRow
from redun.store.sync import wire
from redun.store.sync.peers import Ask, Hello, Item, Taken, Update
from redun.store.sync.wire import Connection

_STORE_ID_BYTES: Final = 16


class FarPeer:
    """A store that another process serves.

    Args:
        connection: to that process.
        end: is called when the connection is to end.

    Raises:
        RemoteError: if it does not speak the protocol, or no version of it that this program does.
    """

    def __init__(self, connection: Connection, end: Callable[[], None]) -> None:
        self._connection = connection
        self._end = end
        connection.greeted()
        self.hello = _hello(connection.name, connection.ask(wire.HELLO, list(wire.VERSIONS)))
        self._format: ObjectFormat = OBJECT_FORMATS[self.hello.format]

    def _split(self, digests: Any) -> list[Digest]:
        size = self._format.size
        if not isinstance(digests, bytes) or len(digests) % size:
            raise RemoteError(f"{self._connection.name} sends ids of another size", remote=self._connection.name)
        return [Digest(digests[start : start + size]) for start in range(0, len(digests), size)]

    def refs(self, prefix: str) -> Mapping[str, Digest]:
        """Returns its refs whose names start so."""
        found = {}
        for pair in self._connection.ask(wire.REFS, prefix):
            name, digest = pair
            [found[str(name)]] = self._split(digest)
        return found

    def missing(self, digests: Sequence[Digest]) -> Sequence[Digest]:
        """Returns those of the objects that it does not have.

        Raises:
            RemoteError: if it names one that it was not asked for.
        """
        found = self._split(self._connection.ask(wire.MISSING, b"".join(digests)))
        if not set(digests).issuperset(found):
            raise RemoteError(f"{self._connection.name} misses what it was not asked for", remote=self._connection.name)
        return found

    def take(self, items: Iterable[Sequence[Item]], updates: Sequence[Update]) -> Taken:
        """Sends objects and the refs that are to move; returns what became of them.

        Raises:
            RemoteError: if it refuses, or the connection breaks.
        """
        batches = iter(items)
        first = next(batches, ())  # asks for what is missing are over when the first batch is there
        self._connection.send(wire.TAKE, [[update.name, update.old, update.new] for update in updates])
        self._connection.send_items(_chained(first, batches))
        self._connection.round_trips += 1
        objects, size, refs, claims = self._connection.expect(wire.ANSWER)
        return Taken(int(objects), int(size), tuple([(str(name), str(at)) for name, at in refs]), int(claims))

    def give(self, roots: Sequence[Digest], ask: Ask) -> Iterator[Sequence[Item]]:
        """Returns what some of its objects lead to and `ask` says is missing, in batches.

        Raises:
            RemoteError: if the connection breaks, or something comes that was not to come.
        """
        self._connection.send(wire.GIVE, b"".join(roots))
        return self._given(ask)

    def lookup(self, keys: Sequence[Key], ask: Ask) -> tuple[Sequence[MemoRow | None], Iterator[Sequence[Item]]]:
        """Returns what its cache has for some keys, and what that leads to.

        Raises:
            RemoteError: if the connection breaks, or something comes that was not to come.
        """
        answer = self._connection.ask(wire.LOOKUP, b"".join(keys))
        if not isinstance(answer, list) or len(answer) != len(keys):
            raise RemoteError(f"{self._connection.name} answers other questions", remote=self._connection.name)
        return [None if found is None else self._row(found) for found in answer], self._given(ask)

    def _row(self, found: Any) -> MemoRow:
        try:
            reduction, is_expr, calls = found
            [target] = self._split(reduction)
            pairs = [self._split(call + head) for call, head in calls]
            made = tuple([MemoCall(call, head, 0) for call, head in pairs])
            if not 0 < len(made) <= limits.MEMO_CALLS or type(is_expr) is not bool:
                raise ValueError
        except (TypeError, ValueError):
            name = self._connection.name
            raise RemoteError(f"{name} answers what cannot be read", remote=name) from None
        return MemoRow(target, is_expr, made)

    def _given(self, ask: Ask) -> Iterator[Sequence[Item]]:
        while True:
            kind, data = self._connection.receive()
            if kind != wire.MISSING:
                yield from self._connection.items(self._format, (kind, data))
                return
            self._connection.round_trips += 1
            self._connection.send(wire.ANSWER, b"".join(ask(self._split(self._connection.parsed(data)))))

    def close(self) -> None:
        """Ends the connection."""
        try:
            self._connection.send(wire.QUIT)
            self._connection.flush()
        except RemoteError:
            pass  # it has ended
        self._end()


def _chained(first: Sequence[Item], rest: Iterator[Sequence[Item]]) -> Iterator[Sequence[Item]]:
    if first:
        yield first
    yield from rest


def _hello(name: str, answer: Any) -> Hello:
    """Returns what a peer says of itself.

    Raises:
        RemoteError: if that cannot be read.
    """
    try:
        version, fmt, store_id, redun, writable = answer
        if version not in wire.VERSIONS or fmt not in OBJECT_FORMATS or len(store_id) != _STORE_ID_BYTES:
            raise ValueError
    except (TypeError, ValueError):
        raise RemoteError(f"{name} says of itself what cannot be read: {answer!r:.80}", remote=name) from None
    return Hello(fmt, store_id, str(redun), bool(writable))
