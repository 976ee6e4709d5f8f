"""Files here and there: what counts of a staging value, and how it is copied."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.display import show
from redun.core.errors import TaskError
from redun.core.files.file import ContentFile, File, IFile
from redun.core.files.filesystems import register_filesystem
from redun.core.files.local import LocalFilesystem
from redun.core.files.sets import ContentDir, Dir, IDir
from redun.core.files.staging import Output, Staging, StagingDir, StagingFile
from redun.core.values import Encoder


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def bash(command: str) -> None:
    subprocess.run(["bash", "-ec", command], check=True)


def test_a_file_is_staged_and_unstaged():
    File("in put.txt").write("one")
    pair = File("in put.txt").stage("sub/local.txt")
    assert type(pair) is StagingFile
    assert pair.stage().read() == "one"
    Path("sub/local.txt").write_text("two")
    remote = pair.unstage()
    assert (remote.path, remote.read()) == ("in put.txt", "two")


def test_the_hash_of_what_was_unstaged_is_that_of_the_new_content():
    File("a").write("one")
    pair = StagingFile("b", "a")
    before = pair.remote.hash
    Path("b").write_text("two")
    assert pair.unstage().hash != before


def test_a_directory_is_staged_and_unstaged():
    for name in ("d/a.txt", "d/sub/b c.txt"):
        File(name).write(name)
    pair = Dir("d").stage()
    assert (type(pair), pair.local_path) == (StagingDir, "d")
    pair = Dir("d").stage("there")
    pair.stage()
    assert Path("there/sub/b c.txt").read_text() == "d/sub/b c.txt"
    Path("there/new").write_text("new")
    assert sorted(file.path for file in pair.unstage()) == ["d/a.txt", "d/new", "d/sub/b c.txt"]


def test_the_local_path_is_the_name_alone_where_none_is_given():
    assert File("/x/y/data.tsv").stage().local_path == "data.tsv"


def test_each_kind_of_file_has_its_kind_of_pair():
    made = [kind("x").stage() for kind in (File, ContentFile, IFile, Dir, ContentDir, IDir)]
    kinds = ["StagingFile", "ContentStagingFile", "IStagingFile", "StagingDir", "ContentStagingDir", "IStagingDir"]
    assert [type(pair).__name__ for pair in made] == kinds
    assert [type(pair.local) for pair in made] == [type(pair.remote) for pair in made]


def test_what_is_staged_in_its_own_place_is_not_copied():
    File("a").write("one")
    inode = os.stat("a").st_ino
    assert StagingFile("a", "a").stage().path == "a"
    assert StagingFile("./a", "a").unstage().path == "a"
    assert os.stat("a").st_ino == inode
    assert StagingFile("a", "a").render_stage() == StagingFile("a", "a").render_unstage() == ""


def test_what_is_not_there_cannot_be_staged():
    with pytest.raises(FileNotFoundError, match="nothing"):
        File("nothing").stage("b").stage()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Dir("nowhere").stage("b").stage()


def test_rendered_commands_do_the_same_whatever_the_names_are():
    File("it's -/a b").write("one")
    pair = StagingFile("-x/$(y)", "it's -/a b")
    bash(pair.render_stage())
    assert Path("-x/$(y)").read_text() == "one"
    Path("-x/$(y)").write_text("two")
    bash(pair.render_unstage(as_mount=True))
    assert Path("it's -/a b").read_text() == "two"
    tree = StagingDir("t 2", "it's -")
    bash(tree.render_stage())
    bash(tree.render_stage())
    assert [str(path) for path in sorted(Path("t 2").rglob("*"))] == ["t 2/a b"]


def test_files_elsewhere_are_copied_and_not_rendered(tmp_path: Path):
    class Elsewhere(LocalFilesystem):
        def _path(self, path: str) -> str:
            return str(tmp_path / "elsewhere" / path.removeprefix("f3test://"))

        def canonical(self, path: str) -> str:
            return path

        def open(self, path: str, mode: str = "r", encoding: str | None = None):
            return super().open(self._path(path), mode, encoding)

    register_filesystem("f3test", lambda scheme: Elsewhere())
    File("a").write("one")
    pair = StagingFile("a", "f3test://b/c")
    pair.unstage()
    assert (tmp_path / "elsewhere/b/c").read_text() == "one"
    StagingFile("back", "f3test://b/c").stage()
    assert Path("back").read_text() == "one"
    with pytest.raises(TaskError, match=r"no command of a shell copies f3test://b/c"):
        pair.render_stage()


def encoded(value: object) -> tuple[bytes, list[object]]:
    found = Encoder(DEFAULT_FORMAT).encode(value)
    return found.payload, list(found.externals)


def read(payload: bytes) -> object:
    return Decoder(lambda digest: ("", b"")).decode(payload)


def test_a_pair_is_a_value_that_changes_with_its_remote_alone():
    File("a").write("one")
    Path("b").write_text("two")
    pair = File("a").stage("b")
    payload, externals = encoded(pair)
    assert externals == [pair.remote]
    assert read(payload) == pair
    Path("b").write_text("three")
    assert encoded(File("a").stage("b"))[0] == payload
    File("a").write("four")
    assert encoded(File("a").stage("b"))[0] != payload
    assert show(payload, lambda digest: ("", b"")).startswith("StagingFile(local='b', remote=File(path=a, hash=")


def test_what_is_to_be_made_is_known_by_where_and_not_by_what_is_there():
    payload, externals = encoded(Output.of(File("a").stage("b")))
    File("a").write("one")
    assert encoded(Output.of(File("a").stage("b"))) == (payload, externals) == (payload, [])
    assert encoded(Output.of(File("a").stage("c")))[0] != payload
    assert show(payload, lambda digest: ("", b"")) == "File(path=a, local=b)"
    made = read(payload)
    assert isinstance(made, Output)
    assert made.value().read() == "one"
    directory = read(encoded(Output.of(Dir("d", hidden=True)))[0])
    assert isinstance(directory, Output)
    assert repr(directory.value()) == repr(Dir("d", hidden=True))
    assert Output.of(3) is None


@pytest.mark.parametrize("wrong", ["", "a\0b"])
def test_a_local_path_that_cannot_be_is_said(wrong: str):
    with pytest.raises(TaskError, match="no local path"):
        StagingFile(wrong, "a")
    with pytest.raises(TaskError, match="is no path"):
        StagingFile("a", 3)  # type: ignore[arg-type]


def test_pairs_are_equal_where_both_sides_are():
    File("a").write("one")
    assert File("a").stage("b") == File("a").stage("b") != File("a").stage("c")
    assert len({File("a").stage("b"), File("a").stage("b")}) == 1
    assert Staging.__eq__(File("a").stage("b"), 3) is NotImplemented
