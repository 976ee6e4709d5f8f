"""Runs the command and kills its process (SIGKILL) just before or just after one of the calls that change something.

    python tests/e2e/moments.py NUMBER COUNT_FILE redun-words...

The calls that matter are those into the system and into LMDB: commits, syncs, renames, writes. They are counted; at the
one of that number the process kills itself, and it never does at number 0. How many there were is written to the file.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

#: Names of the functions in C, of whatever object.
CALLS: Final = frozenset({
    "commit", "sync", "fsync", "rename", "replace", "link", "unlink", "rmdir", "mkdir", "write", "flush", "copyfd",
    "close", "flock", "open",
})  # fmt: skip


def main() -> int:
    """Runs the command with the words that are left."""
    at, counts, words = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    from redun.cli.app import main as redun

    seen = 0

    def look(frame: FrameType, event: str, called: Any) -> None:
        nonlocal seen
        if event in ("c_call", "c_return") and getattr(called, "__name__", "") in CALLS:
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(look)
    try:
        return redun(words)
    finally:
        sys.setprofile(None)
        counts.write_text(str(seen))


if __name__ == "__main__":
    sys.exit(main())
