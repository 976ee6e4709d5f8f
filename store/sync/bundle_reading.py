"""Reading a bundle: history that somebody has put into a file. It is a peer that gives, and takes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import BinaryIO, Final, NoReturn

from redun.core import limits
from redun.core.digest import Digest
from redun.core.errors import RemoteError, StoreDamaged, StoreError, StoreFormatError
from redun.core.version import VERSION
from redun.store import packs, refs
from redun.store.filesystem import translated
from redun.store.gc.shallow import Missing
from redun.store.sync.peers import Ask, Boundary, Hello, Item, Large, Sent, Taken, Update
from redun.store.sync.signing import NOBODY, Signed, Signers, check, read_signers

PURPOSE: Final = "bundle"
#: What a bundle may name: histories, and what is kept whatever is pruned.
NAMES: Final = (refs.EXECUTIONS, refs.PINS)

#: Objects given together, and the bytes after which fewer are.
_TOGETHER: Final = 1_000
_BYTES: Final = 4 * limits.MIB
#: Rows are held in memory; no history has so many.
_MOST_ROWS: Final = 1_000_000
#: Ids that an error names.
_NAMED: Final = 10


class BundleReader:
    """Reads a bundle from its first byte to its last.

    Nothing of it is to be believed before `items` has come to its end: then its bytes are those that were written.

    Args:
        source: gives the bytes.
        name: what errors call it.
        signers: whose signatures count.

    Attributes:
        header: what it says of itself.
        refs: the names in it.
        signed: whose signature it has, once `items` has come to its end; None for nobody's.

    Raises:
        StoreFormatError: if it is no bundle, or one that this program does not read.
        StoreDamaged: if it is cut off or damaged.
    """

    def __init__(self, source: packs.Readable, name: str, signers: Signers = NOBODY) -> None:
        self._pack = packs.Reader(source, name)
        self._signers = signers
        self.signed: Signed | None = None
        self.name = name
        self.header = self._pack.header
        if self.header.purpose != PURPOSE:
            is_backup = self.header.purpose == "backup"
            raise StoreFormatError(
                f"{name} is no bundle, but a pack for {self.header.purpose!r:.40}",
                path=name,
                hint="redun restore makes a store of it" if is_backup else "a newer redun wrote it: upgrade",
            )
        self.refs: dict[str, Digest] = {}
        self._boundaries: list[Boundary] = []
        self._entries = self._pack.entries()
        self._next = self._rows()

    @property
    def objects(self) -> int:
        """How many objects were read."""
        return self._pack.objects

    @property
    def size(self) -> int:
        """How many bytes were read."""
        return self._pack.size

    def damaged(self, why: str) -> StoreDamaged:
        """Returns the error for what is wrong with what was read last."""
        return self._pack.damaged(why)

    def _rows(self) -> packs.Entry | None:
        """Reads the rows, which stand before the objects; returns the first object, if there is one."""
        for entry in self._entries:
            if isinstance(entry, packs.Entry):
                return entry
            if self._pack.rows > _MOST_ROWS:
                raise self.damaged("it has too many rows")
            self._row(entry)
        return None

    def _row(self, row: packs.Row) -> None:
        if row.table == "refs":
            try:
                name = refs.check_name(row.key.decode()).decode()
                target = refs.target_of(row.key, row.value)
            except (StoreError, UnicodeDecodeError) as error:
                raise self.damaged(f"a name: {error}") from error
            if not name.startswith(NAMES) or len(target) != self.header.format.size or name in self.refs:
                raise self.damaged(f"a name that cannot be in a bundle: {name!r:.80}")
            self.refs[name] = target
        elif row.table == "shallow":
            if len(row.key) != self.header.format.size or len(row.value) != 1 or not 0 < row.value[0] <= 3:
                raise self.damaged("a row of shallow that cannot be read")
            self._boundaries.append(Boundary(Digest(row.key), Missing(row.value[0])))
        else:
            raise StoreFormatError(
                f"{self.name} has rows of a table {row.table!r:.40}, which are nothing for a bundle", path=self.name
            )

    def items(self) -> Iterator[Sequence[Item]]:
        """Returns what is in it, in batches. The parts of a large object have to be read before the next batch.

        Raises:
            StoreDamaged: if it is cut off or damaged.
            RemoteError: if its signature does not fit, or one is missing that is required.
        """
        if self._boundaries:
            yield self._boundaries
        batch: list[Item] = []
        size = 0
        for entry in self._objects():
            if entry.size > limits.INLINE_BYTES:
                if batch:
                    yield batch
                yield [Large(entry.digest, entry.kind, entry.size, self._pack.parts())]
                batch, size = [], 0
                continue
            batch.append(Sent(entry.digest, entry.kind, self._pack.payload()))
            size += entry.size
            if len(batch) >= _TOGETHER or size >= _BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch
        self.signed = check(self._pack.signature, self._signers, self.name)

    def _objects(self) -> Iterator[packs.Entry]:
        if self._next is None:
            return
        yield self._next
        self._next = None
        for entry in self._entries:
            if isinstance(entry, packs.Row):
                raise self.damaged("a row after the first object")
            yield entry


class BundlePeer:
    """A bundle as the other side of a sync. It is read once."""

    def __init__(self, reader: BundleReader) -> None:
        self._reader = reader
        # Who made it is no matter: what it holds may as well come back to the store that it was made from.
        self.hello = Hello(reader.header.format.name, b"", VERSION, False)

    def refs(self, prefix: str) -> Mapping[str, Digest]:
        """Returns the refs in it whose names start so."""
        return {name: at for name, at in self._reader.refs.items() if name.startswith(prefix)}

    def missing(self, digests: Sequence[Digest]) -> NoReturn:
        """Refuses: a bundle has no list of what is in it.

        Raises:
            RemoteError: always; so does `take`.
        """
        raise self._no_store()

    def take(self, items: Iterable[Sequence[Item]], updates: Sequence[Update]) -> Taken:
        """Refuses: a bundle is not added to."""
        raise self._no_store()

    def _no_store(self) -> RemoteError:
        name = self._reader.name
        return RemoteError(f"{name} is a bundle, which takes nothing", remote=name, hint="redun bundle create")

    def give(self, roots: Sequence[Digest], ask: Ask) -> Iterator[Sequence[Item]]:
        """Returns what is in it and `ask` says is missing, whatever leads to it.

        Raises:
            RemoteError: if something that it builds on is missing.
            StoreDamaged: if it is cut off or damaged.
        """
        check_needs(self._reader, ask(self._reader.header.needs))
        for batch in self._reader.items():
            absent = set(ask([item.digest for item in batch if not isinstance(item, Boundary)]))
            for item in batch:
                if isinstance(item, Large) and item.digest not in absent:
                    _pass_over(item)
            wanted = [item for item in batch if isinstance(item, Boundary) or item.digest in absent]
            if wanted:
                yield wanted

    def close(self) -> None:
        """Does nothing: the file is the caller's."""


