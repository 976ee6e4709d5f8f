"""What a run keeps out of reach of its bodies: the streams it prints to, the modules it is made of; and its signals.

A body may close `sys.stdout`, replace it, or close descriptor 1, which the next file that is opened then gets: a line
printed there would land in that file. A run prints to duplicates of the descriptors that it found.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import IO, Any, NamedTuple, NoReturn


class Streams(NamedTuple):
    """Where a run prints; None where there is no such stream."""

    out: IO[str] | None
    err: IO[str] | None


@contextmanager
def kept_streams() -> Iterator[Streams]:
    """Gives standard output and standard error as they are now, to be used as long as the block lasts."""
    with ExitStack() as stack:
        yield Streams(_kept(sys.stdout, stack), _kept(sys.stderr, stack))


def _kept(stream: Any, stack: ExitStack) -> Any:
    if stream is None:
        return None
    try:
        descriptor = os.dup(stream.fileno())
    except (OSError, ValueError, AttributeError):  # no file: a notebook's, a test's; or closed
        return stream
    own: IO[str] = open(descriptor, "w", encoding=stream.encoding, errors=stream.errors)  # noqa: SIM115  _close does
    _duplicates.append(descriptor)
    stack.callback(_close, own, descriptor)
    return own


def _close(stream: IO[str], descriptor: int) -> None:
    _duplicates.remove(descriptor)
    with suppress(OSError, ValueError):  # its reader has gone: whoever printed to it knows
        stream.close()


_duplicates: list[int] = []


def _let_go() -> None:
    """In a process that a body forked: who reads our output must not wait for it to end, too."""
    if _duplicates:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in _duplicates:
            os.dup2(nowhere, descriptor, inheritable=False)
        os.close(nowhere)


os.register_at_fork(after_in_child=_let_go)


@contextmanager
def kept_modules() -> Iterator[None]:
    """Brings modules back that were taken out of `sys.modules`: loaded anew they would be others."""
    before = dict(sys.modules)
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.setdefault(name, module)


@contextmanager
def stoppable() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP what Ctrl-C is, also before a run takes them over. One that is ignored stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[signal.Signals, Any] = {}
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, _interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
