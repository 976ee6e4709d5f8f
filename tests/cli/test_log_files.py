"""`redun log --file` and `redun log PATH`: who wrote a file, who read it, and how it is now."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redun.cli import exits
from tests.cli.test_tags import Shell
from tests.executor.flows import MODULE, forget

FLOW = f"{MODULE}.py"
WORKFLOW = """
from redun import Dir, File, task
from redun.file import FileSet

@task()
def compile(source: File) -> File:
    made = File(source.path.replace(".c", ".o"))
    made.write(source.read() * 2)
    return made

@task()
def link(program: str, parts: list) -> File:
    made = File(program)
    made.write("+".join(part.read() for part in parts))
    return made

@task()
def make(program: str, sources: list) -> File:
    return link(program, [compile(source) for source in sources])

@task()
def main() -> list:
    lib = File("lib.c")
    return [make("prog", [File("prog.c"), lib]), make("prog2", [lib])]

@task()
def split(parts: int) -> Dir:
    for part in range(parts):
        File(f"parts/{part:05}.txt").write(str(part))
    return Dir("parts")

@task()
def total(parts: Dir, sources: FileSet) -> int:
    return sum(int(part.read()) for part in parts)

@task()
def edit(path: str, parts: Dir) -> Dir:
    parts.file(path).write("7")
    return Dir("parts")

@task()
def copied(parts: Dir) -> Dir:
    for part in parts:
        File(part.path.replace("parts", "copy")).write(part.read())
    return Dir("copy")

@task()
def copies(parts: int) -> Dir:
    return copied(split(parts))

@task()
def sets(parts: int = 3) -> int:
    made = split(parts)
    return total(edit("00001.txt", made), FileSet("*.c"))
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A directory in which two programs were made of two sources, and again when one of these had changed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / FLOW).write_text(WORKFLOW)
    (tmp_path / "prog.c").write_text("p")
    (tmp_path / "lib.c").write_text("l")
    made = Shell(capsys)
    made("-q", "run", FLOW, "main")
    (tmp_path / "lib.c").write_text("m")
    made("-q", "run", FLOW, "main")
    yield made
    forget()


def listed(shell: Shell, *words: str) -> list[tuple[str, str]]:
    found: Any = shell.json("log", "--file", *words)
    return [(file["path"], file["mode"]) for file in found]


def told(shell: Shell, path: str) -> str:
    found: Any = shell.json("log", path)
    return str(found["now"]["told"]).partition(",")[0]


def states(shell: Shell, path: str) -> list[tuple[list[str], list[str]]]:
    """The tasks that wrote and read each state of a file, that which was seen last first."""
    found: Any = shell.json("log", path)
    return [
        ([call["task"] for call in state["written_by"]], [call["task"] for call in state["read_by"]])
        for state in found["states"]
    ]


def test_all_files_are_listed_with_whether_they_were_read_and_written(shell: Shell) -> None:
    assert listed(shell) == [
        ("lib.c", "r"),
        ("lib.c", "r"),
        ("lib.o", "rw"),
        ("lib.o", "rw"),
        ("prog", "w"),
        ("prog", "w"),
        ("prog.c", "r"),
        ("prog.o", "rw"),
        ("prog2", "w"),
        ("prog2", "w"),
    ]
    assert listed(shell, "prog?") == [("prog2", "w"), ("prog2", "w")]
    assert shell("log", "--file", "prog.o").startswith("File ")
    assert shell("log", "--file", "prog.o").endswith(" rw prog.o\n")


def test_a_file_tells_who_wrote_and_who_read_it_in_each_state(shell: Shell) -> None:
    assert states(shell, "prog") == [(["link"], []), (["link"], [])]
    assert states(shell, "lib.o") == [(["compile"], ["link", "link"])] * 2
    assert states(shell, "lib.c") == [([], ["compile"])] * 2
    text = shell("log", "prog")
    assert text.startswith("File prog\nNow: as it was last seen, ")
    assert "Written by Job " in text
    assert "result <-- <" in text
    assert "  Written by no job: it was there\n" in shell("log", "lib.c")


