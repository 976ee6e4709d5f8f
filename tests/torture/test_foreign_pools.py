"""The whole contract of pools over those of other libraries, which make their workers anew for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.store import Store
from tests.executor.flows import flow_in
from tests.executor.pool_flows import INSTALLED, Pooled
from tests.executor.test_pools import *  # noqa: F403  the tests themselves, with a fixture of their own


@pytest.fixture(params=list(INSTALLED))
def pooled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pooled]:
    """A workflow for each of these pools, with an empty store."""
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        yield Pooled(flow, request.param)
