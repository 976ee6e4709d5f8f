"""Writes batches beside the run: a commit waits for the disk, and neither the loop nor the pool should."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from redun.core.digest import Digest
from redun.store import Batch, Store


class Writer:
    """Commits one batch at a time on a thread of its own, in the order in which they come.

    Promised: when `write` or `finish` returns, every batch given before is stored, or its error is raised there. What
    is on its way is in `objects`. All methods belong to one thread.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        self._outbox: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        #: Objects of the batch that is being written.
        self.objects: dict[Digest, tuple[str, bytes]] = {}
        self._busy = False

    def write(self, batch: Batch) -> None:
        """Waits for the batch before, and begins to write this one.

        Raises:
            StoreError: if the one before could not be written.
        """
        self._wait()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="redun-writer", daemon=True)
            self._thread.start()
        self.objects = batch.objects
        self._busy = True
        self._inbox.put(batch)

    def finish(self) -> None:
        """Waits for what is being written and ends the thread.

        Raises:
            StoreError: if it could not be written.
        """
        if self._thread is None:
            return
        self._inbox.put(None)
        try:
            self._wait()
        finally:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Ends the thread when what is being written is, or could not be; harmless after `finish`."""
        if self._thread is not None:
            self._inbox.put(None)
            self._thread.join()
            self._thread = None

    def is_busy(self) -> bool:
        """Returns whether a batch is on its way still.

        Raises:
            StoreError: if it could not be written.
        """
        if self._busy and not self._outbox.empty():
            self._wait()
        return self._busy

    def _wait(self) -> None:
        if not self._busy:
            return
        error = self._outbox.get()
        self._busy = False
        self.objects = {}
        if error is not None:
            raise error

    def _run(self) -> None:
        while (batch := self._inbox.get()) is not None:
            try:
                self._store.commit(batch)
            except BaseException as error:  # noqa: BLE001  raised again on the thread that gave the batch
                self._outbox.put(error)
            else:
                self._outbox.put(None)
