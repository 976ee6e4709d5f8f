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

Found = tuple[tuple[Digest, ...], HeldFile]
"""A file, and the values that hold the sets that it is a member of."""


class SetMembers:
    """Looks through the sets of one index. Parts that sets have in common are read once."""

    def __init__(self, index: Index) -> None:
        self._index = index
        #: Of each part: its first path from the directory.
        self._firsts: dict[Digest, str] = {}

    def fitting(self, pattern: str) -> Iterator[Found]:
        """Yields the members whose path fits a pattern, in no order, some of them more than once. Sets that have a part
        in common are told together."""
        fixed = pattern[: min([len(pattern), *(pattern.find(wild) for wild in _WILD if wild in pattern)])]

        def wanted(base: str) -> bool:
            prefix = HeldSet("", base, {}).prefix
            return prefix.startswith(fixed) or fixed.startswith(prefix)

        holders: dict[tuple[str, str, Digest, Digest | None], list[Digest]] = {}
        for value, found in self._index.sets(wanted):
            parts = _parts(value, found)
            if parts == [value]:
                yield from self._fitting(pattern, (value,), found, value, _archive(found, 0, parts))
            else:
                for number, part in enumerate(parts):
                    key = (found.kind, found.base, part, _archive(found, number, parts))
                    holders.setdefault(key, []).append(value)
        for (kind, base, part, archive), values in holders.items():
            yield from self._fitting(pattern, tuple(values), HeldSet(kind, base, []), part, archive)

    def _fitting(
        self, pattern: str, values: tuple[Digest, ...], found: HeldSet, part: Digest, archive: Digest | None
    ) -> Iterator[Found]:
        members = found.members if isinstance(found.members, dict) else self._read(part)
        if isinstance(members, dict):
            kept = None if archive is None else self._read(archive)
            yield from ((values, file) for file in found.listed(members, kept) if fits(file.path, pattern))

    def at(self, path: str) -> Iterator[Found]:
        """Yields what sets say of the file of one path."""
        for value, found in self._index.sets(lambda base: _lies_below(path, HeldSet("", base, {}).prefix)):
            parts, name = _parts(value, found), path.removeprefix(found.prefix)
            number = self._number(parts, name) if parts != [value] else 0
            part = found.members if parts == [value] else self._read(parts[number]) if number >= 0 else None
            if not isinstance(part, dict):
                continue
            archive = _archive(found, number, parts)
            archives: Any = None if archive is None else self._read(archive)
            if name in part:  # nearly always: no other has to be made
                kept = archives[list(part).index(name)] if _fits(archives, part) else None
                part, archives = {name: part[name]}, [kept]
            yield from (((value,), file) for file in found.listed(part, archives) if file.path == path)

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


def _archive(found: HeldSet, number: int, parts: Sequence[Digest]) -> Digest | None:
    """The value with what is said of the bytes of the members in one of the parts."""
    return found.archives[number] if len(found.archives) == len(parts) and number >= 0 else None


def _fits(archives: Any, part: dict[Any, Any]) -> bool:
    return isinstance(archives, list) and len(archives) == len(part)


def _lies_below(path: str, prefix: str) -> bool:
    if prefix:
        return path.startswith(prefix)
    return not path.startswith("/") and "://" not in path
