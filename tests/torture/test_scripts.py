"""Scripts that write without end: a gigabyte, in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WORKFLOW = """
from redun import task
from redun.scripting import script

@task()
def main(size: str, kept: bool, executor: str = "default"):
    return script(f"head -c {size} /dev/zero | tr '\\\\0' '\\\\n'; head -c {size} /dev/zero >&2",
        executor=executor, **({} if kept else {"outputs": None}))
"""

#: What a process may use at its peak beyond a small run (KiB).
ROOM = 100 * 1024


def peak(folder: Path, *args: str) -> tuple[dict[str, object], int]:
    """Runs the workflow, and returns what it told and how much memory it used at its peak (KiB)."""
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-m", "redun.cli.app", "run", "--json", "w.py", "main", *args]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=folder, capture_output=True, text=True, check=True
    )
    told, used = done.stdout.splitlines()
    return json.loads(told), int(used)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "w.py").write_text(WORKFLOW)
    return tmp_path


@pytest.mark.parametrize("executor", ["default", "processes"])
def test_a_gigabyte_that_nobody_keeps_takes_no_memory(folder: Path, executor: str):
    _, least = peak(folder, "--size", "1", "--no-kept", "--executor", executor)
    told, used = peak(folder, "--size", "1G", "--no-kept", "--executor", executor)
    assert told["status"] == "DONE"
    assert used < least + ROOM


@pytest.mark.parametrize("executor", ["default", "processes"])
def test_a_gigabyte_as_a_value_is_an_error_in_little_memory(folder: Path, executor: str):
    _, least = peak(folder, "--size", "1", "--kept", "--executor", executor)
    told, used = peak(folder, "--size", "1G", "--kept", "--executor", executor)
    assert told["status"] == "FAILED"
    assert "more than 256 MiB to standard output" in str(told["error"])
    assert used < least + ROOM


def test_200_mb_are_a_value(folder: Path):
    told, used = peak(folder, "--size", "200M", "--kept")
    assert told["status"] == "DONE"
    assert used < 4 * 200 * 1024
