"""A peer in this process: another store, reached by its path, or the one side of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from redun.core.digest import Digest, Key
from redun.core.version import VERSION
from redun.store.copying import Source, no_collection
from redun.store.memo import MemoRow
from redun.store.problems import Progress, no_progress
from redun.store.refs import all_refs
from redun.store.sync.answering import MOST_KEYS, Answering, roots_of
from redun.store.sync.claims import Claims
from redun.store.sync.intake import Intake
from redun.store.sync.parts import SyncParts
from redun.store.sync.peers import Ask, Hello, Item, Taken, Update
from redun.store.sync.planning import plan
from redun.store.sync.sending import batches

#: What a store believes of what another one sends: `provenance`, its objects and its history; `cache`, also that tasks
#: gave these results; `run`, also values that adapters make.
Trust = Literal["provenance", "cache", "run"]
TRUSTS: Final[tuple[Trust, ...]] = ("provenance", "cache", "run")


class LocalPeer:
    """A store as a peer.

    Args:
        parts: those of the store. It is the caller's to close.
        trust: what it believes of what it takes.
        sender: what errors call the other side.
        progress: is told how far giving has come.
    """

    def __init__(
        self,
        parts: SyncParts,
        *,
        trust: Trust = "cache",
        sender: str = "the other side",
        progress: Progress = no_progress,
    ) -> None:
        self._parts = parts
        self._trust = trust
        self._sender = sender
        self._progress = progress
        self._answering = Answering(parts)
        self.hello = Hello(parts.format.name, parts.store_id, VERSION, not parts.read_only)

    def refs(self, prefix: str) -> Mapping[str, Digest]:
        """Returns the refs whose names start so."""
        return all_refs(self._parts.backend, prefix)

    def missing(self, digests: Sequence[Digest]) -> Sequence[Digest]:
        """Returns those of the objects that are not there."""
        return self._parts.absent(digests)

    def take(self, items: Iterable[Sequence[Item]], updates: Sequence[Update]) -> Taken:
        """Takes objects in, moves refs, and takes over what the trust admits.

        Raises:
            RemoteError: if what came is not what it says.
            StoreFull, StoreReadOnly, StoreLocked: as all writing.
        """
        parts = self._parts
        intake = Intake(parts, self._sender)
        with no_collection(parts.path, wait=True):
            taken = intake.take(items, updates)
            claims = 0
            if self._trust != "provenance":
                claims = Claims(parts).take(intake.pages)
        return taken._replace(claims=claims)

    def give(self, roots: Sequence[Digest], ask: Ask) -> Iterator[Sequence[Item]]:
        """Returns what some objects lead to and is missing over there, in batches.

        Raises:
            StoreDamaged: if something of it is missing or damaged.
        """
        # A generator: what is missing is asked for when whoever takes it keeps garbage from being collected there.
        parts = self._parts
        with no_collection(parts.path, wait=True):
            source = Source(parts.backend, parts.objects, parts.format)
            yield from batches(source, plan(source, roots, ask, self._progress), self._progress)

    def lookup(self, keys: Sequence[Key], ask: Ask) -> tuple[Sequence[MemoRow | None], Iterator[Sequence[Item]]]:
        """Returns what the cache has for some keys, and in batches what that leads to and is missing over there."""
        rows = self._answering.rows(keys)
        return rows, self._below(list(dict.fromkeys(root for row in rows if row for root in roots_of(row))), ask)

    def _below(self, roots: Sequence[Digest], ask: Ask) -> Iterator[Sequence[Item]]:
        # A generator: nothing is asked before the rows have gone.
        source = Source(self._parts.backend, self._parts.objects, self._parts.format)
        spare = self._answering.sparing(ask)
        yield from batches(source, plan(source, roots, spare, no_progress, ahead=MOST_KEYS), no_progress)

    def close(self) -> None:
        """Does nothing: the store is the caller's."""
