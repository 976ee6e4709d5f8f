"""A remote as a run asks it: what goes wrong with it is one warning."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from redun.core.digest import Key
from redun.core.errors import RedunError
from redun.store.sync.asking import Asker


class Asking:
    """Asks a remote for keys until something goes wrong.

    Args:
        asker: reaches it.
        warn: is told what went wrong.
    """

    def __init__(self, asker: Asker, warn: Callable[[str], None]) -> None:
        self.name: Final = asker.name
        self._asker: Asker | None = asker
        self._warn = warn

    def stop(self) -> None:
        """Lets the run go on without an answer: it is to end. Any thread may ask for that."""
        asker = self._asker
        if asker is not None:
            asker.stop()

    def find(self, keys: Sequence[Key]) -> Collection[Key]:
        """Returns those of the keys that the store has an answer for now. It never fails."""
        if self._asker is None:
            return ()
        try:
            return self._asker.find(keys)
        except (RedunError, OSError) as error:
            self._asker = None
            why = error.message if isinstance(error, RedunError) else str(error)
            self._warn(f"{why}; the run goes on without {self.name}")
            return ()
