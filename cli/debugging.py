"""The debugger of `redun run --debug`: Python's own, which leaves out the frames of redun."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pdb import Pdb
from types import FrameType, TracebackType
from typing import Any, Final

_OURS: Final = "redun"


@contextmanager
def debugger() -> Iterator[None]:
    """Makes `breakpoint()` stop in code of the user's only, as long as the block lasts. Whoever has chosen another
    debugger by PYTHONBREAKPOINT keeps it."""
    if os.environ.get("PYTHONBREAKPOINT") is not None or sys.breakpointhook is not sys.__breakpointhook__:
        yield
        return
    sys.breakpointhook = _stop
    try:
        yield
    finally:
        sys.breakpointhook = sys.__breakpointhook__


def _stop(*_: Any, **__: Any) -> None:
    _new().set_trace(sys._getframe(1))


class _Debugger(Pdb):
    """Knows whether it was left."""

    left = False

    def set_quit(self) -> None:
        """Ends what is debugged."""
        self.left = True
        super().set_quit()


def _new() -> _Debugger:
    return _Debugger(skip=[f"{_OURS}.*"])


def step_into(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Calls a function in the debugger, which stops at its first line.

    Raises:
        KeyboardInterrupt: if the debugger is left.
    """
    debug = _new()
    value = debug.runcall(function, *args, **kwargs)
    if debug.left:  # `runcall` hides that, and there is no value
        raise KeyboardInterrupt
    return value


def post_mortem(error: BaseException | None) -> bool:
    """Opens the debugger where an error was raised; returns whether there is such a place in code of the user's. There
    is none of an error that was raised in an earlier run, or in another process."""
    trace = None if error is None else _of_the_user(error.__traceback__)
    if trace is None:
        return False
    debug = _new()
    debug.reset()
    debug.interaction(None, trace)
    return True


def _of_the_user(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and _is_ours(trace.tb_frame):
        trace = trace.tb_next
    return trace


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == _OURS
