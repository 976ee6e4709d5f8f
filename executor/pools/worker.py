"""What a worker process runs: it reads requests from its socket and writes answers, until the run is gone."""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import Final, NoReturn

from redun.core.codec import pack
from redun.executor.pools import spool
from redun.executor.pools.bodies import run_job, spools
from redun.executor.pools.frames import BEGUN, SAID, receive, send

_HANG_UP: Final = getattr(select, "POLLRDHUP", 0)


class _Duty:
    """What the worker is at.

    Attributes:
        busy: whether a body runs: then the main thread does not see that the run is gone.
    """

    busy = False


def serve(descriptor: int) -> NoReturn:
    """Serves a run until that is gone; does not return."""
    del sys.argv[1:]
    os.register_at_fork(after_in_child=lambda: os.close(descriptor))  # or the run would not see that this one is gone
    duty = _Duty()

    def say(place: int, lines: list[str]) -> None:
        send(descriptor, SAID + pack([place, lines]))

    threading.Thread(target=_watch, args=(descriptor, duty), name="redun-watch", daemon=True).start()
    while True:
        try:
            message = receive(descriptor)
            if message is None:
                break
            duty.busy = True
            answer = run_job(message, lambda: send(descriptor, BEGUN), say)
            duty.busy = False
            send(descriptor, answer)
        except OSError:
            break
    _sweep()
    leave()


def leave() -> NoReturn:
    """Ends the process without taking the interpreter to pieces, which takes 10 ms; what was registered to be done at
    the end is done."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a body may have closed or replaced it
            stream.flush()
    os._exit(0)


def _watch(descriptor: int, duty: _Duty) -> None:
    """Ends the process, with all that its bodies have started, when the run is gone while one of them runs."""
    poll = select.poll()
    poll.register(descriptor, _HANG_UP)
    poll.poll()
    if duty.busy:
        _sweep()
        os.killpg(0, signal.SIGKILL) if os.getpgrp() == os.getpid() else os._exit(1)


def _sweep() -> None:
    """Removes what a run that was killed has left behind."""
    for directory in list(spools):
        spool.remove(directory)
