"""Fixtures of the executor's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.store import Store
from tests.executor.flows import Flow, flow_in


@pytest.fixture(params=["whole", "step"])
def flow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flow]:
    """A workflow with an empty store, for each way of replaying."""
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as made:
        made.replay = request.param
        yield made


@pytest.fixture
def store() -> Iterator[Store]:
    """A store in memory, which is sound when the test has ended."""
    with Store.memory() as made:
        yield made
        assert list(made.check()) == []
