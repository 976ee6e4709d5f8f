"""Sets of files: which files a pattern or a directory holds, and when a set is still the same."""

from __future__ import annotations

import glob
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import TaskError
from redun.core.files.file import ContentFile, File, IFile
from redun.core.files.local import LOCAL
from redun.core.files.memo import STATS
from redun.core.files.sets import ContentDir, ContentFileSet, Dir, FileSet, IDir, IFileSet
from redun.core.values import Encoder
from redun.file import get_filesystem, get_proto, glob_file, open_file


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    STATS.fresh.clear()


def _tree(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(path)


def _round_trip(value: Any) -> Any:
    encoder = Encoder(DEFAULT_FORMAT)
    return Decoder(encoder.objects.__getitem__).decode(encoder.encode(value).payload)


def _paths(files: FileSet) -> list[str]:
    fresh = [file.path for file in files]
    assert fresh == sorted(fresh)
    assert [file.path for file in _round_trip(files)] == fresh
    return fresh


# -- which files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["a.txt", "b.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[!a].txt", ["b.txt"]),
        ("a.txt", ["a.txt"]),
        ("*/*.txt", ["d/c.txt", "e/c.txt"]),
        ("d/*", ["d/c.txt"]),
        ("d/**", ["d/c.txt", "d/f/g/h.txt"]),
        ("**/*.txt", ["a.txt", "b.txt", "d/c.txt", "d/f/g/h.txt", "e/c.txt"]),
        ("**/c.txt", ["d/c.txt", "e/c.txt"]),
        ("d/**/h.txt", ["d/f/g/h.txt"]),
        ("d/**/f/**/h.txt", ["d/f/g/h.txt"]),
        ("**/**/*.csv", ["d/c.csv"]),
        ("./d//*.txt", ["d/c.txt"]),
        ("e/../*.txt", ["a.txt", "b.txt"]),
        ("A.txt", []),
        ("nosuch/*", []),
        ("a.txt/*", []),
        ("*.txt/", ["a.txt", "b.txt"]),
        (".*", [".dot"]),
        (".d/*", [".d/x.txt"]),
    ],
)
def test_a_pattern_names_files(pattern: str, expected: list[str]):
    _tree("a.txt", "b.txt", "d/c.txt", "d/f/g/h.txt", "e/c.txt", ".dot", ".d/x.txt")
    if ".csv" in pattern:
        _tree("d/c.csv")
    assert _paths(FileSet(pattern)) == expected


def test_names_that_begin_with_a_dot_belong_to_a_set_that_asks_for_them():
    _tree("d/a", "d/.b", "d/.c/e")
    assert _paths(Dir("d")) == ["d/a"]
    assert _paths(Dir("d", hidden=True)) == ["d/.b", "d/.c/e", "d/a"]
    assert _paths(FileSet("d/*")) == ["d/a"]
    assert _paths(FileSet("d/*", hidden=True)) == ["d/.b", "d/a"]
    assert Dir("d") != Dir("d", hidden=True)


def test_a_directory_is_named_literally_whatever_its_name():
    _tree("d[1]/a*", "d1/b")
    assert _paths(Dir("d[1]")) == ["d[1]/a*"]
    assert Dir("d[1]").is_valid()


def test_a_set_is_kept_by_its_path_from_the_working_directory_so_that_a_project_may_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _tree("one/d/a", "one/b.txt")
    monkeypatch.chdir(tmp_path / "one")
    sets = [Dir(tmp_path / "one" / "d"), Dir("."), FileSet(f"{tmp_path}/one/*.txt")]
    kept = [_round_trip(found) for found in sets]
    assert [found.pattern for found in kept] == ["d", ".", "*.txt"]
    monkeypatch.chdir(tmp_path)
    os.rename("one", "two")
    monkeypatch.chdir(tmp_path / "two")
    assert all(found.is_valid() for found in kept)
    assert [file.path for file in kept[1]] == ["b.txt", "d/a"]


def test_spellings_of_one_directory_are_one_value(tmp_path: Path):
    _tree("d/a")
    spellings = ["d", "./d", "d/", "d//", "x/../d", str(tmp_path / "d"), f"{tmp_path}/d/", f"file://{tmp_path}/d"]
    assert len({Encoder(DEFAULT_FORMAT).encode(Dir(spelling)).payload for spelling in spellings}) == 1
    patterns = ["d/*", "./d/*", "d//*", "x/../d/*", f"{tmp_path}/d/*", "d/./*"]
    assert len({Encoder(DEFAULT_FORMAT).encode(FileSet(pattern)).payload for pattern in patterns}) == 1


