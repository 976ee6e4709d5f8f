"""Crafted xxh3-128 collisions on the real command: one clear line, the documented exit code, and no wrong answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.collisions import blobs, values

WORKFLOW = """
from pathlib import Path
from redun import task

@task()
def told(data: bytes) -> str:
    return data.hex()[-60:] + data.hex()[:4000]

@task()
def read(path: str) -> bytes:
    return Path(path).read_bytes()

@task()
def argument(path: str) -> str:
    return told(Path(path).read_bytes())

@task()
def result(path: str) -> str:
    return told(read(path))
"""
CONSTANT = """
from redun import task

DATA = bytes.fromhex("{}")

@task()
def constant() -> str:
    return DATA.hex()

@task()
def default(data: bytes = DATA) -> str:
    return data.hex()
"""
PAIRS = {"small": values(53), "larger": values(300), "file": blobs(1_100_000)}


def redun(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "redun.cli.app", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def answer(data: bytes) -> str:
    return data.hex()[-60:] + data.hex()[:4000]


def is_refused(tmp_path: Path, run: subprocess.CompletedProcess[str]) -> bool:
    """Whether a run ended with one line that says what, where and what to do, and with the exit code of damage."""
    lines = [line for line in run.stderr.splitlines() if line.startswith("redun: ")]
    assert run.returncode == 6, run.stderr
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    assert len(lines) == 1
    assert "two different objects have the id" in lines[0]
    assert str(tmp_path / ".redun" / "store" / "collisions") in lines[0]
    assert "redun init --object-format sha256" in lines[0]
    return True


@pytest.mark.parametrize(("task", "name"), [("argument", "small"), ("result", "larger"), ("result", "file")])
def test_a_run_on_the_second_of_a_pair_ends_with_one_line(tmp_path: Path, task: str, name: str) -> None:
    pair = PAIRS[name]
    (tmp_path / "w.py").write_text(WORKFLOW)
    for file, data in zip("ab", pair, strict=True):
        (tmp_path / file).write_bytes(data)
    first = redun(tmp_path, "run", "w.py", task, "--path", "a")
    assert answer(pair[0]) in first.stdout, first.stderr
    assert is_refused(tmp_path, redun(tmp_path, "run", "w.py", task, "--path", "b"))
    again = redun(tmp_path, "run", "w.py", task, "--path", "a")
    assert answer(pair[0]) in again.stdout, again.stderr
    log = redun(tmp_path, "log")
    assert (log.returncode, log.stderr) == (0, "")
    kept = list((tmp_path / ".redun" / "store" / "collisions").iterdir())
    assert len({file.read_bytes() for folder in kept for file in folder.iterdir()}) == 2


@pytest.mark.parametrize("task", ["constant", "default"])
def test_a_constant_that_became_the_other_of_a_pair_is_noticed(tmp_path: Path, task: str) -> None:
    for data, is_first in zip(values(53), (True, False), strict=True):
        (tmp_path / "w.py").write_text(CONSTANT.format(data.hex()))
        run = redun(tmp_path, "run", "w.py", task)
        assert (data.hex() in run.stdout) if is_first else is_refused(tmp_path, run), run.stderr


def test_a_sha256_store_runs_on_both(tmp_path: Path) -> None:
    (tmp_path / "w.py").write_text(WORKFLOW)
    assert redun(tmp_path, "init", "--object-format", "sha256").returncode == 0
    for name, data in zip("ab", PAIRS["small"], strict=True):
        (tmp_path / name).write_bytes(data)
        run = redun(tmp_path, "run", "w.py", "result", "--path", name)
        assert answer(data) in run.stdout, run.stderr
