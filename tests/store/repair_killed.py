"""Repairs a store, and dies after so many steps: transactions, and names given or taken away.

Arguments: the directory, the number of steps. It ends with 0 where there were fewer.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from redun.store import repair
from redun.store.lmdb_backend import LmdbBackend


class Steps:
    """Counts down."""

    def __init__(self, left: int) -> None:
        self.left = left

    def after(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function that dies after the last step."""

        def step(*args: Any, **more: Any) -> Any:
            result = function(*args, **more)
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return step


if __name__ == "__main__":
    steps = Steps(int(sys.argv[2]))
    LmdbBackend.write = steps.after(LmdbBackend.write)  # type: ignore[method-assign]
    for name in ("replace", "link", "unlink", "rename", "fsync", "mkdir"):
        setattr(os, name, steps.after(getattr(os, name)))
    repair(sys.argv[1])