def test_the_root_directory_and_what_lies_outside_of_the_project_are_absolute(tmp_path: Path):
    assert Dir("/").path == "/"
    assert Dir("//").path == "/"
    assert FileSet("/*.nosuch").pattern == "/*.nosuch"
    assert FileSet("../*.nosuch").pattern == f"{tmp_path.parent}/*.nosuch"
    assert list(FileSet("/*.nosuch")) == []


@pytest.mark.parametrize("pattern", ["", "a\0b", "*/../b"])
def test_what_is_no_pattern_is_refused(pattern: str):
    with pytest.raises(TaskError) as caught:
        FileSet(pattern)
    assert repr(pattern) in caught.value.message
    assert caught.value.hint


@st.composite
def _patterns(draw: st.DrawFn) -> str:
    part = st.sampled_from(
        ["*", "**", "a", "b", "?", "[ab]", "a*", "*b", ".*", ".a", "[!a]", "[]a]", "c?", "***", "a**"]
    )
    return "/".join(draw(st.lists(part, min_size=1, max_size=4)))


def test_patterns_name_the_files_that_pythons_own_glob_names():
    names = ["a", "b", "ab", ".a", "cb", "]"]
    for directory in ("", "a/", "b/", ".a/", "a/b/", "a/.a/", "b/a/b/", "ab/cb/"):
        _tree(*(f"t/{directory}{name}.d/{leaf}" for name in names[:2] for leaf in names))
    for directory in ("", "x/", "x/ab/", "x/.a/", "x/a.d/"):
        _tree(*(f"t/{directory}{name}" for name in ("cb", "]", ".b", "aa")))

    @given(_patterns(), st.booleans())
    @settings(max_examples=100)
    def check(pattern: str, hidden: bool) -> None:
        found = {
            path for path in glob.glob(f"t/{pattern}", recursive=True, include_hidden=hidden) if os.path.isfile(path)
        }
        assert [f"t/{path}" for path in LOCAL.find("t", pattern, hidden)] == sorted(found)

    check()


@pytest.mark.parametrize("start", ["memory://", "memory:///"])
def test_the_root_of_another_filesystem_is_a_directory_like_others(start: str):
    pytest.importorskip("fsspec")
    File("memory://sets-a.txt").write("a")
    File("memory://sets/b.txt").write("b")
    try:
        for pattern, expected in [
            ("sets*.txt", ["sets-a.txt"]),
            ("sets/*", ["sets/b.txt"]),
            ("**/b.txt", ["sets/b.txt"]),
        ]:
            files = FileSet(start + pattern)
            assert files.pattern == f"memory://{pattern}"
            assert _paths(files) == [f"memory://{path}" for path in expected]
            assert files.is_valid()
        root = Dir(start)
        assert root.file("sets/b.txt").read() == "b"
        assert root.rel_path(root.file("sets/b.txt").path) == "sets/b.txt"
        assert set(root.members()) >= {"sets-a.txt", "sets/b.txt"}
    finally:
        File("memory://sets-a.txt").remove()
        Dir("memory://sets").rmdir(recursive=True)


def test_redun_has_names_for_parts_of_it():
    _tree("d/a", "d/b")
    assert glob_file("d/*") == ["d/a", "d/b"]
    with open_file("./d/c", "w") as stream:
        stream.write("c")
    with open_file("d/c") as stream:
        assert stream.read() == "c"
    assert (get_proto("d/a"), get_proto("file:///d"), get_proto("memory://a")) == ("local", "local", "memory")
    assert get_filesystem("local") is get_filesystem(url="d/a") is File("d/a").filesystem
    assert get_filesystem("memory") is get_filesystem(url="memory://x")
    with pytest.raises(TaskError, match="given nothing"):
        get_filesystem()


# -- odd things in directories ----------------------------------------------------------------------------------------


