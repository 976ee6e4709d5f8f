"""Stores and backends for the tests of this floor: every test that takes one runs with all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from redun.core.digest import OBJECT_FORMATS, ObjectFormat
from redun.core.objects import How, JobRow, Status, Why
from redun.store import Store
from redun.store.lmdb_backend import LmdbBackend
from redun.store.memory_backend import MemoryBackend
from redun.store.ports import Backend


@pytest.fixture(params=["memory", "lmdb"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """A backend of each kind."""
    made: Backend = MemoryBackend() if request.param == "memory" else LmdbBackend(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=list(OBJECT_FORMATS))
def fmt(request: pytest.FixtureRequest) -> ObjectFormat:
    """Each object format."""
    return OBJECT_FORMATS[request.param]


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest, fmt: ObjectFormat, tmp_path: Path) -> Iterator[Store]:
    """An empty store on each backend, in each object format."""
    made = Store.memory(fmt.name) if request.param == "memory" else Store.init(tmp_path / "s", object_format=fmt.name)
    with made:
        yield made


@pytest.fixture
def row() -> Callable[..., JobRow]:
    """Makes job rows with only what a test cares about."""

    def make(number: int, **fields: Any) -> JobRow:
        plain = JobRow(number, None, -1, Status.DONE, How.RAN, Why.FIRST, 10 * number, 5)
        return plain._replace(**fields)

    return make