def check_needs(reader: BundleReader, absent: Sequence[Digest]) -> None:
    """Checks that what a bundle builds on is there.

    Raises:
        RemoteError: if not; it names what is missing.
    """
    if absent:
        named = ", ".join(digest.hex() for digest in absent[:_NAMED])
        more = f" and {len(absent) - _NAMED:,} more" if len(absent) > _NAMED else ""
        raise RemoteError(
            f"{reader.name} builds on what is not here: {named}{more}",
            remote=reader.name,
            hint="take in the bundles before it first, or make one without --since",
        )


@contextmanager
def opened(source: str | os.PathLike[str] | packs.Readable, directory: Path | None = None) -> Iterator[BundleReader]:
    """Gives the reader of a bundle: of a file, or of a stream.

    Args:
        directory: of the store that says whose signatures count.

    Raises:
        StoreError: if the file cannot be read, or is no bundle.
    """
    signers = read_signers(directory)
    if not isinstance(source, str | os.PathLike):
        with _proven(source, "the bundle", signers) as proven:
            yield BundleReader(proven, "the bundle", signers)
        return
    name = os.fspath(source)
    with _file(name) as file, _proven(file, name, signers) as proven:
        yield BundleReader(proven, name, signers)


@contextmanager
def _proven(source: packs.Readable, name: str, signers: Signers) -> Iterator[packs.Readable]:
    """Where a signature is required, nothing of a bundle is taken in before that was checked: a copy is made, which
    nobody can exchange in between, and read twice."""
    if not signers.required:
        yield source
        return
    with TemporaryFile() as copy:
        with translated(Path(gettempdir())):
            while part := source.read(limits.MIB):
                copy.write(part)
            copy.seek(0)
        for batch in BundleReader(copy, name, signers).items():
            for item in batch:
                if isinstance(item, Large):
                    _pass_over(item)
        copy.seek(0)
        yield copy


def _pass_over(item: Large) -> None:
    """Reads a large object that is not wanted: the next one stands behind it."""
    for _ in item.parts:
        pass


def _file(name: str) -> BinaryIO:
    try:
        return open(name, "rb")
    except OSError as error:
        raise StoreError(f"cannot read {name}: {error.strerror}", path=name, hint="redun bundle create") from error
