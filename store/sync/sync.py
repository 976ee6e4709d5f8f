"""Push, fetch, pull and clone."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import os
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from redun.core.digest import Digest
from redun.core.errors import NotFound, RemoteError
from redun.core.objects import ExecRecord
from redun.store.copying import Source
from redun.store.locate import store_at
from redun.store.packs import is_pack
from redun.store.problems import Progress, no_progress
from redun.store.refs import EXECUTIONS, TRACKING, all_refs, move
from redun.store.sync import remotes
from redun.store.sync.addresses import address_of
from redun.store.sync.claims import Claims
from redun.store.sync.intake import Intake
from redun.store.sync.local import LocalPeer, Trust
from redun.store.sync.parts import Opener, SyncParts
from redun.store.sync.peers import Item, Peer, Taken, Update
from redun.store.sync.planning import plan
from redun.store.sync.remotes import DEFAULT, Remote

if TYPE_CHECKING:
    from redun.store.packs import Readable, Writable
    from redun.store.sync.asking import Asker
    from redun.store.sync.bundles import Bundle, Verified
    from redun.store.sync.signing import Sign

#: Is handed what breaks a connection off at once, from any thread.
Started = Callable[[Callable[[], None]], None]


class Moved(NamedTuple):
    """What went over.

    Attributes:
        remote: name or URL of the other side.
        objects, size: objects that were new, and bytes of their payloads.
        executions: chains that moved, by the name of their ref.
        aside: chains that have gone another way, and are kept under these names beside those that were there.
        claims: entries of the cache that were taken over.
    """

    remote: str
    objects: int = 0
    size: int = 0
    executions: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    claims: int = 0


class Sync:
    """Moves objects between a store and others. `Store.sync` has one.

    Args:
        parts: those of the store, which is this side.
        opener: opens another one.
        configured: remotes that settings name; those of the store are stronger.
    """

    def __init__(self, parts: SyncParts, opener: Opener, configured: Mapping[str, Remote] | None = None) -> None:
        self._parts = parts
        self._opener = opener
        self._configured = configured or {}

    def knowing(self, configured: Mapping[str, Remote]) -> "Sync":
        """Returns one that knows remotes of settings, too."""
        return Sync(self._parts, self._opener, configured)

    # -- remotes ------------------------------------------------------------------------------------------------------

    def remotes(self) -> dict[str, Remote]:
        """Returns the remotes, by name."""
        return {**self._configured, **remotes.all_remotes(self._parts.backend)}

    def add_remote(self, name: str, url: str, *, trust: Trust = "provenance") -> Remote:
        """Gives a remote a name.

        Raises:
            StoreError: if there is one of that name, or name or URL cannot be one.
        """
        place = address_of(url)
        kept = os.path.abspath(place.path) if not place.host else url
        remote = Remote(name, kept, trust)
        self._parts.write(lambda txn: remotes.put(txn, remote, new=True))
        return remote

    def set_trust(self, name: str, trust: Trust) -> Remote:
        """Says what is believed of a remote from now on.

        Raises:
            NotFound: if there is none of that name.
        """
        remote = remotes.find(self._parts.backend, name)._replace(trust=trust)
        self._parts.write(lambda txn: remotes.put(txn, remote, new=False))
        return remote

    def remove_remote(self, name: str) -> None:
        """Forgets a remote, and where its refs were. What came from it stays as long as the history leads to it.

        Raises:
            NotFound: if there is none of that name.
        """
        if not self._parts.write(lambda txn: remotes.remove(txn, name)):
            raise NotFound(f"there is no remote named {name!r}", hint="redun remote list")
        for ref, at in all_refs(self._parts.backend, f"{TRACKING}{name}/").items():
            self._forget(ref, at)

    def _forget(self, ref: str, at: Digest) -> None:
        self._parts.write(lambda txn: move(txn, ref, None, expected=at, reason="remote removed"))

    def find(self, name: str) -> Remote:
        """Returns the remote of that name, or one for a URL.

        Raises:
            NotFound: if there is none, and it is no URL.
        """
        if "/" in name or ":" in name:
            return Remote(name, name)
        try:
            return remotes.find(self._parts.backend, name)
        except NotFound:
            if name in self._configured:
                return self._configured[name]
            raise

    @contextmanager
    def _peer(
        self, remote: Remote, progress: Progress, *, read_only: bool, started: Started | None = None, make: str = ""
    ) -> Iterator[Peer]:
        with connected(
            remote, self._opener, progress, read_only=read_only, started=started, make=make, taker=self._parts.path
        ) as peer:
            self._check_format(remote, peer)
            if peer.hello.store_id == self._parts.store_id:
                raise RemoteError(f"{remote.name} is this store itself, or a copy of its files", remote=remote.name)
            yield peer

    def asker(self, name: str = DEFAULT, *, patience: float | None = None) -> "Asker":
        """Returns what asks a remote for single results, beside a run: `Scheduler(store, remote=...)`.

        Args:
            patience: seconds that it is waited for without a sign of life; None for 10.

        Raises:
            NotFound: if there is none of that name.
            RemoteError: if it is not trusted with more than its history, so that nothing of it could be a hit.
        """
        from redun.store.sync.asking import PATIENCE_S, Asker  # here: most transfers are of whole histories

        remote = self.find(name)
        if remote.trust == "provenance":
            named = remote.name != remote.url
            raise RemoteError(
                f"{remote.name} is trusted with its history alone, so that its results are no hits here",
                remote=remote.name,
                hint=f"redun remote trust {remote.name} cache" if named else "redun remote add NAME URL --trust cache",
            )
        return Asker(
            self._parts,
            remote.name,
            lambda started: self._peer(remote, no_progress, read_only=True, started=started),
            PATIENCE_S if patience is None else patience,
        )

    # -- moving -------------------------------------------------------------------------------------------------------

    def push(
        self,
        name: str = DEFAULT,
        *,
        dry_run: bool = False,
        progress: Progress = no_progress,
        started: Started | None = None,
    ) -> Moved:
        """Gives a remote the history of this store, with all that it leads to and that is not there.

        Args:
            dry_run: whether to find out what would go, and leave it.
            started: for a push beside something else: is handed what breaks it off at once, from any thread.

        Raises:
            RemoteError: if the remote cannot be reached, or refuses.
        """
        remote = self.find(name)
        make = self._parts.format.name
        with self._peer(remote, progress, read_only=dry_run, started=started, make=make) as peer:
            theirs = peer.refs(EXECUTIONS)
            updates = [
                Update(ref, theirs.get(ref), at)
                for ref, at in all_refs(self._parts.backend, EXECUTIONS).items()
                if theirs.get(ref) != at
            ]
            if not updates:
                return Moved(remote.name)
            roots = [update.new for update in updates]
            if dry_run:
                return self._planned(self._source(), roots, peer, remote, updates, progress)
            mine = LocalPeer(self._parts, progress=progress)
            taken = peer.take(mine.give(roots, peer.missing), updates)
        return _moved(remote, taken)

    def fetch(self, name: str = DEFAULT, *, dry_run: bool = False, progress: Progress = no_progress) -> Moved:
        """Gets the history of a remote, with all that it leads to and that is not here, and notes where it is. The
        history of this store is what it was, and so is the cache.

        Raises:
            RemoteError: if the remote cannot be reached, or sends what is not what it says.
        """
        remote = self.find(name)
        known = all_refs(self._parts.backend, f"{TRACKING}{remote.name}/") if remote.name != remote.url else {}
        with self._peer(remote, progress, read_only=True) as peer:
            updates = []
            for ref, at in peer.refs(EXECUTIONS).items():
                mine = f"{TRACKING}{remote.name}/{ref}" if remote.name != remote.url else ref
                if known.get(mine) != at:
                    updates.append(Update(mine, known.get(mine), at))
            if not updates:
                return Moved(remote.name)
            if dry_run:
                absent = self._parts.absent([update.new for update in updates])
                return Moved(remote.name, len(absent), executions=tuple([update.name for update in updates]))
            roots = [update.new for update in updates]
            me = LocalPeer(self._parts, trust="provenance", sender=remote.name, progress=progress)
            taken = me.take(self._told(peer.give(roots, self._parts.absent), progress), updates)
        return _moved(remote, taken)

    def pull(self, name: str = DEFAULT, *, progress: Progress = no_progress) -> Moved:
        """Fetches from a remote, and makes its history part of this one. What it computed is a hit here, where it is
        trusted with that.

        Raises:
            RemoteError: as `fetch`.
        """
        remote = self.find(name)
        moved = self.fetch(name, progress=progress)
        if remote.name == remote.url:
            return moved  # there is no name under which to note where it is: its history was taken over at once
        prefix = f"{TRACKING}{remote.name}/"
        before = all_refs(self._parts.backend, EXECUTIONS)
        updates = [
            Update(ref.removeprefix(prefix), before.get(ref.removeprefix(prefix)), at)
            for ref, at in all_refs(self._parts.backend, prefix).items()
        ]
        fresh = [update for update in updates if update.old != update.new]
        taken = Intake(self._parts, remote.name).take((), fresh)
        claims = 0
        if remote.trust != "provenance":
            pages = [page for update in fresh for page in self._pages(update.new, {update.old})]
            claims = Claims(self._parts).take(pages)
        merged = _moved(remote, taken)
        return moved._replace(executions=merged.executions, aside=merged.aside, claims=claims)

    # -- bundles ------------------------------------------------------------------------------------------------------

    def create_bundle(
        self,
        target: "str | os.PathLike[str] | Writable",
        names: Mapping[str, Digest] | None = None,
        *,
        since: Sequence[Digest] = (),
        sign: "Sign | None" = None,
        progress: Progress = no_progress,
    ) -> "Bundle":
        """Writes history with all that it leads to into a file that is not there yet, or to a stream.

        Args:
            names: what goes into it, by the names that it gets there (`bundle_names` makes some); None for all of the
                history.
            since: objects that whoever takes it has, with all that they lead to: that is left out.
            sign: signs it (`redun.store.sync.signing.signer`).

        Raises:
            StoreError: if nothing would be in it, or there is such a file.
            StoreDamaged: if something of it is missing or damaged here.
        """
        from redun.store.sync.bundles import create  # here, as below: few transfers are by file

        return create(self._parts, target, names, since, progress, sign)

    def bundle_names(self, digests: Sequence[Digest]) -> dict[str, Digest]:
        """Returns the names under which objects go into a bundle: executions as the history that they end, others as
        what is pinned."""
        from redun.store.sync.bundles import names_of

        return names_of(self._parts, digests)

    def verify_bundle(
        self, source: "str | os.PathLike[str] | Readable", *, progress: Progress = no_progress
    ) -> "Verified":
        """Reads a bundle to its end, proves it, and finds out whether what it builds on is here.

        Raises:
            StoreDamaged: if it is cut off or damaged.
            StoreFormatError: if it is no bundle.
        """
        from redun.store.sync.bundle_reading import opened
        from redun.store.sync.bundles import verify

        with opened(source, self._parts.path) as reader:
            return verify(reader, self._parts.absent, progress=progress)

    def unbundle(
        self,
        source: "str | os.PathLike[str] | Readable",
        *,
        trust: Trust = "provenance",
        progress: Progress = no_progress,
    ) -> Moved:
        """Makes what is in a bundle part of the history here.

        Raises:
            RemoteError: if something that it builds on is missing, or it holds what is not what it says.
            StoreDamaged, StoreFormatError: if it is cut off or damaged, or no bundle.
        """
        from redun.store.sync.bundle_reading import BundlePeer, opened

        with opened(source, self._parts.path) as reader:
            peer, remote = BundlePeer(reader), Remote(reader.name, reader.name)
            self._check_format(remote, peer)
            known = all_refs(self._parts.backend)
            updates = [Update(name, known.get(name), at) for name, at in reader.refs.items()]
            me = LocalPeer(self._parts, trust="provenance", sender=remote.name)
            taken = me.take(self._told(peer.give((), self._parts.absent), progress), updates)
            claims = 0
            if trust != "provenance":
                # All of them, and not of the new ones alone: they may have come before anybody believed them.
                stop = frozenset(reader.header.needs)
                pages = [page for name, at in reader.refs.items() for page in self._pages(at, stop)]
                claims = Claims(self._parts).take(pages)
        return _moved(remote, taken)._replace(claims=claims)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _check_format(self, remote: Remote, peer: Peer) -> None:
        if peer.hello.format != self._parts.format.name:
            raise RemoteError(
                f"{remote.name} names objects by {peer.hello.format}, and this store by {self._parts.format.name}",
                remote=remote.name,
                hint=f"redun convert --to {peer.hello.format} here, or --to {self._parts.format.name} there",
            )

    def _source(self) -> Source:
        return Source(self._parts.backend, self._parts.objects, self._parts.format)

    def _planned(
        self,
        source: Source,
        roots: Sequence[Digest],
        peer: Peer,
        remote: Remote,
        updates: Sequence[Update],
        progress: Progress,
    ) -> Moved:
        found = plan(source, roots, peer.missing, progress).objects
        size = sum(source.size(digest) for digest in found)
        return Moved(remote.name, len(found), size, tuple([update.name for update in updates]))

    def _told(self, batches: Iterator[Sequence[Item]], progress: Progress) -> Iterator[Sequence[Item]]:
        done = 0
        for batch in batches:
            yield batch
            done += len(batch)
            progress("objects", done, 0)

    def _pages(self, head: Digest, stop: Container[Digest | None]) -> Iterator[Digest]:
        """Returns the pages of jobs of executions, from the head of a chain to where it was."""
        at: Digest | None = head
        while at is not None and at not in stop:
            [found] = self._parts.get_many([at])
            if found is None or found[0] != "exec":
                return
            record = ExecRecord.parse(found[1])
            yield from record.pages
            at = record.parent


@contextmanager
def connected(
    remote: Remote,
    opener: Opener,
    progress: Progress,
    *,
    read_only: bool,
    started: Started | None = None,
    make: str = "",
    taker: Path | None = None,
) -> Iterator[Peer]:
    """Gives the peer that a remote names.

    Args:
        opener: opens a store on this machine.
        make: object format of the store to make in object storage where there is none; empty to make none.
        taker: directory of the store that says whose signatures count.
        started: for a connection beside something else: is handed what breaks it off at once, from any thread.

    Raises:
        RemoteError: if it cannot be reached.
        NotAStore: if there is none at a path.
    """
    address = address_of(remote.url)
    if address.storage:
        from redun.store.sync.storage.peer import connect as connect_storage

        yield connect_storage(remote.url, name=remote.name, read_only=read_only, make=make)
        return
    if address.host:
        from redun.store.sync.ssh import connect

        far = connect(address, name=remote.name, read_only=read_only, started=started)
        try:
            yield far
        finally:
            far.close()
        return
    if is_pack(address.path):
        from redun.store.sync.bundle_reading import BundlePeer, opened

        with opened(address.path, taker) as reader:
            yield BundlePeer(reader)
        return
    with closing(opener(store_at(address.path), read_only=read_only)) as store:
        yield LocalPeer(store.sync_parts(), sender="the pushing store", progress=progress)


def format_of(url: str, opener: Opener) -> str:
    """Returns how the store at a URL names objects.

    Raises:
        RemoteError, NotAStore: if it cannot be reached, or is none.
    """
    with connected(Remote(url, url), opener, no_progress, read_only=True) as peer:
        return peer.hello.format


def _moved(remote: Remote, taken: Taken) -> Moved:
    moved = tuple([at for _, at in taken.refs if at])
    aside = tuple([at for name, at in taken.refs if at and at != name])
    return Moved(remote.name, taken.objects, taken.size, moved, aside, taken.claims)
