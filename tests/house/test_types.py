"""What type checkers infer of a workflow."""

from __future__ import annotations

import subprocess
import sys

from tests.house.source_tree import ROOT

SAMPLE = "tests/house/typed_workflow.py"


def test_a_type_checker_infers_what_tasks_and_the_functions_over_them_give():
    command = [sys.executable, "-m", "mypy", "--strict", SAMPLE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if line.startswith(SAMPLE)] == [], done.stderr
    assert "checked 1 source file" in done.stdout or "no issues found" in done.stdout
