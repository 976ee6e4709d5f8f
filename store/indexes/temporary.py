"""Tables in a temporary file, for what is too much for memory and has no place in its store."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from redun.store.lmdb_backend import LmdbBackend
from redun.store.ports import Backend


def tables() -> tuple[Backend, Callable[[], None]]:
    """Returns empty tables, and what removes them with their file.

    Raises:
        StoreError: if there is no room for temporary files.
    """
    directory = Path(tempfile.mkdtemp(prefix="redun-index-"))
    made = LmdbBackend(directory)

    def discard() -> None:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)

    return made, discard
