"""Outputs that are gone or changed, brought back from the bytes that the store keeps of them instead of made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from redun.core.codec import references
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import NotFound, RedunError
from redun.core.files.archive import bring_back
from redun.core.files.filesystems import filesystem_of
from redun.store.indexes.held_files import HeldFile, compared_by, held_files, held_sets

Fetch = Callable[[Digest], tuple[str, Any]]


def bring_all_back(fmt: ObjectFormat, fetch: Fetch, payload: bytes) -> None:
    """Brings the files that a value holds into the states that it says, as far as their bytes are kept; what cannot be
    had back stays as it is."""
    for file in _files(fetch, payload):
        if file.archive is None or compared_by(file.kind) != "content":
            continue
        try:
            if filesystem_of(file.path).state(file.path, "content") != file.state:
                data = memoryview(fetch(file.archive)[1])
                bring_back(fmt, file.archive, data, file.path, executable=file.executable)
        except (OSError, RedunError):
            return  # the body makes all of it


def _files(fetch: Fetch, payload: bytes) -> Iterator[HeldFile]:
    """The files in a value and in those that it points to."""

    def read(digest: Digest) -> bytes | None:
        try:
            kind, found = fetch(digest)
        except NotFound:
            return None
        return bytes(found) if kind in ("value", "tree") else None

    seen: set[Digest] = set()
    waiting = [payload]
    while waiting:
        part = waiting.pop()
        yield from held_files(part)
        for found in held_sets(part):
            yield from found.files(read)
        inside = set(references(part)) - seen
        seen |= inside
        waiting += [one for one in map(read, inside) if one is not None]
