"""`redun check` as somebody meets it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from redun.cli.app import main
from tests.executor.flows import MODULE, forget

FLOW = f"{MODULE}.py"
WRONG = """
from redun import task

print("loading")

@task()
def size(word: str) -> int:
    return len(word)

@task()
def main():
    x = size("a")
    size("b")
    return f"{x} letters"
"""
RIGHT = WRONG.replace('    size("b")\n', "").replace('f"{x} letters"', "x")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    forget()


def test_a_mistake_is_told_with_its_place_and_what_to_do(capsys: pytest.CaptureFixture[str]):
    Path(FLOW).write_text(WRONG)
    assert main(["check", FLOW]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"{FLOW}:13:5: dropped: size('b') is neither returned nor stored, so it never runs (task main)",
        "    return it, or something that holds it; seq([...]) runs calls one after the other",
        f"{FLOW}:14:15: text: x (size('a'), line 12) is lazy: it has no text yet (task main)",
        "    make the text inside a task that takes it as an argument",
    ]
    assert said.err.splitlines() == ["loading", "2 found in 2 tasks."]


def test_nothing_found_is_exit_code_0(capsys: pytest.CaptureFixture[str]):
    Path(FLOW).write_text(RIGHT)
    assert main(["check", FLOW]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1] == "Nothing found in 2 tasks."


def test_programs_are_given_every_place(capsys: pytest.CaptureFixture[str]):
    Path(FLOW).write_text(WRONG)
    assert main(["check", "--json", FLOW]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(one["file"], one["line"], one["column"], one["rule"], one["task"]) for one in found] == [
        (FLOW, 13, 5, "dropped", "main"),
        (FLOW, 14, 15, "text", "main"),
    ]
    assert found[0].keys() == {"file", "line", "column", "end_line", "rule", "task", "message", "hint"}


def test_nothing_is_written(tmp_path: Path):
    Path(FLOW).write_text(RIGHT)
    assert main(["-q", "check", FLOW]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [FLOW]


def test_a_file_that_cannot_be_loaded_is_told_as_run_tells_it(capsys: pytest.CaptureFixture[str]):
    Path(FLOW).write_text("1 / 0\n")
    assert main(["check", FLOW]) == 1
    said = capsys.readouterr().err
    assert f'{FLOW}", line 1' in said
    assert said.splitlines()[-1].endswith(f"{FLOW} cannot be loaded: ZeroDivisionError: division by zero")
    assert main(["check", "missing.py"]) == 3
