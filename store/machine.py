"""What tells this machine, and this boot of it, from others."""

from __future__ import annotations

import os


def host_name() -> str:
    """Returns the name of this machine (of the container, inside one)."""
    return os.uname().nodename


def boot_id() -> str:
    """Returns the kernel's id of this boot of the machine, or "" where it has none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""
