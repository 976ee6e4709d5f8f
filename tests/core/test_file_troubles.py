"""What is wrong with a file is an error that names it and says what to do, and never another value."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotEncode, TaskError
from redun.core.files.file import File, IFile
from redun.core.files.memo import STATS, StatMemo
from redun.core.files.sets import Dir, FileSet
from redun.core.values import Encoder


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    STATS.fresh.clear()


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    """Lets the system refuse what it refuses others; root is refused nothing."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that others come into, too."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        monkeypatch.chdir(folder)
        yield Path(folder)


# -- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "a\0b", "file://elsewhere/x", "file://x"])
@pytest.mark.parametrize("kind", [File, Dir])
def test_what_is_no_path_is_refused(path: str, kind: Callable[[str], Any]):
    with pytest.raises(TaskError) as caught:
        kind(path)
    assert repr(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("path", [None, 3, ["a"]])
def test_what_is_no_text_is_pythons_own_error(path: Any):
    with pytest.raises(TypeError, match=r"expected str, bytes or os\.PathLike"):
        File(path)


def test_a_path_that_is_too_long_is_the_systems_error():
    with pytest.raises(OSError, match=r"File name too long: 'x{256}'"):
        File("x" * 256).state()
    assert not File("x" * 256).exists()


def test_parents_behind_a_link_are_those_of_what_it_leads_to(tmp_path: Path):
    (tmp_path / "far" / "sub").mkdir(parents=True)
    (tmp_path / "far" / "f").write_text("far")
    (tmp_path / "f").write_text("near")
    os.symlink("far/sub", "link")
    assert File("link/../f").path == "far/f"
    assert File("link/../f").read() == "far"
    assert File("far/../f").path == "f"
    assert File("far/./sub/../../f").read() == "near"


def test_any_spelling_names_what_the_system_finds_by_it(tmp_path: Path):
    project = tmp_path / "project"
    for folder in ("a/b", "b", "..c"):
        (project / folder).mkdir(parents=True)
    for file in ("f", "a/f", "a/b/f", "b/f", "..c/f", "../f"):
        (project / file).write_text(file)
    for link, target in {"l": "a/b", "a/l": "..", "b/l": "../a", "a/b/up": "../..", "m": "f", "out": ".."}.items():
        os.symlink(target, project / link)
    os.chdir(project)
    parts = st.sampled_from(["a", "b", "f", "l", "m", "up", "out", "project", "..c", "nosuch", ".", "..", ""])

    @given(st.lists(parts, min_size=1, max_size=6), st.sampled_from(["", "./", f"{project}/", f"{tmp_path}/", "//"]))
    @settings(max_examples=300)
    def check(path: list[str], start: str) -> None:
        spelling = start + "/".join(path)
        if not spelling:
            return
        found = File(spelling).path
        assert File(found).path == found
        assert ".." not in found.split("/")
        if os.path.exists(spelling):
            assert os.path.samefile(found, spelling)
        elif not os.path.exists(spelling.rstrip("/.")):  # `f/` and `f/.` are the file here, and nothing to the system
            assert not os.path.exists(found) or "nosuch/.." in spelling or "/.." in spelling

    check()


def test_the_working_directory_by_way_of_a_link_is_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "project").mkdir()
    os.symlink("project", tmp_path / "link")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("PWD", f"{tmp_path}/link")
    assert File(f"{tmp_path}/link/f").path == "f"
    assert Dir(f"{tmp_path}/link").path == "."
    monkeypatch.setenv("PWD", f"{tmp_path}/nosuch")
    assert File(f"{tmp_path}/nosuch/f").path == f"{tmp_path}/nosuch/f"


@pytest.mark.parametrize(
    "name", [".hidden", "..data", "a.b", "...", "a..b", " ", "~", "-x", "a\nb", "é", "A:b", "a:/b"]
)
def test_odd_names_are_names_like_others(name: str):
    File(name).write("text")
    assert File(f"./{name}").path == name
    assert Path(name).read_text() == "text"
    assert File(name).is_valid()


def test_names_that_are_no_utf8_are_names_like_others():
    name = os.fsdecode(b"\xff\xfe")
    File(name).write("text")
    assert File(Path(name)).path == name
    assert os.listdir(b".") == [b"\xff\xfe"]
    assert Encoder(DEFAULT_FORMAT).encode(File(name)).payload


# -- things that are no files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["content", "stat"])
def test_a_directory_where_a_file_was_meant_is_an_error_that_says_so(by: str):
    os.mkdir("d")
    file = File("d", by=by)
    told = r"Is a directory, where a file was meant: use Dir: '.*d'"
    with pytest.raises(IsADirectoryError, match=told):
        file.state()
    with pytest.raises(CannotEncode, match=r"value\['a'\]\[0\]: d: Is a directory, where a file was meant: use Dir"):
        Encoder(DEFAULT_FORMAT).encode({"a": [file]})
    assert not file.is_valid()
    assert not file.exists()
    assert file.isdir()


def test_a_directory_is_neither_read_nor_written_nor_removed_as_a_file():
    os.mkdir("d")
    for attempt in (File("d").read, lambda: File("d").write("x"), lambda: File("d").open("a"), File("d").remove):
        with pytest.raises(IsADirectoryError, match="'d'"):
            attempt()
    assert os.listdir(".") == ["d"]


