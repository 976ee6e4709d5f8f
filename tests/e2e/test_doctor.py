"""`redun doctor` on the real command, on a project as a user has it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "hello_world"


def redun(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "redun.cli.app", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def test_a_project_before_and_after_its_first_run_and_with_a_damaged_store(tmp_path: Path) -> None:
    project = Path(shutil.copytree(EXAMPLE, tmp_path / "hello"))
    before = redun(project, "doctor", "hello_world.py")
    assert (before.returncode, before.stderr) == (0, "")
    assert "redun run makes one" in before.stdout
    assert "3 tasks in hello_world" in before.stdout
    assert "redun.examples.hello_world.greeter" in before.stdout
    assert redun(project, "run", "hello_world.py", "main").returncode == 0
    after = redun(project, "doctor")
    assert (after.returncode, after.stderr) == (0, "")
    assert "the newest execution began" in after.stdout
    assert "detects damage, not malice" in after.stdout
    data = project / ".redun" / "store" / "data.mdb"
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    damaged = redun(project, "doctor")
    assert (damaged.returncode, damaged.stderr) == (6, "")
    assert "bad   data file" in damaged.stdout
    assert "redun fsck" in damaged.stdout
