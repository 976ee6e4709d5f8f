"""Looking in the memo of a store for calls that were recorded."""

from __future__ import annotations

from collections.abc import Callable

from redun.core.digest import Digest, Key
from redun.store import Store

Known = Callable[[Digest, tuple[Digest, ...]], list[Digest]]
"""Tells the recorded calls of a task with these arguments, newest first."""


def known_in(store: Store) -> Known:
    """Returns what tells the calls that the memo of a store has.

    Calls whose arguments hold instances of the user's own classes are not found: their key has the code of those too.
    """

    def known(task: Digest, args: tuple[Digest, ...]) -> list[Digest]:
        row = store.lookup({}, [_key(store, task, args)])[0]
        return [] if row is None else [remembered.call for remembered in row.calls]

    return known


def _key(store: Store, task: Digest, args: tuple[Digest, ...]) -> Key:
    # Here and not at the top: what makes keys reads code, too, and commands that explain a history seldom need it.
    from redun.core.keys import call_key

    return call_key(store.format, task, args)
