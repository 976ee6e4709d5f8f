"""The guide for those who come from other tools: both sides run, and give the same."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

GUIDE: Final = Path(__file__).resolve().parents[2] / "docs" / "coming_from.md"
_FILE: Final = re.compile(r"^<!-- file: (\S+) -->\n```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in _FILE.findall(GUIDE.read_text()):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    for directory in tmp_path.iterdir():
        (directory / "one.txt").write_text("a b c\n")
        (directory / "two.txt").write_text("d e\n")
    return tmp_path


def run(directory: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def python(directory: Path, *words: str) -> str:
    return run(directory, sys.executable, *words)


TEXTS: Final = ("one.txt", "two.txt")


@pytest.mark.skipif(importlib.util.find_spec("joblib") is None, reason="joblib is not installed")
def test_joblib_gives_the_same_and_misses_what_the_guide_says_that_it_misses(place: Path) -> None:
    directory = place / "joblib"
    for name in ("before.py", "after.py"):
        assert python(directory, name, *TEXTS) == "5"
    (directory / "one.txt").write_text("a b c and more\n")
    assert [python(directory, name, *TEXTS) for name in ("before.py", "after.py")] == ["5", "7"]
    for name in ("before.py", "after.py"):
        file = directory / name
        file.write_text(file.read_text().replace("text.split()", "list(text)"))
    assert [python(directory, name, *TEXTS) for name in ("before.py", "after.py")] == ["5", "19"]


def test_the_workflow_for_redun_runs(place: Path) -> None:
    words = ("-m", "redun", "-q", "run", "after.py", "main", "--paths", *TEXTS)
    assert python(place / "redun", *words) == "5"


def test_the_workflow_for_snakemake_runs(place: Path) -> None:
    directory = place / "snakemake"
    assert python(directory, "-m", "redun", "-q", "run", "after.py", "main") == "5"
    assert (directory / "counts" / "one.txt").read_text().strip() == "3"


@pytest.mark.skipif(shutil.which("snakemake") is None, reason="snakemake is not installed")
def test_snakemake_gives_the_same(place: Path) -> None:
    directory = place / "snakemake"
    run(directory, "snakemake", "--cores", "1", "--quiet", "all", "total.txt")
    assert (directory / "total.txt").read_text().strip() == "5"
