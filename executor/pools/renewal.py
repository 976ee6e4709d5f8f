"""Workers that outlive runs: when the user's code was edited since one of them loaded it, it is loaded again."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Final

from redun.core.ownership import Ownership
from redun.core.tasks import registry

_MAINS: Final = ("__main__", "__mp_main__")


class Renewal:
    """Forgets the user's own modules in this process, where that was allowed: they are no longer those of the run.

    Bodies of other threads that run their code keep it.
    """

    def __init__(self) -> None:
        self._allowed = False
        self._lock = threading.Lock()
        #: What was asked for, and not found after the code was loaded again.
        self._tried: set[bytes] = set()

    def allow(self) -> None:
        """Says that this process serves one run after the other."""
        self._allowed = True

    def begin(self, wanted: bytes, module: str) -> bool:
        """Forgets code, with that of the package of a module, because it has not the fingerprint `wanted`; returns
        False where that is not allowed, or was of no use before."""
        with self._lock:
            if not self._allowed or wanted in self._tried:
                return False
            self._tried.add(wanted)
            _forget(module.partition(".")[0])
            return True

    def found(self, wanted: bytes) -> None:
        """Takes note that code with that fingerprint is here."""
        self._tried.discard(wanted)


def _forget(package: str) -> None:
    ownership = Ownership.of(Renewal)  # as a class sees it that no task vouches for
    own = set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        top = name.partition(".")[0]
        if file and name not in _MAINS and (top == package != "redun" or ownership.owns_module(name, file)):
            own.add(name)
    registry.forget(own)
    for name in own:
        del sys.modules[name]
    importlib.invalidate_caches()


renewal: Final = Renewal()
