"""What the other side of a sync can do. It may be another store on this machine, or a process far away."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from redun.core.digest import Digest
from redun.store.gc.shallow import Missing

#: Tells which of some objects are not there.
Ask = Callable[[Sequence[Digest]], Sequence[Digest]]


class Sent(NamedTuple):
    """An object on its way."""

    digest: Digest
    kind: str
    payload: bytes


class Large(NamedTuple):
    """An object on its way whose payload of `size` bytes comes in parts, which are read once and before the next
    object."""

    digest: Digest
    kind: str
    size: int
    parts: Iterable[bytes | memoryview]


class Boundary(NamedTuple):
    """Says of an execution that is sent what of it the sender does not have, on purpose: it was pruned there."""

    execution: Digest
    missing: Missing


#: What is sent: boundaries before the objects that they are about, objects after what they point to.
Item = Sent | Large | Boundary


class Hello(NamedTuple):
    """What a peer says of itself.

    Attributes:
        format: name of the object format.
        store_id: its store; empty for a file, which is none.
        redun: version of the program.
        writable: whether it takes objects.
    """

    format: str
    store_id: bytes
    redun: str
    writable: bool


class Update(NamedTuple):
    """A ref that is to move: its name, where it is, and where it is to be. None is no ref."""

    name: str
    old: Digest | None
    new: Digest


class Taken(NamedTuple):
    """What a peer has taken in.

    Attributes:
        objects, size: how many objects were new to it, and the bytes of their payloads.
        refs: what became of each ref that was to move: its name as it is there, and whether it moved as asked. A chain
            that has gone another way there is kept beside, under a name of its own.
        claims: entries of the cache that it took over.
    """

    objects: int = 0
    size: int = 0
    refs: tuple[tuple[str, str], ...] = ()
    claims: int = 0


class Peer(Protocol):
    """The other side of a sync.

    Promised: what it has it has with all that this leads to, but for what it declares. Not promised: that anything it
    sends is what it says.
    """

    @property
    def hello(self) -> Hello:
        """What it says of itself."""
        ...

    def refs(self, prefix: str) -> Mapping[str, Digest]:
        """Returns its refs whose names start so."""
        ...

    def missing(self, digests: Sequence[Digest]) -> Sequence[Digest]:
        """Returns those of the objects that it does not have."""
        ...

    def take(self, items: Iterable[Sequence[Item]], updates: Sequence[Update]) -> Taken:
        """Takes objects in and moves refs, all of them after the last object.

        Raises:
            RemoteError: if it refuses; what had come until then may be there, and nothing leads to it.
        """
        ...

    def give(self, roots: Sequence[Digest], ask: Ask) -> Iterator[Sequence[Item]]:
        """Returns what some of its objects lead to and `ask` says is missing, in batches."""
        ...

    def close(self) -> None:
        """Ends the connection. Closing twice is harmless."""
        ...
