"""A disk that is full while `redun run` is at work: simulated at single calls, and a real one that is small."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.e2e import full_disk
from tests.store.powercut.recording import Recorder

_ROOT = Path(__file__).parents[2]
#: Mounts a disk of 8 MiB that only this process and its children see, and becomes the rest of the command line.
_ON_A_SMALL_DISK = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"']


def _workflow(folder: Path) -> Path:
    path = folder / "workflow.py"
    path.write_text(full_disk.WORKFLOW)
    return path


#: Form of the fault (see `recorder.c`), and how the line ends that says what went wrong.
FAULTS = {
    "is full": (f"space:N:{errno.ENOSPC}:stays", "; make room, then run again"),
    "fills up": (f"space:N:{errno.ENOSPC}:short", "; make room, then run again"),
    "fails to write": (f"space:N:{errno.EIO}:once", "see the system's log, then run redun fsck"),
    "fails to sync": (f"sync:N:{errno.EIO}:once", "see the system's log, then run redun fsck"),
}


def check_calls(tmp_path: Path, numbers: Iterable[int], fault: str) -> None:
    """Checks runs whose disk has the fault at the n-th call, for each of the numbers."""
    form, hint = FAULTS[fault]
    recorder = Recorder(tmp_path, tmp_path / "root")
    for number in numbers:
        project = recorder.root / "project"
        project.mkdir()
        before = recorder.faults()
        broken = recorder.environment(form.replace("N", str(number)))
        workflow = _workflow(tmp_path)
        outcome = full_disk.check_full(project, workflow, lambda: None, environment=broken, hint=hint)
        met = recorder.faults()[len(before) :]
        assert outcome.refused == any("/synced" not in path for path in met), (number, met)
        if not met:
            return
        shutil.rmtree(project)


def check_small_disk(tmp_path: Path, sizes: Iterable[int]) -> None:
    """Checks runs on a real disk with so many KiB left."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run([*_ON_A_SMALL_DISK, str(disk), "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system lets no user mount a disk of their own")
    program = [sys.executable, "-m", full_disk.__name__, str(_workflow(tmp_path)), str(disk), *map(str, sizes)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    words = [*_ON_A_SMALL_DISK, str(disk), *program]
    done = subprocess.run(words, cwd=_ROOT, env=environment, check=False, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_on_a_broken_disk_ends_with_one_line_and_what_had_finished_is_kept(tmp_path: Path, fault: str) -> None:
    check_calls(tmp_path, [1, 12, 17, 33, 39, 41], fault)


def test_a_run_on_a_small_disk_ends_with_one_line_and_what_had_finished_is_kept(tmp_path: Path) -> None:
    check_small_disk(tmp_path, [0, 5, 40, 250, 500, 700, 1500, 6000])
