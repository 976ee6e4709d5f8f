"""`redun push` and `redun pull` to a store on a disk that fills up, and again when there is room.

As a program, `python -m tests.e2e.sync_full_disk FOLDER DISK FREE...`, on a small disk of its own, with
that many KiB left.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from redun.store import Store
from tests.e2e.sync_kills import Stores

_COMMAND = [sys.executable, "-m", "redun.cli.app"]


def check(stores: Stores, disk: Path, free: int, *, push: bool) -> bool:
    """Checks one transfer with so many KiB left; returns whether it was refused."""
    project, ballast = disk / "project", disk / "ballast"
    (project / ".redun").mkdir(parents=True)
    with Store.init(project / ".redun" / "store"):
        pass
    status = os.statvfs(disk)
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(status.f_bavail * status.f_frsize - free * 1024, 1))
    full = stores.full.parents[1]
    here, url = (full, f"here:{project}") if push else (project, f"here:{full}")
    words = [*_COMMAND, "push" if push else "pull", url]
    try:
        done = subprocess.run(words, cwd=here, check=False, capture_output=True, text=True, timeout=60)
        if done.returncode:
            assert "Traceback" not in done.stderr, done.stderr
            assert "no room" in done.stderr or "full" in done.stderr, done.stderr
        ballast.unlink()
        with Store.open(project / ".redun" / "store") as store:
            assert list(store.check(level=4)) == []
            left = len(store.absent(stores.all))
        again = subprocess.run([*words, "--json"], cwd=here, check=True, capture_output=True, text=True, timeout=60)
        assert json.loads(again.stdout)["objects"] == left
        with Store.open(project / ".redun" / "store") as store:
            assert store.absent(stores.all) == []
            assert list(store.check(level=4)) == []
        return done.returncode != 0
    finally:
        ballast.unlink(missing_ok=True)
        shutil.rmtree(project)


def main(folder: Path, disk: Path, sizes: list[int]) -> None:
    """Checks pushes and pulls with so many KiB left on the disk."""
    stores = Stores(folder)
    os.environ["REDUN_SSH"] = str(folder / "here")
    os.environ["REDUN_REMOTE_COMMAND"] = " ".join(_COMMAND)
    for push in (True, False):
        refused = [check(stores, disk, free, push=push) for free in sizes]
        assert refused[0], refused
        assert not refused[-1], refused


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [int(word) for word in sys.argv[3:]])
