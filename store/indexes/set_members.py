"""Files among the members of sets that values hold: looked for where they would be, for members have no rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from redun.core.codec import Pointer, unpack
from redun.core.digest import Digest
from redun.core.errors import MalformedObject
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
            parts = _parts(value, found)
            for number, place in enumerate(parts):
                about = (found.prefix, place, bool(found.archives))
                if place == value or about not in seen:
                    seen.add(about)
                    part, archives = self._part(value, found, number, parts)
                    yield from ((place, file) for file in found.listed(part, archives) if fits(file.path, pattern))

    def at(self, path: str) -> Iterator[Found]:
        """Yields what sets say of the file of one path."""
        for value, found in self._index.sets(lambda base: _lies_below(path, HeldSet("", base, {}).prefix)):
            parts, name = _parts(value, found), path.removeprefix(found.prefix)
            number = self._number(parts, name) if parts != [value] else 0
            if number >= 0:
                part, archives = self._part(value, found, number, parts)
                if name in part:  # nearly always: no other has to be made
                    kept = archives[list(part).index(name)] if _fits(archives, part) else None
                    part, archives = {name: part[name]}, [kept]
                yield from ((parts[number], file) for file in found.listed(part, archives) if file.path == path)

    def _part(self, value: Digest, found: HeldSet, number: int, parts: Sequence[Digest]) -> tuple[dict[Any, Any], Any]:
        """The members in one of the parts, and what is said of their bytes."""
        archives = self._read(found.archives[number]) if len(found.archives) == len(parts) else None
        part = found.members if parts == [value] else self._read(parts[number])
        return part if isinstance(part, dict) else {}, archives

    def _number(self, parts: Sequence[Digest], name: str) -> int:
        """Which of the parts, which are in the order of paths, a name would be in; -1 for none."""
        low, high = 0, len(parts)
        while low < high:
            middle = (low + high) // 2
            if self._first(parts[middle]) <= name:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def _first(self, part: Digest) -> str:
        if part not in self._firsts:
            items = self._read(part)
            self._firsts[part] = text_of(next(iter(items), "")) or "" if isinstance(items, dict) else ""
        return self._firsts[part]

    def _read(self, digest: Digest) -> Any:
        payload = self._index.payload(digest)
        try:
            return None if payload is None else unpack(payload)
        except MalformedObject:
            return None


def _parts(value: Digest, found: HeldSet) -> list[Digest]:
    """The values that the members are in: the set's own, or those that it points to."""
    if isinstance(found.members, dict):
        return [value]
    return [pointer.digest for pointer in found.members if isinstance(pointer, Pointer)]


def _fits(archives: Any, part: dict[Any, Any]) -> bool:
    return isinstance(archives, list) and len(archives) == len(part)


def _lies_below(path: str, prefix: str) -> bool:
    if prefix:
        return path.startswith(prefix)
    return not path.startswith("/") and "://" not in path