def test_a_file_says_how_it_is_now(shell: Shell, tmp_path: Path) -> None:
    assert told(shell, "prog") == "as it was last seen"
    (tmp_path / "lib.c").write_text("l")
    assert told(shell, "lib.c") == "as it was before"
    (tmp_path / "lib.c").write_text("n")
    assert told(shell, "lib.c") == "changed"
    (tmp_path / "prog").unlink()
    assert told(shell, "prog") == "gone"
    (tmp_path / "prog").mkdir()
    assert told(shell, "prog").startswith("cannot be read")


def test_a_file_is_found_by_any_spelling_of_its_path_from_any_directory(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("./prog", "x/../prog", str(tmp_path / "prog"), f"file://{tmp_path}/prog"):
        assert told(shell, path) == "as it was last seen"
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    for path in ("../prog", str(tmp_path / "prog")):
        assert told(shell, path) == "as it was last seen"


def test_a_task_of_that_name_comes_first_and_a_slash_means_the_file(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "main").write_text("")
    assert shell("log", "main").startswith("Task ")
    assert "no execution took or gave './main'" in shell("log", "./main", code=exits.MISSING)
    assert "'nothing' names no execution" in shell("log", "nothing", code=exits.MISSING)


def test_the_lineage_of_a_file_is_that_of_who_wrote_it(shell: Shell) -> None:
    found: Any = shell.json("log", "prog", "--up")
    assert [step["task"] for step in found["calls"]] == ["link", "compile", "compile"]
    found = shell.json("log", "lib.o", "--down")
    assert {step["task"] for step in found["calls"]} == {"link", "main"}


@pytest.mark.parametrize("number", [3, 20_000])
def test_files_in_sets_are_found_also_where_these_are_written_in_parts(shell: Shell, number: int) -> None:
    shell("-q", "run", FLOW, "sets", "--parts", str(number))
    assert listed(shell, "parts/00000.txt") == [("parts/00000.txt", "rw")]
    assert listed(shell, "parts/*1.txt")[:2] == [("parts/00001.txt", "rw")] * 2
    assert shell("log", "--file", "parts/*", "--count") == f"{number + 1:,} files\n"
    assert states(shell, "parts/00001.txt") == [(["edit"], ["total"]), (["split"], ["edit"])]
    assert states(shell, os.path.join("parts", "00002.txt")) == [(["split"], ["total", "edit"])]
    assert states(shell, "prog.c")[0][1] == ["total", "compile"]
    assert "no execution took or gave" in shell("log", "parts/x.txt", code=exits.MISSING)


def test_jobs_are_found_by_a_member_of_a_directory_that_they_took_or_gave(shell: Shell) -> None:
    shell("-q", "run", FLOW, "sets", "--parts", "3000")
    for path in ("parts/00001.txt", "parts/0000?.txt"):
        found: Any = shell.json("log", "--jobs", "--file", path)
        assert {job["task"] for job in found} == {"split", "edit", "total"}
    assert shell.json("log", "--jobs", "--file", "parts/x") == []


def test_a_copy_of_a_directory_is_another_one(shell: Shell) -> None:
    shell("-q", "run", FLOW, "copies", "--parts", "3000")
    for path, task in (("parts/00001.txt", "split"), ("copy/00001.txt", "copied")):
        assert states(shell, path)[0][0] == [task]
        assert listed(shell, path) == [(path, "rw" if task == "split" else "w")]


def test_members_of_sets_have_no_rows_in_the_index(shell: Shell) -> None:
    from redun.store import Store

    shell("-q", "run", FLOW, "sets", "--parts", "2000")
    with Store.open(".redun/store") as store:
        store.index()
        rows = store._backend.read(lambda txn: txn.scan("ix.files", b"\0", 1000))
    assert len([key for key, _ in rows if key.startswith(b"\0")]) == 3
    assert not [key for key, _ in rows if key.startswith(b"parts/")]
