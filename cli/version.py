"""The version of the distribution, written out: asking the installed metadata costs more than the rest of `--version`.

A test holds it equal to the one in `pyproject.toml`.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
