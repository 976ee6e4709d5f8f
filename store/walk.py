"""Walking the graph of objects along its pointers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from redun.core.digest import Digest
from redun.core.errors import NotFound
from redun.core.objects import pointers

#: Objects fetched in one transaction.
_STEP = 256

Found = tuple[str, bytes | memoryview]
Fetch = Callable[[Sequence[Digest]], list[Found | None]]


def walk(fetch: Fetch, roots: Iterable[Digest]) -> Iterator[tuple[Digest, str, bytes | memoryview]]:
    """Returns (id, kind, payload) of everything that can be reached, each once, an object before what only it names.

    Raises:
        NotFound: if something is pointed to and missing.
    """
    todo = list(dict.fromkeys(roots))
    seen = set(todo)
    while todo:
        step, todo = todo[-_STEP:], todo[:-_STEP]
        for digest, found in zip(step, fetch(step), strict=True):
            if found is None:
                raise NotFound(f"object {digest.hex()} is pointed to and missing", hint="redun fsck")
            kind, payload = found
            yield digest, kind, payload
            for child in pointers(kind, payload):
                if child not in seen:
                    seen.add(child)
                    todo.append(child)
