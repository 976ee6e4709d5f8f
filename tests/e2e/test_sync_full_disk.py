"""A disk that is full on the side of a push or a pull that takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import sync_full_disk

_ROOT = Path(__file__).parents[2]
#: Mounts a disk of 16 MiB that only this process and its children see, and becomes the rest of the command line.
_ON_A_SMALL_DISK = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=16m tmpfs "$0" && exec "$@"']


def test_a_transfer_to_a_full_disk_is_refused_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run([*_ON_A_SMALL_DISK, str(disk), "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system lets no user mount a disk of their own")
    program = [sys.executable, "-m", sync_full_disk.__name__, str(tmp_path / "stores"), str(disk), "900", "9000"]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    words = [*_ON_A_SMALL_DISK, str(disk), *program]
    done = subprocess.run(words, cwd=_ROOT, env=environment, check=False, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
