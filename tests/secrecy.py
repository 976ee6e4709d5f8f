"""What this process knows of secrets, forgotten around tests: it would mask texts of other tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redun.core import concealed


@pytest.fixture
def forgets_secrets() -> Iterator[None]:
    """Leaves no secret known, neither before nor after."""
    forget_secrets()
    yield
    forget_secrets()


def forget_secrets() -> None:
    """Makes this process one that was told no secret."""
    concealed.KNOWN.clear()
    concealed._TEXTS.clear()
