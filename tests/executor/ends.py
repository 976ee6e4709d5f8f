"""Ends of processes that are none of ours to wait for."""

from __future__ import annotations

import os
import time
from pathlib import Path

#: How long anything may take (seconds).
WAIT = 50.0


def is_alive(pid: int) -> bool:
    """Returns whether a process runs; one that nobody has buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until_gone(pid: int) -> bool:
    """Waits for the end of a process that is none of ours."""
    end = time.monotonic() + WAIT
    while is_alive(pid) and time.monotonic() < end:
        os.sched_yield()
    return not is_alive(pid)
