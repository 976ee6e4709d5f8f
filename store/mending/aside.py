"""Where a repair puts what it takes out: nothing that was stored is thrown away.

`damaged/<time>/` in the directory of the store: files as they were, and `rows.msgpack`, one array of table, key and
value a row. A store in memory has no such place.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import BinaryIO

from redun.core.codec import packed
from redun.store.blobs import BlobArea, FileBlobs
from redun.store.filesystem import make_directory, sync_directory, translated


class Aside:
    """The place of one repair; made when it is needed first."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._place: Path | None = None
        self._rows: BinaryIO | None = None

    @property
    def where(self) -> str:
        """The directory, or "" where nothing was put aside."""
        return str(self._place or "")

    def row(self, table: str, key: bytes, value: bytes) -> None:
        """Takes a row, which may be removed from its table after `settle`."""
        place = self._made()
        if place is None:
            return
        with translated(place):
            if self._rows is None:
                self._rows = open(place / "rows.msgpack", "xb")  # noqa: SIM115  closed by `close`
            self._rows.write(packed([table, key, value]))

    def settle(self) -> None:
        """Returns when all rows survive a loss of power."""
        if self._rows is not None and self._place is not None:
            with translated(self._place):
                self._rows.flush()
                os.fsync(self._rows.fileno())

    def file(self, path: Path) -> None:
        """Moves a file away, under its name. Harmless where there is none."""
        place = self._made() if os.path.lexists(path) else None
        if place is not None:
            with translated(path):
                os.replace(path, place / path.name)
                sync_directory(place)

    def copy(self, path: Path) -> None:
        """Gives a file a second name in this place, or copies it where the file system knows no second names."""
        place = self._made()
        if place is not None:
            with translated(path):
                try:
                    os.link(path, place / path.name)
                except OSError:
                    with open(path, "rb") as source, open(place / path.name, "xb") as target:
                        while part := source.read(1 << 20):
                            target.write(part)
                        os.fsync(target.fileno())
                sync_directory(place)

    def blob(self, blobs: BlobArea, digest: bytes) -> None:
        """Moves the file of a payload away. Harmless where there is none."""
        if isinstance(blobs, FileBlobs):
            self.file(blobs.path_of(digest))

    def close(self) -> None:
        """Closes what is open."""
        self.settle()
        if self._rows is not None:
            self._rows.close()
            self._rows = None

    def _made(self) -> Path | None:
        if self._place is None and self._directory is not None:
            stamp, number = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), 0
            place = self._directory / "damaged" / stamp
            with translated(self._directory):
                while os.path.lexists(place):
                    number += 1
                    place = place.with_name(f"{stamp}-{number}")
                make_directory(place)
            self._place = place
        return self._place