def test_pipes_sockets_and_devices_are_refused_and_nobody_waits_for_them():
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for path, kind in [("pipe", "pipe"), ("socket", "socket"), ("/dev/zero", "device")]:
            with pytest.raises(OSError, match=f"Is a {kind}, which has no content of its own.*{path}"):
                File(path).state()
            assert not File(path).is_valid()
    assert IFile("pipe").is_valid()


def test_a_link_that_leads_nowhere_is_a_missing_file():
    os.symlink("nosuch", "link")
    assert File("link").state() is None
    assert not File("link").exists()
    File("link").write("text")
    assert Path("nosuch").read_text() == "text"
    assert os.path.islink("link")


def test_links_in_a_ring_are_the_systems_error():
    os.symlink("two", "one")
    os.symlink("one", "two")
    with pytest.raises(OSError, match="symbolic links: 'one'"):
        File("one").state()
    assert not File("one").is_valid()
    with pytest.raises(OSError, match="one"):
        File("one").write("x")
    with pytest.raises(OSError, match="symbolic links: 'one'"):
        Dir("one").members()


# -- what one may not do ----------------------------------------------------------------------------------------------


def test_a_file_that_may_not_be_read_is_the_systems_error(open_folder: Path):
    Path("secret").write_text("a")
    os.chmod("secret", 0)
    File("plain").write("b")  # what reading needs is loaded now
    assert File("plain").hash
    with _as_nobody():
        with pytest.raises(PermissionError, match="'secret'"):
            File("secret").state()
        with pytest.raises(PermissionError, match="secret'"):
            Dir(".").members()
        with pytest.raises(CannotEncode, match="value: secret: Permission denied"):
            Encoder(DEFAULT_FORMAT).encode(File("secret"))
        assert not File("secret").is_valid()


def test_a_directory_that_may_not_be_read_is_an_error_and_not_an_empty_set(open_folder: Path):
    (open_folder / "d" / "closed").mkdir(parents=True)
    (open_folder / "d" / "closed" / "f").write_text("a")
    os.chmod("d/closed", 0o711)
    known = File("d/closed/f")
    with _as_nobody():
        with pytest.raises(PermissionError, match="'d/closed'"):
            Dir("d").members()
        with pytest.raises(PermissionError, match="'d/closed'"):
            list(FileSet("d/**/*.txt"))
        assert known.state() is not None  # its name is known
        assert [file.path for file in FileSet("d/closed/f")] == ["d/closed/f"]
    os.chmod("d/closed", 0)
    with _as_nobody():
        with pytest.raises(PermissionError, match="'d/closed/f'"):
            File("d/closed/f").state()
        with pytest.raises(PermissionError, match="'d/closed/f'"):
            FileSet("d/closed/f").members()


def test_a_directory_that_may_not_be_written_to_is_an_error_that_names_the_file(open_folder: Path):
    (open_folder / "d").mkdir()
    os.chmod("d", 0o555)
    with _as_nobody():
        with pytest.raises(PermissionError, match="d/f'"):
            File("d/f").write("a")
        with pytest.raises(PermissionError, match="d/e'"):
            File("d/e/f").write("a")
    assert os.listdir("d") == []


# -- what changes meanwhile -------------------------------------------------------------------------------------------


def test_a_file_that_never_stays_the_same_while_it_is_read_is_an_error():
    with open("f", "wb") as stream:
        stream.truncate(64_000_000)
    going = threading.Event()

    def write() -> None:
        handle = os.open("f", os.O_WRONLY)
        while not going.is_set():
            os.pwrite(handle, os.urandom(8), 0)
        os.close(handle)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with pytest.raises(OSError, match=r"Changed each time it was read: wait until .*: 'f'"):
            StatMemo().content("f")
        assert not File("f").is_valid()
    finally:
        going.set()
        thread.join()
    assert StatMemo().content("f") is not None


def test_files_that_come_and_go_while_they_are_looked_at_are_no_error():
    os.mkdir("d")
    going = threading.Event()

    def come_and_go() -> None:
        while not going.is_set():
            for name in "abc":
                Path(f"d/{name}/{name}").parent.mkdir(exist_ok=True)
                Path(f"d/{name}/{name}").write_text(name)
            for name in "abc":
                os.remove(f"d/{name}/{name}")
                os.rmdir(f"d/{name}")

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(100):
            assert set(Dir("d").members()) <= {"a/a", "b/b", "c/c"}
            assert StatMemo().content("d/a/a") in (None, _SHA_OF_A, _SHA_OF_NOTHING)
            assert all(file.path[2] in "abc" for file in FileSet("d/*/?"))
    finally:
        going.set()
        thread.join()


_SHA_OF_A = bytes.fromhex("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb")
_SHA_OF_NOTHING = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def test_many_files_are_read_in_threads_to_the_same_end():
    os.mkdir("d")
    for number in range(600):
        Path(f"d/{number}").write_text(str(number))
    members = Dir("d").members()
    assert len(members) == 600
    assert all(members[str(number)] == StatMemo().content(f"d/{number}") for number in range(0, 600, 50))


def test_a_set_that_has_changed_is_known_without_reading_the_rest():
    os.mkdir("d")
    for name in "ab":
        Path(f"d/{name}").write_text(name)
    kept = Dir("d")
    assert kept.members()
    os.remove("d/a")
    os.mkfifo("d/p")  # reading it would not end
    assert not kept.is_valid()
