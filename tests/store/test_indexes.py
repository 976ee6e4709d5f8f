"""Indexes answer what a walk over everything would, whatever has happened to the store."""

from __future__ import annotations

import random

import pytest

from redun.core.digest import Digest
from redun.store import Store
from tests.store.indexed import History, check_answers


@pytest.mark.parametrize("seed", range(6))
def test_answers_are_those_of_a_walk_over_everything(store: Store, seed: int) -> None:
    history, chance = History(store, seed), random.Random(seed)
    older: list[Digest] = []
    for _ in range(8):
        history.run(older)
        step = chance.randrange(6)
        if step == 0:
            history.prune()
        if step in (0, 1):
            history.sweep(for_good=True)
            older = [call for call in older if store.has(call)]
        if step != 2:
            check_answers(store, store.index())
    check_answers(store, store.index())
    store.rebuild_index()
    check_answers(store, store.index())
