"""Fixtures of the core's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.projects import Project, made_in


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project of real modules in a folder of its own."""
    with made_in(tmp_path) as made:
        yield made
