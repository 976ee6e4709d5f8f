"""Fixtures for tests of workflows. pytest finds them by itself where redun-core is installed.

`redun_scheduler` runs expressions on a store in memory that ends with the test; `redun_store` is one on disk. Tasks
that a test defines are forgotten when it ends.
"""

# Every run of pytest loads this module, whether its tests use redun or not: ours are imported in the fixtures.

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from redun.cli.testing.checks import RecordingScheduler
    from redun.store import Store


@pytest.fixture
def redun_scheduler() -> Iterator[RecordingScheduler]:
    """A scheduler on a fresh store in memory, for `assert_ran` and `assert_cached` of `redun.testing`."""
    from redun.cli.testing.checks import RecordingScheduler
    from redun.core.tasks import registry

    with registry.scoped(), RecordingScheduler() as scheduler:
        try:
            yield scheduler
        finally:
            scheduler.store.close()


@pytest.fixture
def redun_store(tmp_path: Path) -> Iterator[Store]:
    """A fresh store on disk, in the test's temporary directory: `.redun/store`, where `redun run` finds it."""
    from redun.core.tasks import registry
    from redun.store import Store

    with registry.scoped(), Store.init(tmp_path / ".redun" / "store") as store:
        yield store
