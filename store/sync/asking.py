"""Asking a remote for what the cache here does not have, while a run goes on.

The run is never in danger: a thread of its own reaches the remote and takes in what it answers, and who asks waits only
as long as there are signs of life.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final, NoReturn, Self

from redun.core.digest import Key
from redun.core.errors import RedunError, RemoteError
from redun.store.copying import no_collection
from redun.store.memo import MemoRow, MemoTable, MemoUpdate
from redun.store.ports import WriteTransaction
from redun.store.sync.answering import MOST_KEYS, Answerer
from redun.store.sync.intake import Intake
from redun.store.sync.parts import SyncParts
from redun.store.sync.peers import Item, Peer

#: Gives the remote; what it is handed breaks the connection off, from any thread.
Reach = Callable[[Callable[[Callable[[], None]], None]], AbstractContextManager[Peer]]
#: Seconds that a remote is waited for without a sign of life.
PATIENCE_S: Final = 10.0
#: Between two looks at whether there was one, so that a signal is heard.
_LOOK_S: Final = 0.2
#: So long the connection may take to end by itself, and after it was broken off.
_GOODBYE_S: Final = 0.5
_CLOSING_S: Final = 5.0


class _Left(Exception):
    """Nobody waits for the answer any more."""


class Asker:
    """Asks one remote. A context manager that ends the connection.

    Promised: what `find` names is in the cache here, with all that it leads to, proven. Methods belong to one
    thread, but for `stop`.

    Args:
        parts: of the store here.
        name: of the remote.
        reach: gives it.
        patience: seconds that it is waited for without a sign of life.
    """

    def __init__(self, parts: SyncParts, name: str, reach: Reach, patience: float = PATIENCE_S) -> None:
        self.name: Final = name
        self._parts = parts
        self._reach = reach
        self._patience = patience
        self._memo = MemoTable(parts.format)
        self._inbox: SimpleQueue[Sequence[Key] | None] = SimpleQueue()
        self._outbox: SimpleQueue[frozenset[Key] | Exception] = SimpleQueue()
        self._breakers: list[Callable[[], None]] = []
        self._left = threading.Event()
        self._alive = 0.0
        self._stopped = False
        self._thread: threading.Thread | None = threading.Thread(
            target=self._run, name=f"redun-{name}"[:15], daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- who asks -----------------------------------------------------------------------------------------------------

    def find(self, keys: Sequence[Key]) -> set[Key]:
        """Returns those of the keys that the remote had an answer for. The cache here has it now.

        Raises:
            RedunError: if the remote cannot be reached, does not answer in time, or not as it should. The asker is
                closed then.
        """
        found: set[Key] = set()
        for start in range(0, len(keys), MOST_KEYS):
            found |= self._wait(keys[start : start + MOST_KEYS])
        return found

    def _wait(self, keys: Sequence[Key]) -> frozenset[Key]:
        if self._thread is None or self._stopped:
            return frozenset()
        self._alive = monotonic()
        self._inbox.put(keys)
        while True:
            try:
                answer = self._outbox.get(timeout=_LOOK_S)
            except Empty:
                if self._stopped:
                    return frozenset()
                if monotonic() - self._alive > self._patience:
                    self._fail(RemoteError(f"{self.name} does not answer", remote=self.name))
                continue
            if isinstance(answer, frozenset):
                return answer
            self._fail(answer)

    def stop(self) -> None:
        """Lets whoever waits go on without an answer, now and from now on. Any thread may ask for that."""
        self._stopped = True

    def _fail(self, error: Exception) -> NoReturn:
        self.close()
        raise error

    def close(self) -> None:
        """Ends the connection. Closing twice is harmless."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._left.set()
        self._inbox.put(None)
        thread.join(_GOODBYE_S)
        if thread.is_alive():
            for end in list(self._breakers):
                end()
            thread.join(_CLOSING_S)

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with self._reach(self._breakers.append) as peer:
                self._serve(peer)
        except _Left:
            pass
        except (RedunError, OSError) as error:
            self._outbox.put(error)

    def _serve(self, peer: Peer) -> None:
        if not isinstance(peer, Answerer):
            raise RemoteError(
                f"{self.name} cannot be asked for single results", remote=self.name, hint=f"redun pull {self.name}"
            )
        while (keys := self._inbox.get()) is not None and not self._left.is_set():
            rows, batches = peer.lookup(keys, self._parts.absent)
            with no_collection(self._parts.path):
                Intake(self._parts, self.name).take(self._living(batches), ())
                self._believe(dict(zip(keys, rows, strict=True)))
            self._outbox.put(frozenset(key for key, row in zip(keys, rows, strict=True) if row is not None))

    def _living(self, batches: Iterator[Sequence[Item]]) -> Iterator[Sequence[Item]]:
        for batch in batches:
            self._alive = monotonic()
            if self._left.is_set():
                raise _Left
            yield batch

    def _believe(self, rows: dict[Key, MemoRow | None]) -> None:
        """Adds rows where this store has none of its own."""

        def write(txn: WriteTransaction) -> None:
            known = dict(zip(rows, self._memo.read(txn, list(rows)), strict=True))
            self._memo.apply(
                txn,
                [
                    MemoUpdate(key, "", row.reduction, row.is_expr, call.call, call.head)
                    for key, row in rows.items()
                    if row is not None and known[key] is None
                    for call in reversed(row.calls)  # the newest is the last to come
                ],
            )

        if any(rows.values()):
            self._parts.write(write)
