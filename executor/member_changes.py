"""Which members of a set of files differ between two of its states, found without reading the parts that both share."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Callable
from typing import NamedTuple

from redun.core.digest import Digest
from redun.store.indexes.held_files import HeldSet

Read = Callable[[Digest], bytes | None]
"""Gives the payload of a value, None where it is missing."""


class MemberChange(NamedTuple):
    """A member that is not as it was: its path, and its states, None where it is no member."""

    path: str
    old: bytes | None
    new: bytes | None


def member_changes(old: HeldSet, new: HeldSet, read: Read) -> list[MemberChange]:
    """Returns the members that differ, in the order of their paths."""
    before, after = _unshared(old, new, read), _unshared(new, old, read)
    changed = [path for path, state in before.items() if after.get(path) != state]
    added = [path for path in after if path not in before]
    return [MemberChange(path, before.get(path), after.get(path)) for path in sorted((*changed, *added))]


def _unshared(one: HeldSet, other: HeldSet, read: Read) -> dict[str, bytes | None]:
    """The members in the parts that the other does not have."""
    if isinstance(one.members, list) and isinstance(other.members, list):
        shared = set(other.members)
        one = one._replace(members=[part for part in one.members if part not in shared], archives=())
    return {file.path: file.state for file in one.files(read)}
