"""Which executions of a chain the other side lacks. A chain is asked for in steps that double, from its head: what is
there already is found after few questions, however long the history is."""

from __future__ import annotations

from typing import Final

from redun.core.digest import Digest
from redun.core.objects import ExecRecord
from redun.store.copying import Source
from redun.store.gc.shallow import Missing
from redun.store.sync.peers import Ask

#: Executions asked for at first, and at most at once.
_FIRST: Final = 16
_MOST: Final = 8_192


def new_executions(source: Source, head: Digest, ask: Ask) -> list[Digest]:
    """Returns the executions from the head of a chain down to the first that the other side has, newest first.

    Raises:
        StoreDamaged: if one of them is missing or damaged.
    """
    found: list[Digest] = []
    at: Digest | None = head
    step = _FIRST
    while at is not None:
        some: list[Digest] = []
        while at is not None and len(some) < step:
            some.append(at)
            at = _parent(source, at)
        absent = set(ask(some))
        for digest in some:
            if digest not in absent:
                return found
            found.append(digest)
        step = min(2 * step, _MOST)
    return found


def _parent(source: Source, digest: Digest) -> Digest | None:
    if source.declared(digest) & Missing.PARENT:
        return None
    return ExecRecord.parse(bytes(source.load(digest).payload)).parent
