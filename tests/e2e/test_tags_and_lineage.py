"""The real command: tags and pins outlive pruning and gc as they should, and a value is followed to its sources."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

WORKFLOW = """
from redun import task

@task()
def read(n: int) -> str:
    return f"sample {n}"

@task()
def align(sample: str) -> str:
    return f"aligned {sample}"

@task()
def merge(parts: list) -> str:
    return ", ".join(parts)

@task()
def main(n: int = 3) -> str:
    return merge([align(read(i)) for i in range(n)])
"""


def redun(place: Path, *words: str) -> str:
    command = [sys.executable, "-m", "redun.cli.app", *words]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def document(place: Path, *words: str) -> Any:
    return json.loads(redun(place, *words, "--json"))


def test_a_result_is_tagged_followed_and_kept(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(WORKFLOW)
    for n in ("2", "3"):
        redun(tmp_path, "run", "-q", "-t", f"n={n}", "flow.py", "main", "--n", n)
    (merge, *_) = document(tmp_path, "log", "--calls", "--task", "merge")
    value = merge["result"]

    up = document(tmp_path, "log", value, "--up")["calls"]
    assert [step["task"] for step in up] == ["merge", *["align"] * 3, *["read"] * 3]
    read = up[-1]["call"]
    assert [step["task"] for step in document(tmp_path, "log", read, "--down")["calls"]] == ["align", "merge"]

    redun(tmp_path, "tag", "add", value, "quality=good")
    redun(tmp_path, "pin", "~1", "first")
    redun(tmp_path, "run", "-q", "flow.py", "main", "--n", "4")
    assert redun(tmp_path, "prune", "--keep-last", "1").startswith("Exec ")
    redun(tmp_path, "gc", "--expire", "now")
    assert [run["tags"] for run in document(tmp_path, "log")] == [[], [["n", "2"]]]
    assert redun(tmp_path, "tag", "list", "quality=good") == "Nothing is tagged so.\n"
    redun(tmp_path, "fsck")
