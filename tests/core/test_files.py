"""Files as values: a path, the content that it had, and whether it still has it."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import os
import pickle
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redun.core import codes
from redun.core.codec import unpack
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import TaskError
from redun.core.files import memo as memos
from redun.core.files.file import File, IFile
from redun.core.files.memo import STATS, StatMemo
from redun.core.files.sets import Dir
from redun.core.values import Encoder
from redun.store import Batch, Store

#: Old enough that what is read of a file is remembered.
OLD = 1_600_000_000


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    STATS.fresh.clear()


def _written(text: str, path: str = "f.txt") -> File:
    Path(path).write_text(text)
    return File(path)


def _pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301  our own bytes


def _round_trip(value: Any) -> Any:
    encoder = Encoder(DEFAULT_FORMAT)
    return Decoder(encoder.objects.__getitem__).decode(encoder.encode(value).payload)


# -- identity ---------------------------------------------------------------------------------------------------------


def test_a_file_is_its_path_and_the_sha256_of_its_content():
    file = _written("hello")
    ext = unpack(Encoder(DEFAULT_FORMAT).encode(file).payload)
    assert ext.code == codes.FILE
    assert unpack(ext.data) == ["File", "f.txt", hashlib.sha256(b"hello").digest()]
    assert file.hash == hashlib.sha256(b"hello").hexdigest()


def test_a_missing_file_is_a_value_too():
    file = File("missing")
    assert file.hash == ""
    assert not file.exists()
    assert unpack(unpack(Encoder(DEFAULT_FORMAT).encode(file).payload).data) == ["File", "missing", None]
    assert _round_trip(file).is_valid()
    assert _round_trip(File("missing/below")).is_valid()


def test_spellings_of_one_path_are_one_file(tmp_path: Path):
    _written("a")
    spellings = ["f.txt", "./f.txt", "x/../f.txt", str(tmp_path / "f.txt"), f"file://{tmp_path}/f.txt", Path("f.txt")]
    assert {File(spelling).path for spelling in spellings} == {"f.txt"}


def test_paths_below_the_working_directory_are_kept_relative_and_others_absolute(tmp_path: Path):
    assert File(tmp_path / "a" / "b").path == "a/b"
    assert File(tmp_path.parent / "c").path == str(tmp_path.parent / "c")
    assert File(str(tmp_path) + "-beside").path == str(tmp_path) + "-beside"


def test_a_file_of_an_unknown_scheme_is_refused():
    with pytest.raises(TaskError, match=r"'nosuch://x'\): there is no filesystem for nosuch:// \(known are .*s3"):
        File("nosuch://x")


def test_equal_files_are_equal_and_hash_alike():
    one, two = _written("a"), File("f.txt")
    assert one == two
    assert hash(one) == hash(two)
    assert one.hash
    Path("f.txt").write_text("b")
    assert one != File("f.txt")
    assert one != "f.txt"


def test_files_read_well_and_are_paths():
    file = _written("a")
    assert repr(file) == "File(path=f.txt)"
    assert repr(_round_trip(file)) == f"File(path=f.txt, hash={hashlib.sha256(b'a').hexdigest()[:8]})"
    assert repr(_round_trip(File("missing"))) == "File(path=missing, hash=missing)"
    assert os.fspath(file) == "f.txt"
    assert (file.basename(), file.size(), file.describe()) == ("f.txt", 1, "f.txt")


def test_what_a_file_stands_for_is_read_once():
    file = _written("a")
    before = file.hash
    Path("f.txt").write_text("other")
    assert file.hash == before
    file.update_hash()
    assert file.hash == hashlib.sha256(b"other").hexdigest()


def test_files_go_through_pickle_and_copy_as_what_they_stand_for():
    known, missing = _written("a"), File("missing")
    assert known.hash
    assert missing.hash == ""
    for file in (known, missing, File("f.txt"), File("f.txt", by="stat"), IFile("f.txt"), File("late")):
        for again in (_pickled(file), copy.deepcopy(file), copy.copy(file)):
            assert type(again) is type(file)
            assert (again.path, again.by) == (file.path, file.by)
    again = _pickled(known)
    late = _pickled(File("late"))
    Path("f.txt").write_text("b")
    Path("late").write_text("b")
    assert again.hash == known.hash == hashlib.sha256(b"a").hexdigest()
    assert not again.is_valid()
    assert late.hash == hashlib.sha256(b"b").hexdigest()
    assert _pickled(File("f.txt").archive())._kept
    files = Dir(".")
    assert files.hash
    assert _pickled(files) == copy.deepcopy(files) == files


# -- validity ---------------------------------------------------------------------------------------------------------


def test_a_file_is_valid_while_it_has_its_content():
    decoded = _round_trip(_written("a"))
    assert decoded.is_valid()
    Path("f.txt").write_text("b")
    assert not decoded.is_valid()
    Path("f.txt").write_text("a")
    assert decoded.is_valid()
    os.remove("f.txt")
    assert not decoded.is_valid()


def test_touching_changes_nothing():
    decoded = _round_trip(_written("a"))
    os.utime("f.txt", (OLD, OLD))
    assert decoded.is_valid()


def test_an_edit_that_keeps_size_and_time_is_seen():
    _written("aaaa")
    os.utime("f.txt", (OLD, OLD))
    decoded = _round_trip(File("f.txt"))
    assert decoded.is_valid()
    with open("f.txt", "r+") as stream:
        stream.write("bbbb")
    os.utime("f.txt", (OLD, OLD))
    assert not decoded.is_valid()


def test_a_missing_file_is_invalid_once_it_is_there():
    decoded = _round_trip(File("f.txt"))
    _written("")
    assert not decoded.is_valid()


def test_what_became_a_directory_is_invalid():
    decoded = _round_trip(_written("a"))
    os.remove("f.txt")
    os.mkdir("f.txt")
    assert not decoded.is_valid()


def test_files_inside_values_are_gathered_as_externals():
    encoder = Encoder(DEFAULT_FORMAT)
    encoded = encoder.encode({"a": [(_written("a"),)], "b": File("missing")})
    assert {external.describe() for external in encoded.externals} == {"f.txt", "missing"}
    decoder = Decoder(encoder.objects.__getitem__)
    decoder.decode(encoded.payload)
    assert [external.describe() for external in decoder.externals] == ["f.txt", "missing"]


# -- the memo of contents ---------------------------------------------------------------------------------------------


def test_an_unchanged_file_is_read_once():
    _written("a")
    os.utime("f.txt", (OLD, OLD))
    memo = StatMemo()
    # the change of the inode is younger than what is remembered, so the first reads are not
    assert memo.content("f.txt") == hashlib.sha256(b"a").digest()
    assert memo.content("f.txt") == hashlib.sha256(b"a").digest()


def test_contents_remembered_by_another_process_are_taken_while_the_file_is_as_it_was():
    _written("a")
    found = os.stat("f.txt")
    row = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, b"remembered")
    memo = StatMemo()
    memo.backing = {os.path.abspath("f.txt"): row}.get
    assert memo.content("f.txt") == b"remembered"
    Path("f.txt").write_text("bb")
    assert memo.content("f.txt") == hashlib.sha256(b"bb").digest()


def test_a_file_from_the_future_is_remembered_once_it_was_left_alone():
    _written("a")
    os.utime("f.txt", (2**32, 2**32))
    memo = StatMemo()
    while not memo.fresh:
        assert memo.content("f.txt") == hashlib.sha256(b"a").digest()
        assert time.time_ns() < os.stat("f.txt").st_ctime_ns + 10**10
    Path("f.txt").write_text("b")
    assert memo.content("f.txt") == hashlib.sha256(b"b").digest()


@pytest.mark.parametrize("year", [-300, 300, 410])
def test_a_file_dated_centuries_away_is_a_file_like_others(year: int):
    _written("a")
    then = 1_800_000_000 + year * 31_556_952
    os.utime("f.txt", (then, then))
    for by in ("content", "stat"):
        decoded = _round_trip(File("f.txt", by=by))
        assert decoded.is_valid()
    memo = StatMemo()
    assert memo.content("f.txt") == hashlib.sha256(b"a").digest()
    with Store.memory() as store:
        store.commit(Batch(stats=memo.fresh))


def test_a_file_that_was_just_changed_is_not_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memos, "_SETTLED", 60 * 10**9)  # however long this process is held up in between
    _written("a")
    memo = StatMemo()
    memo.content("f.txt")
    assert memo.fresh == {}


def test_a_file_that_cannot_be_read_is_an_error_of_the_system():
    os.mkdir("folder")
    with pytest.raises(OSError, match="directory"):
        StatMemo().content("folder")


# -- reading and writing ----------------------------------------------------------------------------------------------


def test_text_and_bytes_are_written_and_read():
    file = File("a/b/f.txt")
    file.write("é\nb\n")
    assert file.read() == "é\nb\n"
    assert file.read("rb") == "é\nb\n".encode()
    assert file.readlines() == ["é\n", "b\n"]
    file.write(b"\xff")
    assert file.read("rb") == b"\xff"
    assert os.listdir("a/b") == ["f.txt"]


def test_writing_makes_the_value_stand_for_what_was_written():
    file = _written("a")
    assert file.hash
    file.write("b")
    assert file.hash == hashlib.sha256(b"b").hexdigest()
    with file.open("w") as stream:
        stream.write("c")
    assert file.hash == hashlib.sha256(b"c").hexdigest()


@pytest.mark.parametrize(("mode", "expected"), [("a", "ab"), ("r+", "b"), ("w", "b"), ("w+", "b")])
def test_every_way_of_writing_is_seen(mode: str, expected: str):
    file = _written("a")
    assert file.hash
    with file.open(mode) as stream:
        stream.write("b")
    assert file.hash == hashlib.sha256(expected.encode()).hexdigest()


def test_readers_see_the_old_file_until_the_new_one_is_whole():
    file = _written("old")
    with file.open("w") as stream:
        stream.write("new")
        stream.flush()
        assert Path("f.txt").read_text() == "old"
    assert Path("f.txt").read_text() == "new"


def test_a_file_that_was_written_half_is_never_taken_for_a_good_one():
    file = _written("old")
    with contextlib.suppress(RuntimeError), file.open("w") as stream:
        stream.write("half")
        raise RuntimeError
    assert Path("f.txt").read_text() == "old"
    assert os.listdir(".") == ["f.txt"]


def test_closing_by_hand_gives_the_file_its_name():
    stream = File("f.txt").open("w")
    stream.write("a")
    stream.close()
    stream.close()
    assert Path("f.txt").read_text() == "a"


def test_the_mode_of_a_file_is_kept_and_a_new_one_follows_the_mask():
    file = _written("a")
    os.chmod("f.txt", 0o640)
    file.write("b")
    assert stat.S_IMODE(os.stat("f.txt").st_mode) == 0o640
    old = os.umask(0o027)
    try:
        File("new").write("a")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat("new").st_mode) == 0o640


def test_writing_through_a_link_keeps_the_link():
    _written("a", "target")
    os.symlink("target", "link")
    File("link").write("b")
    assert os.path.islink("link")
    assert Path("target").read_text() == "b"


def test_writing_where_nothing_can_be_written_is_an_error_and_leaves_nothing(tmp_path: Path):
    _written("a", "plain")
    with pytest.raises(OSError, match="plain"):
        File("plain/below").write("b")
    os.mkdir("folder")
    with pytest.raises(OSError, match="folder"):
        File("folder").write("b")
    assert sorted(os.listdir(".")) == ["folder", "plain"]


def test_a_mode_that_means_nothing_is_an_error_and_leaves_nothing():
    with pytest.raises(ValueError, match="mode"):
        File("f.txt").open("wz")
    assert os.listdir(".") == []


def test_threads_that_write_one_file_leave_a_whole_one():
    start = threading.Barrier(4)

    def write(letter: str) -> None:
        start.wait()
        File("f.txt").write(letter * 100_000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(Path("f.txt").read_text())) == 1
    assert os.listdir(".") == ["f.txt"]


def test_touch_makes_an_empty_file_and_remove_takes_it_away():
    file = File("a/f.txt")
    file.touch()
    assert file.read() == ""
    file.write("b")
    file.touch()
    assert file.read() == "b"
    file.remove()
    assert not file.exists()
    assert file.hash == ""
    file.remove()


def test_reading_what_is_not_there_is_pythons_own_error():
    with pytest.raises(FileNotFoundError):
        File("missing").read()
    with pytest.raises(FileNotFoundError):
        File("missing").size()
