"""States of handles: where a handle stands in what was done to its resource, and who knows which states still hold.

A state is named by how it came to be: by the *line* (name and arguments of the handle, which is its first state, too)
and by the calls whose bodies had the resource since, one after the other. So equal histories have equal states, in
every process and store.
"""

from __future__ import annotations

import threading
from typing import Final, NamedTuple, Protocol

from redun.core.values import External


class Position(NamedTuple):
    """Where a handle stands.

    Attributes:
        name: its full name.
        line: id of the handle as it was made, before anything was done with it.
        states: its state; several where branches were merged. A handle that nothing was done with is at its line.
        parents: the states that a body made this one of, where this process saw it.
    """

    name: str
    line: bytes
    states: tuple[bytes, ...]
    parents: tuple[bytes, ...] = ()


class Stateful:
    """A value that stands for a state of something outside, which bodies change."""

    def __position__(self) -> Position:
        """Returns where it stands."""
        raise NotImplementedError

    def __stands__(self) -> bool:
        """Returns whether the resource was not rolled back behind this state."""
        raise NotImplementedError


def stands(external: External) -> bool:
    """Returns whether an argument is what it was when it was named. What the class of a handle, or of a value of the
    user, thinks of what it stands for is no matter here: the task may be the one that makes it."""
    own = getattr(external, "__stands__", None)
    return bool(external.is_valid() if own is None else own())


class States(Protocol):
    """What a run knows of states."""

    def holds(self, position: Position) -> bool:
        """Returns whether the resource was not rolled back behind these states."""
        ...

    def reached(self, position: Position) -> None:
        """A body has brought the resource to a new state."""
        ...


class _Current(threading.local):
    """The states that the run of this thread knows."""

    states: States | None = None


CURRENT: Final = _Current()


def state_after(states: tuple[bytes, ...], key: bytes) -> bytes:
    """Returns the state that the call of that key brings a resource to."""
    return hashed(b"call\0", *states, b"\0", key)


def hashed(*parts: bytes) -> bytes:
    """Returns the SHA-256 of these bytes. It is the same in every store, whatever its object format."""
    import hashlib  # it loads OpenSSL, which takes 3 ms of every start

    return hashlib.sha256(b"".join(parts)).digest()
