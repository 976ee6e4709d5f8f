"""Facts of the machine and the program, without which no figure means anything."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Final

from benchmarks.measure import ROOT
from redun.core.version import VERSION

_LIBRARIES: Final = ("msgpack", "xxhash", "lmdb", "click")
_SYNCS: Final = 20


def facts(directory: Path) -> dict[str, str]:
    """Returns the facts, for a benchmark whose stores lie in `directory`."""
    kind = filesystem(directory)
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "disk": f"{kind}, {1e3 * sync_seconds(directory):.2f} ms to sync 4 kB"
        + (" (NOT A REAL DISK)" if kind in ("tmpfs", "ramfs") else ""),
        "python": f"{platform.python_version()} {platform.python_implementation()} ({sys.platform})",
        "libraries": ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES),
        "redun-core": f"{VERSION} {_revision()}",
    }


def filesystem(directory: Path) -> str:
    """Returns the type of the file system that a directory is on."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        mount, found = line.split(" ")[1:3]
        if str(directory.resolve()).startswith(mount) and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def sync_seconds(directory: Path) -> float:
    """Returns how long it takes to append 4 kB to a file and sync it: the median of 20."""
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(_SYNCS):
            start = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _revision() -> str:
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"({told.stdout.strip()})"
