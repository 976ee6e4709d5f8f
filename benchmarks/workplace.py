"""Where benchmarks make their stores."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.machine import filesystem
from benchmarks.peer import cache_directory


def work_directory(wished: Path | None) -> Path:
    """Returns a directory on a real disk: the one wished for, else that of temporary files, else the cache."""
    if wished is not None:
        wished.mkdir(parents=True, exist_ok=True)
        return wished
    temporary = Path(tempfile.gettempdir())
    if filesystem(temporary) not in ("tmpfs", "ramfs"):
        return temporary
    cache = cache_directory() / "work"
    cache.mkdir(parents=True, exist_ok=True)
    return cache
