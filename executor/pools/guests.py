"""What runs in the workers of others: of `concurrent.futures`, of Dask, of whatever calls a function with arguments."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from typing import Final

from redun.core.files.memo import STATS
from redun.executor.pools.bodies import run_job
from redun.executor.pools.renewal import renewal

_LOOK_SECONDS: Final = 1.0


class _Watched:
    """The process that has somebody who watches the run for it."""

    process = 0


def run_as_guest(message: bytes, run: int) -> bytes:
    """Runs the jobs of a request, in a worker of a pool in the process `run` or in that process itself; returns the
    answer.

    Raises:
        InternalError, OSError: as `run_job`.
    """
    if _Watched.process != os.getpid():
        _Watched.process = os.getpid()
        if _is_child_of(run):
            _settle_in(run)
    return run_job(message)


def _settle_in(run: int) -> None:
    """Lets go of what a fork of the run has from it, and sees to it that this process ends with the run."""
    STATS.backing = STATS.backing_many = None  # the store of another process
    if threading.current_thread() is threading.main_thread():
        # Ctrl-C is for the run alone, which ends its workers. What bodies start by executing it does not inherit this.
        signal.signal(signal.SIGINT, lambda number, frame: None)
    threading.Thread(target=_end_with, args=(run,), name="redun-watch", daemon=True).start()


def _is_child_of(run: int) -> bool:
    """Returns whether this process was started by or for the run: workers elsewhere are not its to end."""
    if os.getppid() == run:
        return True
    process = sys.modules.get("multiprocessing.process")  # where a server forks workers, only it knows
    parent = process.parent_process() if process is not None else None
    return parent is not None and parent.pid == run


def _end_with(run: int) -> None:
    """Ends this process when the run is gone: many pools leave their workers to wait for it for ever."""
    try:
        descriptor = os.pidfd_open(run)
    except (AttributeError, OSError):  # not Linux, or it is gone
        while _exists(run):
            time.sleep(_LOOK_SECONDS)
    else:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
    os._exit(1)


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def run_in_cluster(message: bytes, topic: str, number: int) -> bytes:
    """Runs the jobs of a request in a worker of Dask, which may have worked for other runs, and for other versions of
    their code; returns the answer.

    Raises:
        InternalError, OSError: as `run_job`.
    """
    from distributed import get_worker  # it is there: this is called by it

    renewal.allow()
    worker = get_worker()
    return run_job(message, lambda: worker.log_event(topic, [number, os.getpid()]))