def test_pipes_sockets_and_links_that_lead_nowhere_are_no_members(tmp_path: Path):
    _tree("d/a", "d/f/b")
    os.mkfifo("d/pipe")
    os.symlink("nosuch", "d/broken")
    os.symlink("ring", "d/ring")
    for name in "0z":  # whichever order the system tells them in
        os.symlink("a/through/a/file", f"d/{name}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("d/s")
        assert _paths(Dir("d")) == ["d/a", "d/f/b"]
        assert _paths(FileSet("d/*")) == ["d/a"]
        assert [file.path for file in FileSet("d/pipe")] == []


def test_links_are_followed_once_around_a_ring():
    _tree("shared/a", "d/b", "d/f/c")
    os.symlink("../shared", "d/link")
    os.symlink("..", "d/f/up")
    os.symlink("../../..", "d/f/further")
    os.symlink("b", "d/same")
    assert _paths(Dir("d")) == ["d/b", "d/f/c", "d/link/a", "d/same"]


def test_directories_that_link_to_each_other_end():
    _tree("a/x", "b/y")
    os.symlink("../b", "a/l")
    os.symlink("../a", "b/l")
    assert _paths(Dir("a")) == ["a/l/y", "a/x"]


def test_a_member_whose_link_comes_to_lead_somewhere_makes_another_set():
    _tree("d/a")
    os.symlink("../late", "d/broken")
    kept = _round_trip(Dir("d"))
    assert kept.is_valid()
    _tree("late")
    assert not kept.is_valid()


def test_a_file_where_a_directory_was_meant_is_an_error_that_says_so():
    _tree("f")
    with pytest.raises(NotADirectoryError, match=r"where a directory was meant: use File: 'f'"):
        Dir("f").members()
    with pytest.raises(NotADirectoryError, match="use File"):
        list(Dir("f"))


def test_a_directory_where_a_pattern_was_meant_is_an_error_that_says_so():
    _tree("d/a")
    with pytest.raises(IsADirectoryError, match=r"where a pattern of files was meant: use Dir: 'd'"):
        FileSet("d").members()
    with pytest.raises(IsADirectoryError, match="use Dir"):
        list(FileSet("d/"))


def test_a_missing_directory_and_a_pattern_that_matches_nothing_are_empty_sets():
    assert _paths(Dir("nosuch")) == []
    assert not Dir("nosuch").exists()
    assert repr(_round_trip(Dir("nosuch"))).startswith("Dir(path=nosuch, files=0, hash=")
    assert repr(_round_trip(FileSet("*.x"))).startswith("FileSet(pattern=*.x, files=0, hash=")
    assert _round_trip(FileSet("*.x")).is_valid()


def test_names_of_any_bytes_belong_to_a_set_and_come_back():
    os.mkdir("d")
    names = [b"\xff\xfe", b"new\nline", b"\xc3\xa9", b"e\xcc\x81", b"A", b"a", b" ", b"x" * 255, b"'\"\\", b"*"]
    for name in names:
        Path(os.fsdecode(b"d/" + name)).write_bytes(name)
    kept = _round_trip(Dir("d"))
    assert sorted(os.fsencode(file.path) for file in kept) == sorted(b"d/" + name for name in names)
    assert {file.read("rb") for file in kept} == set(names)
    assert kept.is_valid()


# -- when a set is the same -------------------------------------------------------------------------------------------


def _remove() -> None:
    os.remove("d/a")


def _add() -> None:
    _tree("d/sub/new")


def _edit() -> None:
    Path("d/a").write_text("other")


def _rename() -> None:
    os.rename("d/a", "d/z")


def _become_a_directory() -> None:
    os.remove("d/a")
    os.mkdir("d/a")


@pytest.mark.parametrize("change", [_remove, _add, _edit, _rename, _become_a_directory])
@pytest.mark.parametrize("make", [lambda: Dir("d"), lambda: FileSet("d/**"), lambda: ContentDir("d")])
def test_a_set_is_another_when_a_member_comes_goes_or_changes(change: Any, make: Any):
    _tree("d/a", "d/b")
    kept = _round_trip(make())
    assert kept.is_valid()
    change()
    assert not kept.is_valid()
    assert _round_trip(make()) != kept
    kept.refresh()
    assert kept.is_valid()
    assert kept == make()


@pytest.mark.parametrize("kind", [Dir, ContentDir])
def test_a_touched_member_and_an_empty_directory_change_nothing(kind: type[Dir]):
    _tree("d/a")
    kept = _round_trip(kind("d"))
    os.utime("d/a", (1, 1))
    os.mkdir("d/empty")
    assert kept.is_valid()


def test_sets_by_stat_take_a_touched_file_for_a_changed_one():
    _tree("d/a")
    sets = [_round_trip(Dir("d", by="stat")), _round_trip(FileSet("d/*", by="stat"))]
    assert all(found.is_valid() for found in sets)
    assert [file.by for file in sets[0]] == ["stat"]
    os.utime("d/a", (1, 1))
    assert not any(found.is_valid() for found in sets)


def test_immutable_sets_are_valid_whatever_happens():
    _tree("d/a")
    sets = [_round_trip(IDir("d")), _round_trip(IFileSet("d/*"))]
    _edit()
    assert all([file.path for file in found] == ["d/a"] for found in sets)
    _remove()
    assert all(found.is_valid() for found in sets)
    assert repr(sets[0]) == "IDir(path=d)"
    assert all(list(found) == [] for found in sets)


def test_a_set_that_is_known_keeps_its_members_until_it_is_refreshed():
    _tree("d/a")
    files = Dir("d")
    before = files.hash
    _add()
    assert files.hash == before
    assert [file.path for file in files] == ["d/a"]
    files.update_hash()
    assert files.hash != before
    assert [file.path for file in files] == ["d/a", "d/sub/new"]


def test_members_of_a_set_stand_for_the_state_that_the_set_has():
    _tree("d/a")
    kept = _round_trip(Dir("d"))
    [member] = kept
    state = member.hash
    _edit()
    assert next(iter(kept)).hash == state
    assert not next(iter(kept)).is_valid()


def test_members_are_files_of_the_kind_of_the_set():
    _tree("d/a")
    kinds = [(FileSet, File), (ContentFileSet, ContentFile), (IFileSet, IFile)]
    assert [type(next(iter(kind("d/*")))) for kind, _ in kinds] == [file for _, file in kinds]
    assert type(next(iter(IDir("d")))) is IFile
    assert type(ContentDir("d").file("a")) is ContentFile


def test_equal_sets_are_equal_and_hash_alike():
    _tree("d/a")
    assert Dir("d") == Dir("./d")
    assert hash(Dir("d")) == hash(Dir("./d"))
    assert {Dir("d"): 1}[_round_trip(Dir("d"))] == 1
    assert len({Dir("d"), Dir("d", by="stat"), Dir("d", hidden=True), ContentDir("d"), IDir("d"), FileSet("d/**")}) == 6
    assert Dir("d") != "d"


def test_a_set_tells_how_many_files_it_holds_and_the_start_of_its_hash():
    _tree("d/a", "d/b")
    assert repr(Dir("d")) == "Dir(path=d)"
    kept = _round_trip(Dir("d"))
    assert repr(kept) == f"Dir(path=d, files=2, hash={kept.hash[:8]})"
    assert repr(_round_trip(FileSet("d/*"))).startswith("FileSet(pattern=d/*, files=2, hash=")
    assert len(kept.hash) == 64


@pytest.mark.parametrize(
    "make",
    [
        lambda: ContentFile("f", by="stat"),  # type: ignore[call-arg, unused-ignore]
        lambda: File("f", by="path"),
        lambda: Dir("f", by="time"),
        lambda: IDir("f", by="content"),
    ],
)
def test_what_a_value_cannot_be_compared_by_is_refused(make: Any):
    with pytest.raises(TaskError, match="it can be"):
        make()


# -- directories ------------------------------------------------------------------------------------------------------


def test_a_directory_gives_files_below_it_and_knows_their_paths_from_there(tmp_path: Path):
    _tree("d/sub/a")
    directory = Dir("d")
    assert directory.file("sub/a").read() == "d/sub/a"
    assert directory.file("./sub//a").path == "d/sub/a"
    assert directory.rel_path("d/sub/a") == "sub/a"
    assert directory.rel_path(str(tmp_path / "d" / "sub" / "a")) == "sub/a"
    assert Dir(".").file("f").path == "f"
    assert Dir(".").rel_path("d/sub/a") == "d/sub/a"
    assert Dir("/").file("f").path == "/f"
    assert os.fspath(directory) == "d"


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x"])
def test_a_path_that_leads_out_of_a_directory_is_refused(path: str):
    with pytest.raises(TaskError, match="no path below d"):
        Dir("d").file(path)


def test_a_file_that_does_not_lie_below_a_directory_has_no_path_from_there():
    with pytest.raises(TaskError, match="dx/a does not lie below d"):
        Dir("d").rel_path("dx/a")
    with pytest.raises(TaskError, match="/etc/passwd does not lie below"):
        Dir(".").rel_path("/etc/passwd")


def test_writing_through_a_directory_makes_the_value_stand_for_what_was_written():
    directory = Dir("d")
    assert directory.hash
    directory.file("sub/a").write("a")
    assert [file.path for file in directory] == ["d/sub/a"]
    kept = _round_trip(directory)
    assert kept.is_valid()
    for file in kept:
        file.write("b")
    assert kept.is_valid()
    kept.file("sub/a").remove()
    assert list(kept) == []


def test_directories_are_made_and_removed():
    directory = Dir("d/e")
    directory.mkdir()
    directory.mkdir()
    assert directory.exists()
    directory.rmdir()
    directory.rmdir()
    assert not directory.exists()
    directory.file("a").write("a")
    with pytest.raises(OSError, match=r"not empty.*'d/e'"):
        directory.rmdir()
    directory.rmdir(recursive=True)
    assert not directory.exists()
    assert Path("d").exists()


def test_removing_a_directory_through_a_link_is_refused_and_leaves_what_the_link_leads_to():
    _tree("d/a")
    os.symlink("d", "link")
    with pytest.raises(OSError, match="link"):
        Dir("link").rmdir(recursive=True)
    assert Path("d/a").exists()
