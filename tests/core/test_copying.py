"""Copies of local files: what they hold, who may read them, and how they are made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from redun.core.errors import TaskError
from redun.core.files.cloning import clone
from redun.core.files.copying import copy_file, copy_path
from redun.core.files.file import File
from redun.core.files.sets import ContentDir, Dir


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 100, 5 << 20])
def test_a_copy_holds_what_the_file_holds(size: int):
    data = os.urandom(size)
    Path("a").write_bytes(data)
    copy_file("a", "sub/b")
    assert Path("sub/b").read_bytes() == data


def test_what_the_kernel_cannot_copy_is_read(tmp_path: Path):
    with open("/proc/self/status", "rb") as source, open("copy", "wb") as target:
        clone(source.fileno(), target.fileno())
    assert b"Pid:" in Path("copy").read_bytes()


def test_what_cannot_be_written_is_an_error_and_leaves_what_was_there():
    Path("a").write_bytes(b"1" * 5000)
    with (
        open("a", "rb") as source,
        open("/dev/full", "wb", buffering=0) as target,
        pytest.raises(OSError, match="space"),
    ):
        clone(source.fileno(), target.fileno())


def test_a_copy_of_a_file_onto_itself_is_the_file():
    File("a").write("one")
    assert not copy_path("a", "a")
    assert File("./a").copy_to("a").read() == "one"
    with pytest.raises(FileNotFoundError):
        copy_path("none", "none")


def test_a_copy_goes_to_a_file_value_which_is_refreshed():
    File("a").write("one")
    target = File("b")
    before = target.hash
    assert File("a").copy_to(target) is target
    assert target.hash not in ("", before)
    assert target.is_valid()


def test_a_directory_is_copied_with_its_kind_and_what_else_lies_there_stays():
    for name in ("a", "sub/b", ".hidden"):
        File(f"from/{name}").write(name)
    File("to/other").write("other")
    copy = ContentDir("from").copy_to("to")
    assert type(copy) is ContentDir
    assert [file.path for file in copy] == ["to/a", "to/other", "to/sub/b"]
    assert [file.path for file in Dir("from", hidden=True).copy_to("all")] == ["all/.hidden", "all/a", "all/sub/b"]


def test_a_directory_is_not_copied_into_itself():
    File("from/a").write("a")
    with pytest.raises(TaskError, match="from/sub lies in from"):
        Dir("from").copy_to("from/sub")
    with pytest.raises(TaskError, match=r"copy lies in \."):
        Dir(".").copy_to("copy")
    assert File("from/a").exists()
    assert [file.path for file in Dir("from").copy_to("from2")] == ["from2/a"]


def test_one_that_cannot_be_copied_is_named():
    File("from/a").write("a")
    File("to/a/below").write("")
    with pytest.raises(IsADirectoryError, match="to/a"):
        Dir("from").copy_to("to")
    with pytest.raises(FileNotFoundError, match="none"):
        Dir("none").copy_to("to")
    with pytest.raises(NotADirectoryError, match="from/a"):
        Dir("from/a").copy_to("to")
