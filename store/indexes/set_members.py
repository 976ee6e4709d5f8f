"""Files among the members of sets that values hold: looked for where they would be, for members have no rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from redun.core.codec import Pointer, unpack
from redun.core.digest import Digest
from redun.core.errors import MalformedObject
from redun.core.files.kept import blob_of
from redun.store.indexes.held_files import HeldFile, HeldSet, fits, text_of
from redun.store.indexes.index import Index

_WILD: Final = "*?["

Found = tuple[Digest, HeldFile]
"""A file, and the value that its path and state are in: the set's own, or one that it points to."""


class SetMembers:
    """Looks through the sets of one index. Parts that sets have in common are read once."""

    def __init__(self, index: Index) -> None:
        self._index = index
        #: Of each part: its first path from the directory.
        self._firsts: dict[Digest, str] = {}

    def fitting(self, pattern: str) -> Iterator[Found]:
        """Yields the members whose path fits a pattern, in no order, some of them more than once."""
        fixed = pattern[: min([len(pattern), *(pattern.find(wild) for wild in _WILD if wild in pattern)])]
        seen: set[tuple[str, Digest, bool]] = set()

        def wanted(base: str) -> bool:
            prefix = HeldSet("", base, {}).prefix
            return prefix.startswith(fixed) or fixed.startswith(prefix)

        for value, found in self._index.sets(wanted):
            for place, part, archives in self._parts(value, found):
                if (found.prefix, place, bool(archives)) in seen:
                    continue
                if place != value:
                    seen.add((found.prefix, place, bool(archives)))
                for number, (name, state) in enumerate(part.items()):
                    if fits(found.prefix + name, pattern):
                        yield place, _member(found, name, state, archives, number)

    def at(self, path: str) -> Iterator[Found]:
        """Yields what sets say of the file of one path."""
        for value, found in self._index.sets(lambda base: _lies_below(path, HeldSet("", base, {}).prefix)):
            name = path.removeprefix(found.prefix)
            for place, part, archives in self._parts(value, found, name):
                if name in part:
                    yield place, _member(found, name, part[name], archives, list(part).index(name))

    def _parts(
        self, value: Digest, found: HeldSet, name: str | None = None
    ) -> Iterator[tuple[Digest, dict[str, bytes], list[Any]]]:
        """(value that it is in, members, blobs) of each part; of the one that a name would be in."""
        if isinstance(found.members, dict):
            yield value, _members(found.members), self._archives(found, 0, 1)
            return
        places = [pointer.digest for pointer in found.members if isinstance(pointer, Pointer)]
        for number in range(len(places)) if name is None else self._place(places, name):
            yield places[number], self._part(places[number]), self._archives(found, number, len(places))

    def _archives(self, found: HeldSet, number: int, parts: int) -> list[Any]:
        """What is said of the bytes of the members in one of the parts, in their order."""
        items = self._read(found.archives[number]) if len(found.archives) == parts else []
        return items if isinstance(items, list) else []

    def _place(self, places: list[Digest], name: str) -> range:
        """Where in the parts, which are in the order of paths, a name would be."""
        low, high = 0, len(places)
        while low < high:
            middle = (low + high) // 2
            if self._first(places[middle]) <= name:
                low = middle + 1
            else:
                high = middle
        return range(low - 1, low) if low else range(0)

    def _first(self, place: Digest) -> str:
        if place not in self._firsts:
            self._firsts[place] = next(iter(self._part(place)), "")
        return self._firsts[place]

    def _part(self, place: Digest) -> dict[str, bytes]:
        items = self._read(place)
        return _members(items) if isinstance(items, dict) else {}

    def _read(self, pointer: Digest) -> Any:
        payload = self._index.payload(pointer)
        try:
            return None if payload is None else unpack(payload)
        except MalformedObject:
            return None


def _members(items: dict[Any, Any]) -> dict[str, bytes]:
    named = ((text_of(name), state) for name, state in items.items())
    return {name: state for name, state in named if name is not None and isinstance(state, bytes)}


def _member(found: HeldSet, name: str, state: bytes, archives: list[Any], number: int) -> HeldFile:
    kept = blob_of(archives[number]) if number < len(archives) else None
    return HeldFile(found.prefix + name, state, found.kind, *(kept or ()))


def _lies_below(path: str, prefix: str) -> bool:
    if prefix:
        return path.startswith(prefix)
    return not path.startswith("/") and "://" not in path
