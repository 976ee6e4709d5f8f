"""What is said of sets of files that differ: the members that changed, came and went."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_tags import Shell
from tests.executor.flows import MODULE, forget

FLOW = f"{MODULE}.py"
WORKFLOW = """
from redun import Dir, File, task
from redun.file import FileSet

@task()
def split(parts: int) -> Dir:
    made = Dir("parts")
    for part in range(parts):
        made.file(f"{part:05}.txt").write(f"part {part}")
    return made

@task()
def count(tables: FileSet) -> int:
    return len(list(tables))

@task()
def main(parts: int = 3) -> list:
    return [split(parts), count(FileSet("*.csv"))]
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / FLOW).write_text(WORKFLOW)
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(name)
    yield Shell(capsys)
    forget()


def reasons(shell: Shell) -> dict[str, str]:
    """What explain says of each job of the latest execution that ran, by task."""
    lines = [line.split("  ", 1)[1] for line in shell("explain", "-").splitlines() if line.startswith("Job ")]
    return {task: text for task, _, text in (line.partition(": ") for line in lines)}


def test_explain_names_the_members_of_an_argument_that_differ(shell: Shell) -> None:
    shell("-q", "run", FLOW, "main")
    Path("a.csv").write_text("edited")
    shell("-q", "run", FLOW, "main")
    assert reasons(shell)["count"].startswith("argument changed: args['tables']: content of a.csv: ")
    os.remove("b.csv")
    shell("-q", "run", FLOW, "main")
    assert reasons(shell)["count"].startswith("argument changed: args['tables']: removed b.csv (")
    Path("c.csv").write_text("c")
    shell("-q", "run", FLOW, "main")
    assert reasons(shell)["count"].startswith("argument changed: args['tables']: added c.csv (")


@pytest.mark.parametrize("parts", [3, 5000])
def test_explain_names_the_members_of_an_output_that_were_lost_edited_or_added(shell: Shell, parts: int) -> None:
    words = ("-q", "run", FLOW, "main", "--parts", str(parts))
    shell(*words)
    os.remove("parts/00001.txt")
    Path("parts/00002.txt").write_text("edited")
    Path("parts/more.txt").write_text("")
    shell(*words)
    told = reasons(shell)["split"].removeprefix("its earlier result does not hold: ").split("; ")
    assert [text.partition(" (")[0].partition(": ")[0] for text in told] == [
        "parts/00001.txt is missing",
        "content of parts/00002.txt",
        "parts/more.txt was added",
    ]


def test_of_many_members_that_differ_the_first_are_named_and_the_rest_counted(shell: Shell) -> None:
    shell("-q", "run", FLOW, "main")
    for number in range(100):
        Path(f"x{number:03}.csv").write_text("")
    shell("-q", "run", FLOW, "main")
    told = shell("diff", "~1", "-")
    assert "args['tables']: added x000.csv (" in told
    assert "args['tables']: added x004.csv (" in told
    assert "args['tables']: 2 files -> 102 files, 100 differ" in told
    assert "x005.csv" not in told


def test_a_set_is_shown_as_short_as_a_file(shell: Shell) -> None:
    shell("-q", "run", FLOW, "main")
    [line] = shell("log", "--jobs", "--task", "count").splitlines()
    assert "count(tables=FileSet(pattern=*.csv, files=2, hash=" in line
    shown = line.partition("hash=")[2].removesuffix("))")
    assert len(shown) == 8
