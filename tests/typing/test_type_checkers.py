"""What mypy and pyright infer of a workflow, and what they call wrong: each file beside this one is read by both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source_tree import ROOT

HERE = Path(__file__).parent
SAMPLES = sorted(path.relative_to(ROOT) for path in HERE.glob("*.py") if not path.name.startswith("test_"))
#: A line that ends so is one that a type checker must call wrong; no other may be.
MARK = "# wrong"
#: (file, line)
Place = tuple[str, int]


def mypy() -> Iterator[tuple[Place, str]]:
    """Yields what mypy finds."""
    command = [sys.executable, "-m", "mypy", "--strict", "--output", "json", *map(str, SAMPLES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    for found in map(json.loads, done.stdout.splitlines()):  # modules of ours that it follows are not asked about
        if found["severity"] == "error" and Path(found["file"]) in SAMPLES:
            yield (found["file"], found["line"]), found["message"]


def pyright() -> Iterator[tuple[Place, str]]:
    """Yields what pyright finds."""
    command = [sys.executable, "-m", "pyright", "--outputjson", *map(str, SAMPLES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    for found in json.loads(done.stdout)["generalDiagnostics"]:
        if found["severity"] == "error":
            file = str(Path(found["file"]).resolve().relative_to(ROOT))
            yield (file, found["range"]["start"]["line"] + 1), found["message"]


def marked() -> set[Place]:
    """Returns the lines that are wrong."""
    return {
        (str(path), number)
        for path in SAMPLES
        for number, line in enumerate((ROOT / path).read_text().splitlines(), start=1)
        if line.endswith(MARK)
    }


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_type_checker_infers_what_tasks_give_and_finds_wrong_arguments(checker):
    found = dict(checker())
    assert {place: found[place] for place in found.keys() - marked()} == {}
    assert marked() - found.keys() == set()


def test_there_is_something_to_find():
    assert len(marked()) > 20
    assert len(SAMPLES) >= 2
