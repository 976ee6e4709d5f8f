"""What a process takes while it runs, its children's memory included.

The data file of a store is mapped: the parts of it that were read count as resident, and are the system's to take back
(they are its cache of the file). So the two kinds of memory are told apart, which only Linux does.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

#: Seconds between two looks: a look takes 50 microseconds.
_EVERY_S: Final = 0.01
_KIB: Final = 1024


class Usage(NamedTuple):
    """What a process took.

    Attributes:
        wall, cpu: seconds by the clock, and of the processor (user and system, all threads and children).
        own: the most bytes of memory of its own at a time (anonymous pages).
        mapped: the most bytes of files, and of memory shared with others, that it had mapped and resident at a time.
        out: what it printed.
    """

    wall: float
    cpu: float
    own: int
    mapped: int
    out: str


def watched(command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> Usage:
    """Runs a process to its end.

    Raises:
        RuntimeError: if it fails.
    """
    own = mapped = 0
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=out, stderr=errors)
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            now_own, now_mapped = _memory(process.pid)
            own, mapped = max(own, now_own), max(mapped, now_mapped)
            time.sleep(_EVERY_S if time.perf_counter() - start > 1 else 0.001)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = [_text(file) for file in (out, errors)]
    if process.returncode:
        told = texts[1].strip() or texts[0].strip()[-500:]
        raise RuntimeError(f"{' '.join(command)[:200]} ended with {process.returncode}: {told}")
    return Usage(wall, used.ru_utime + used.ru_stime, own, mapped, texts[0])


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _memory(pid: int) -> tuple[int, int]:
    """Returns (own, mapped) bytes of a process and its children."""
    own = mapped = 0
    with contextlib.suppress(OSError):  # it has just ended, or this is no Linux
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "RssAnon":
                own += int(value.split()[0]) * _KIB
            elif name in ("RssFile", "RssShmem"):
                mapped += int(value.split()[0]) * _KIB
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            more_own, more_mapped = _memory(int(child))
            own, mapped = own + more_own, mapped + more_mapped
    return own, mapped
