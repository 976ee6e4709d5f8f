"""What every filesystem promises, asked of each: this machine's, and those that fsspec reaches, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pytest

from redun.core.files.file import File
from redun.core.files.sets import Dir, FileSet
from tests.servers.running import ftp_server, s3_server, sftp_server, told

PLACES = ["local", "memory", "s3", "sftp", "ftp"]


@pytest.fixture(scope="module", params=PLACES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What the paths of a place begin with."""
    directory = tmp_path_factory.mktemp("served")
    if request.param == "local":
        yield str(directory)
    elif request.param == "memory":
        yield "memory://contract"
    else:
        servers = {"s3": s3_server, "sftp": lambda: sftp_server(directory), "ftp": lambda: ftp_server(directory)}
        with servers[request.param]() as server, told(server.settings):
            yield server.url


@pytest.fixture
def place(base: str, request: pytest.FixtureRequest) -> str:
    """A directory of the test's own there, which is not there yet."""
    return f"{base}/{request.node.originalname}"


def test_what_is_written_is_read(place: str):
    file = File(f"{place}/sub/a.txt")
    file.write("grün\n")
    assert (file.read(), file.read("rb"), file.readlines()) == ("grün\n", "grün\n".encode(), ["grün\n"])
    assert (file.size(), file.exists(), file.isfile(), file.isdir()) == (6, True, True, False)
    assert (file.basename(), file.dirname()) == ("a.txt", File(f"{place}/sub").path)
    assert File(f"{place}/sub").isdir()


def test_a_missing_file_is_missing(place: str):
    file = File(f"{place}/a.txt")
    assert (file.exists(), file.hash, file.is_valid()) == (False, "", True)
    file.remove()
    with pytest.raises(FileNotFoundError, match=r"a\.txt"):
        file.read()
    with pytest.raises(FileNotFoundError):
        file.size()
    with pytest.raises(FileNotFoundError):
        file.open("r+")


def test_the_same_bytes_written_again_are_the_same_state_and_others_are_another(place: str):
    file = File(f"{place}/a.txt")
    file.write("one")
    before = File(file.path)
    assert before.hash
    file.write("one")
    assert before.is_valid()
    file.write("two")
    assert not before.is_valid()
    file.remove()
    assert not before.is_valid()
    assert file.hash == ""


def test_a_body_that_fails_leaves_what_was_there_before(place: str):
    file = File(f"{place}/a.txt")
    file.write("whole")
    _fail_in(file.open("w"), "half")
    assert file.read() == "whole"
    _fail_in(File(f"{place}/b.txt").open("wb"), b"half")
    assert [found.basename() for found in Dir(place, hidden=True)] == ["a.txt"]


def _fail_in(opened: IO[Any], half: str | bytes) -> None:
    with suppress(KeyError), opened as stream:
        stream.write(half)
        raise KeyError


def test_files_are_appended_to_changed_in_place_and_made_anew(place: str):
    file = File(f"{place}/a.txt")
    with file.open("a") as stream:
        stream.write("one")
    with file.open("a") as stream:
        stream.write(" two")
    with file.open("r+") as stream:
        stream.write("ONE")
    assert file.read() == "ONE two"
    with pytest.raises(FileExistsError):
        file.open("x")
    with File(f"{place}/b.txt").open("xb") as stream:
        stream.write(b"new")
    assert File(f"{place}/b.txt").read() == "new"


def test_any_place_of_a_file_can_be_gone_to(place: str):
    file = File(f"{place}/a.bin")
    data = bytes(range(256)) * 20_000
    file.write(data)
    assert file.read("rb") == data
    with file.open("rb") as stream:
        assert stream.seek(-3, 2) == len(data) - 3
        assert stream.read() == data[-3:]
        assert stream.seek(4000) == 4000
        assert stream.read(10) == data[4000:4010]
        assert stream.tell() == 4010


def test_a_touch_makes_an_empty_file_and_changes_nothing(place: str):
    file = File(f"{place}/a.txt")
    file.touch()
    assert file.size() == 0
    file.write("text")
    before = File(file.path)
    assert before.hash
    file.touch()
    assert before.is_valid()
    assert file.read() == "text"


