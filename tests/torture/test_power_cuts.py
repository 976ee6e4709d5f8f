"""Hundreds of power cuts of each kind; a failure says which it was. `replay.py` has what may be lost."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.store.store import Durability
from tests.store.powercut.promises import Recording, cut
from tests.store.powercut.recorded import record_command, record_library
from tests.store.powercut.replay import ORDERS, Order
from tests.store.test_power_cuts import check_command

_BLOCKS = 12
_CUTS = 50

Get = Callable[[str], Recording]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Get:
    """Recordings by name, each made once."""
    made: dict[str, Recording] = {}
    levels: dict[str, Durability] = {"normal": "normal", "durable": "durable"}

    def get(name: str) -> Recording:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = record_library(folder, levels[name]) if name in levels else record_command(folder)
        return made[name]

    return get


@pytest.mark.parametrize("block", range(_BLOCKS))
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("level", ["normal", "durable"])
def test_power_cuts_of_the_library(level: str, order: Order, block: int, recordings: Get, tmp_path: Path) -> None:
    for seed in range(block * _CUTS, (block + 1) * _CUTS):
        cut(recordings(level), order, seed, tmp_path)


@pytest.mark.parametrize("block", range(_BLOCKS))
@pytest.mark.parametrize("order", ORDERS)
def test_power_cuts_of_the_command(order: Order, block: int, recordings: Get, tmp_path: Path) -> None:
    turns = itertools.cycle([check_command, *[None] * 9])
    for seed, check in zip(range(block * _CUTS, (block + 1) * _CUTS), turns, strict=False):
        cut(recordings("command"), order, seed, tmp_path, check=check)
