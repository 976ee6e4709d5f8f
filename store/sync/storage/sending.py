"""Writing packs: each is there before its index, and its index before those of packs that need it. So what an index
tells of is there with all that it leads to, wherever a push breaks off, and the next one goes on from there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import IO, Final, Self

from redun.core.digest import ObjectFormat
from redun.core.errors import RemoteError
from redun.store.sync.storage.bucket import Bucket
from redun.store.sync.storage.building import Built
from redun.store.sync.storage.catalog import Catalog
from redun.store.sync.storage.records import INDEX_SUFFIX, PACK_SUFFIX, PACKS, Index, index_bytes

#: Packs on their way at a time; each is held in memory.
_AT_ONCE: Final = 4


class Sending:
    """Sends packs, some at a time, and their indexes in the order in which the packs came."""

    def __init__(self, bucket: Bucket, fmt: ObjectFormat, catalog: Catalog) -> None:
        self._bucket = bucket
        self._format = fmt
        self._catalog = catalog
        self._pool = ThreadPoolExecutor(_AT_ONCE, "redun-storage")
        self._going: deque[tuple[Index, Future[None]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for what is on its way; what has arrived counts, also after an error."""
        try:
            while self._going:
                self._arrived()
        except RemoteError:
            if error is None:
                raise
        finally:
            self._going.clear()
            self._pool.shutdown(wait=True, cancel_futures=True)

    def send(self, built: Built) -> None:
        """Sends a pack.

        Raises:
            RemoteError: if one that was sent before cannot be written.
        """
        path = _pack_path(built.contents)
        self._start(built.contents, lambda: self._put(path, built.data))

    def send_file(self, index: Index, source: IO[bytes]) -> None:
        """Sends a pack that is in a file, and waits for it.

        Raises:
            RemoteError: if it, or one that was sent before, cannot be written.
        """
        self._start(index, lambda: self._bucket.upload(_pack_path(index), source, index.size))
        while self._going:
            self._arrived()

    def _start(self, index: Index, put: Callable[[], None]) -> None:
        while len(self._going) >= _AT_ONCE:
            self._arrived()
        self._going.append((index, self._pool.submit(put)))

    def _arrived(self) -> None:
        """Waits for the pack that was sent first, and writes its index."""
        index, going = self._going.popleft()
        going.result()
        self._put(f"{PACKS}/{index.pack}{INDEX_SUFFIX}", index_bytes(index, self._format))
        self._catalog.add(index)

    def _put(self, path: str, data: bytes) -> None:
        """Writes what its content names: that it is there already is as good."""
        try:
            self._bucket.create(path, data)
        except RemoteError:
            # It may have been written, and only the answer got lost.
            if not any(found.name == path and found.size == len(data) for found in self._bucket.names(PACKS)):
                raise


def _pack_path(index: Index) -> str:
    return f"{PACKS}/{index.pack}{PACK_SUFFIX}"