@pytest.fixture
def tree(place: str) -> str:
    """A directory with some files."""
    for name in ("a.txt", "b.csv", ".hidden", "sub/c.txt", "sub/deep/d.txt", "sub/.h/e.txt", "x y#1.txt"):
        File(f"{place}/{name}").write(name)
    return place


def _names(files: FileSet) -> list[str]:
    return [file.path.rpartition(files.base)[2].lstrip("/") for file in files]


def test_sets_hold_what_matches(tree: str):
    def found(pattern: str, hidden: bool = False) -> list[str]:
        return _names(FileSet(f"{tree}/{pattern}", hidden))

    assert found("*.txt") == ["a.txt", "x y#1.txt"]
    assert found("?.*") == ["a.txt", "b.csv"]
    assert found("[ab].*") == ["a.txt", "b.csv"]
    assert found("*", hidden=True) == [".hidden", "a.txt", "b.csv", "x y#1.txt"]
    assert found("*/c.txt") == ["sub/c.txt"]
    assert found("**/[cd].txt") == ["sub/c.txt", "sub/deep/d.txt"]
    assert found("none*") == []
    assert _names(FileSet(f"{tree}/nowhere/*.txt")) == []
    assert _names(Dir(tree)) == ["a.txt", "b.csv", "sub/c.txt", "sub/deep/d.txt", "x y#1.txt"]
    assert len(Dir(tree, hidden=True).files()) == 7


def test_a_set_is_valid_while_its_members_are_what_they_were(tree: str):
    files = Dir(tree)
    assert sorted(files.members()) == list(files.members())
    assert files.is_valid()
    File(f"{tree}/sub/c.txt").write("sub/c.txt")
    assert files.is_valid()
    File(f"{tree}/sub/c.txt").write("other")
    assert not files.is_valid()
    files.refresh()
    assert files.hash
    File(f"{tree}/new.txt").write("")
    assert not files.is_valid()
    File(f"{tree}/new.txt").remove()
    assert files.is_valid()
    File(f"{tree}/a.txt").remove()
    assert not files.is_valid()


def test_directories_are_deleted_whole_or_when_they_are_empty(tree: str):
    files = Dir(tree)
    assert files.exists()
    with pytest.raises(OSError, match="not empty"):
        files.rmdir()
    assert File(f"{tree}/a.txt").exists()
    files.rmdir(recursive=True)
    assert not files.exists()
    assert files.files() == []
    files.rmdir()


def test_files_are_copied_inside_a_place(tree: str):
    copy = File(f"{tree}/a.txt").copy_to(f"{tree}/copies/")
    assert (copy.basename(), copy.read()) == ("a.txt", "a.txt")
    assert File(f"{tree}/b.csv").copy_to(copy, skip_if_exists=True).read() == "a.txt"
    assert File(f"{tree}/b.csv").copy_to(copy).read() == "b.csv"
    with pytest.raises(FileNotFoundError):
        File(f"{tree}/none").copy_to(f"{tree}/other")


def test_directories_are_copied_between_this_machine_and_a_place(tree: str, tmp_path: Path):
    here = Dir(tree).copy_to(tmp_path / "here")
    assert _names(here) == ["a.txt", "b.csv", "sub/c.txt", "sub/deep/d.txt", "x y#1.txt"]
    assert here.file("sub/deep/d.txt").read() == "sub/deep/d.txt"
    there = here.copy_to(f"{tree}-again")
    assert _names(there) == _names(here)
    assert there.file("x y#1.txt").read() == "x y#1.txt"


def test_a_directory_is_no_file(tree: str):
    with pytest.raises(IsADirectoryError, match="Dir"):
        _ = File(f"{tree}/sub").hash
    with pytest.raises(IsADirectoryError, match="Dir"):
        File(f"{tree}/sub").remove()


def test_states_of_many_files_are_asked_for_together(tree: str):
    files = Dir(tree).files()
    states = files[0].filesystem.states([*(file.path for file in files), f"{tree}/none"], "content")
    assert states == [*(file.state() for file in files), None]
    assert len(set(states)) == len(states)
