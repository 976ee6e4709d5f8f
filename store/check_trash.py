"""Whether what was swept, and can be had back until it expires, is still what it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from redun.core.digest import Digest
from redun.core.errors import LibraryMissing, StoreDamaged
from redun.store.check_objects import named_kind, pages
from redun.store.gc import trash
from redun.store.objects import Objects
from redun.store.ports import Backend
from redun.store.problems import Problem

_EXPIRES: Final = "nothing needs it, unless it is asked for before it expires"


def check_trash(backend: Backend, objects: Objects) -> Iterator[Problem]:
    """Returns the problems of swept objects: each still has the bytes that its id was made of."""
    for page in pages(backend, "trash"):
        for digest, env in trash.envelopes(page):
            try:
                objects.open(Digest(digest), env)
            except LibraryMissing:
                continue  # said where objects are looked at
            except StoreDamaged as error:
                kind = named_kind(env)
                message = f"the {kind} {digest.hex()} in the trash is damaged: {error.message}"
                yield Problem(2, "trash", digest.hex(), message, _EXPIRES)
