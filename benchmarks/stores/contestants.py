"""What a contestant does, and where each is to be found. Modules are loaded late: no environment has all libraries."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, cast

from benchmarks.stores.contents import Item


class Contestant(Protocol):
    """A store of byte strings. One that names values itself gives other keys than those it is offered."""

    def put(self, items: Sequence[Item]) -> list[bytes]:
        """Stores the values of one batch, in one transaction if there are any; returns their keys."""
        ...

    def get(self, key: bytes) -> bytes:
        """Returns a value, in memory as bytes."""
        ...

    def has(self, key: bytes) -> bool:
        """Returns whether there is a value."""
        ...

    def close(self) -> None:
        """Ends it."""
        ...


class Batched(Contestant, Protocol):
    """A contestant that also reads a batch at a time."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes]:
        """Returns the values of keys that exist, in any order."""
        ...


_HOMES: Final = {
    "ours": "ours",
    "lmdb": "engines",
    "sqlite": "engines",
    "files": "engines",
    "diskcache": "peers",
    "joblib": "peers",
    "git": "peers",
}


def contestant(name: str, directory: Path) -> Contestant:
    """Returns the contestant of that name, working in a directory; what follows a dash says how it is set up."""
    first, _, setting = name.partition("-")
    home = importlib.import_module(f"benchmarks.stores.{_HOMES[first]}")
    return cast(Contestant, getattr(home, first)(directory, setting))
