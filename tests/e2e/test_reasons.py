"""Every miss has a reason, on the real command: a helper, a constant, an argument and files are edited in turn."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

WORKFLOW = """\
from redun import File, task

redun_namespace = "demo"
RATE = 3
CONFIG = {"lr": 0.1, "layers": [8, 8]}


def helper(number):
    return number * RATE


@task()
def scale(number: int) -> int:
    return helper(number)


@task()
def train(data: File, cfg: dict) -> float:
    return len(data.read()) * cfg["lr"]


@task()
def save(number: int) -> File:
    out = File("out.txt")
    out.write(str(number))
    return out


@task()
def main(path: str, lr: float = 0.1):
    return [train(File(path), {"lr": lr, "layers": CONFIG["layers"]}), save(scale(2))]
"""

Redun = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def redun(tmp_path: Path) -> Redun:
    """Runs the real command in a directory that holds the workflow and its input."""
    (tmp_path / "w.py").write_text(WORKFLOW)
    (tmp_path / "in.txt").write_text("data")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "redun.cli.app", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def misses(redun: Redun, *words: str) -> dict[str, str]:
    """Runs the workflow and returns the reason of each job that ran; each stands right before the job's own line."""
    done = redun("run", "--explain", "w.py", "main", "--path", "in.txt", *words)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    found = {}
    for line, after in pairwise(lines):
        match = re.fullmatch(r"\[redun\] Miss   Job ([0-9a-f]{8}):  demo\.(\w+): (.*)", line)
        if match:
            found[match[2]] = match[3]
            assert after.startswith(f"[redun] Run    Job {match[1]}:  demo.{match[2]}(")
    assert sum("] Run    Job" in line for line in lines) == len(found)
    return found


def edit(place: Path, old: str, new: str) -> None:
    text = (place / "w.py").read_text()
    assert old in text
    (place / "w.py").write_text(text.replace(old, new))


def test_a_job_is_explained_by_what_was_edited(redun: Redun, tmp_path: Path) -> None:
    assert set(misses(redun).values()) == {"no earlier call of this task"}
    assert misses(redun) == {}

    edit(tmp_path, "number * RATE", "number + RATE")
    assert misses(redun) == {
        "scale": "code changed: function w.helper",
        "save": "argument changed: args['number']: 6 -> 5",
    }
    edit(tmp_path, "RATE = 3", "RATE = 4")
    assert misses(redun)["scale"] == "code changed: constant w.RATE: 3 -> 4"

    edit(tmp_path, '"layers": [8, 8]', '"layers": [8, 9]')
    found = misses(redun)
    assert found["main"] == "code changed: constant w.CONFIG['layers'][1]: 8 -> 9"
    assert found["train"] == "argument changed: args['cfg']['layers'][1]: 8 -> 9"

    assert misses(redun, "--lr", "0.5") == {
        "main": "argument changed: args['lr']: 0.1 -> 0.5",
        "train": "argument changed: args['cfg']['lr']: 0.1 -> 0.5",
    }


def test_a_file_is_explained_by_what_became_of_it(redun: Redun, tmp_path: Path) -> None:
    misses(redun)
    (tmp_path / "in.txt").write_text("other data")
    found = misses(redun)
    assert found["train"] == "argument changed: args['data']: content of in.txt: 3a6eb079 -> 87351795"
    assert found["main"] == "its earlier result does not hold: content of in.txt: 3a6eb079 -> 87351795"

    (tmp_path / "out.txt").unlink()
    assert misses(redun) == {"save": "its earlier result does not hold: out.txt is missing (was e7f6c011)"}
    (tmp_path / "out.txt").write_text("overwritten")
    assert misses(redun) == {"save": "its earlier result does not hold: content of out.txt: e7f6c011 -> fb428d78"}
    assert misses(redun) == {}


def test_what_was_said_while_it_ran_is_said_afterwards(redun: Redun, tmp_path: Path) -> None:
    misses(redun)
    edit(tmp_path, "number * RATE", "number + RATE")
    during = misses(redun)
    listed = redun("explain", "-").stdout.split("-" * 80 + "\n")[1].splitlines()
    assert {line.split("demo.")[1] for line in listed} == {f"{task}: {reason}" for task, reason in during.items()}

    job = re.search(r"Job ([0-9a-f]{8})  demo\.scale", "\n".join(listed))
    assert job is not None
    shown = redun("explain", job[1]).stdout
    assert "Ran: code changed: function w.helper\n" in shown
    assert "    -    return number * RATE\n    +    return number + RATE\n" in shown
    document = json.loads(redun("explain", job[1], "--json").stdout)
    assert document["reason"]["code"][0]["diff"][-1] == "+    return number + RATE"


def test_reasons_as_json_are_the_same_in_the_run_and_afterwards(redun: Redun, tmp_path: Path) -> None:
    misses(redun)
    edit(tmp_path, "number * RATE", "number + RATE")
    (tmp_path / "in.txt").write_text("other data")
    during = json.loads(redun("run", "-q", "--explain", "--json", "w.py", "main", "--path", "in.txt").stdout)
    afterwards = json.loads(redun("explain", "-", "--json").stdout)
    assert len(during["ran"]) == 4
    assert sorted(during["ran"], key=str) == sorted(afterwards["ran"], key=str)
    assert "ran" not in json.loads(redun("run", "-q", "--json", "w.py", "main", "--path", "in.txt").stdout)


def test_two_runs_and_a_task_are_shown(redun: Redun, tmp_path: Path) -> None:
    misses(redun)
    edit(tmp_path, "RATE = 3", "RATE = 4")
    misses(redun)
    diff = redun("diff", "~1", "-").stdout
    assert "    constant w.RATE: 3 -> 4\n" in diff
    assert "Values that differ, innermost first (4):" in diff or "Values that differ, innermost first (3):" in diff
    assert "    result: 6 -> 8\n" in diff
    task = redun("show", "scale").stdout
    assert "  constant      w.RATE = 4  value" in task
    assert "  function      w.helper  source" in task


def test_quiet_explains_and_says_nothing_else(redun: Redun) -> None:
    done = redun("run", "-q", "--explain", "w.py", "main", "--path", "in.txt")
    assert len(done.stderr.splitlines()) == 4
    assert all(" Miss   Job " in line for line in done.stderr.splitlines())


def test_unknown_ids_are_not_found_and_commands_explain_nothing_of_code(redun: Redun, tmp_path: Path) -> None:
    misses(redun)
    (tmp_path / "w.py").write_text("raise SystemExit('imported')")
    for command in ("explain", "show"):
        assert redun(command, "ffffffff").returncode == 3
        assert redun(command, "-").returncode == 0
    assert redun("diff", "-", "ffffffff").returncode == 3
    assert redun("diff", "-", "-").returncode == 0
