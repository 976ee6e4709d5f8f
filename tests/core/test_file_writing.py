"""Writing files: a half-written one never has the name, whatever happens to who writes it."""

from __future__ import annotations

import contextlib
import csv
import gc
import gzip
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotEncode, TaskError
from redun.core.files.atomic import PART_END, AtomicWriter
from redun.core.files.file import File
from redun.core.files.memo import STATS
from redun.core.files.sets import Dir
from redun.core.values import Encoder

#: Makes a disk of one MiB that only this process and its children see, and becomes the rest of the command line.
_ON_A_SMALL_DISK = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && cd "$0" && exec "$@"']


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    STATS.fresh.clear()


class _WithParts(AtomicWriter):
    """As on a filesystem that knows no files without names."""

    def _open_nameless(self) -> int:
        return self._open_part()


@pytest.fixture(params=[AtomicWriter, _WithParts])
def writer(request: pytest.FixtureRequest) -> type[AtomicWriter]:
    return request.param


# -- the target -------------------------------------------------------------------------------------------------------


def test_the_target_is_as_it_was_until_the_stream_is_closed(writer: type[AtomicWriter]):
    Path("f").write_text("old")
    with writer("f", "w", "utf-8") as stream:
        stream.write("new")
        stream.flush()
        assert Path("f").read_text() == "old"
    assert Path("f").read_text() == "new"
    assert os.listdir(".") == ["f"]


def test_a_new_file_appears_when_the_stream_is_closed(writer: type[AtomicWriter]):
    with writer("f", "wb", None) as stream:
        stream.write(b"new")
        assert not os.path.exists("f")
    assert Path("f").read_text() == "new"
    assert os.listdir(".") == ["f"]


def test_an_error_in_the_block_leaves_what_was_there(writer: type[AtomicWriter]):
    Path("f").write_text("old")
    with contextlib.suppress(RuntimeError), writer("f", "w", "utf-8") as stream:
        stream.write("half")
        raise RuntimeError
    assert Path("f").read_text() == "old"
    assert os.listdir(".") == ["f"]


def test_a_part_that_a_killed_writer_left_is_taken_over_by_the_next():
    Path(f".f{PART_END}").write_text("half of what was meant, and longer")
    with _WithParts("f", "w", "utf-8") as stream:
        stream.write("new")
    assert Path("f").read_text() == "new"
    assert os.listdir(".") == ["f"]


def test_a_name_that_a_killed_writer_left_is_in_nobodys_way():
    Path("f").write_text("old")
    Path(f".f{PART_END}").write_text("left, or another writer's")
    File("f").write("new")
    assert Path("f").read_text() == "new"
    assert sorted(os.listdir(".")) == [f".f{PART_END}", "f"]  # it is too young to be known as left


def test_parts_of_two_writers_do_not_meet(writer: type[AtomicWriter]):
    one, two = writer("f", "w", "utf-8"), writer("f", "w", "utf-8")
    one.write("one")
    two.write("two")
    two.close()
    assert Path("f").read_text() == "two"
    one.close()
    assert Path("f").read_text() == "one"
    assert os.listdir(".") == ["f"]


def test_parts_are_no_members_of_a_directory():
    Path("a").write_text("a")
    with _WithParts("b", "w", "utf-8"):
        assert os.listdir(".").count(f".b{PART_END}") == 1
        assert [file.path for file in Dir(".", hidden=True)] == ["a"]


def test_a_file_is_made_anew_only_where_there_is_none(writer: type[AtomicWriter]):
    with writer("f", "x", "utf-8") as stream:
        stream.write("first")
    with pytest.raises(FileExistsError, match="'f'"):
        writer("f", "x", "utf-8")
    late = writer("g", "x", "utf-8")
    Path("g").write_text("another came first")
    with pytest.raises(FileExistsError, match="g"):
        late.close()
    assert Path("g").read_text() == "another came first"
    assert sorted(os.listdir(".")) == ["f", "g"]


def test_permissions_of_a_file_that_is_replaced_are_kept(writer: type[AtomicWriter]):
    Path("f").write_text("old")
    os.chmod("f", 0o604)
    with writer("f", "w", "utf-8") as stream:
        stream.write("new")
    assert stat.S_IMODE(os.stat("f").st_mode) == 0o604


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_of_a_file_that_is_replaced_is_kept(writer: type[AtomicWriter]):
    Path("f").write_text("old")
    os.chown("f", 1234, 4321)
    with writer("f", "w", "utf-8") as stream:
        stream.write("new")
    assert (os.stat("f").st_uid, os.stat("f").st_gid) == (1234, 4321)


def test_a_name_as_long_as_names_can_be_is_written(writer: type[AtomicWriter]):
    for name in ("x" * 255, "é" * 127):
        with writer(name, "w", "utf-8") as stream:
            stream.write("a")
        assert Path(name).read_text() == "a"
    with pytest.raises(OSError, match="too long"):
        File("x" * 256).write("a")


def test_a_stream_knows_the_path_that_it_is_for():
    with File("f").open("w") as stream:
        assert stream.name == os.path.abspath("f")


# -- who writes -------------------------------------------------------------------------------------------------------


def test_a_process_that_is_killed_while_it_writes_leaves_what_was_there(tmp_path: Path):
    Path("f").write_text("old")
    program = (
        "import sys; from redun.file import File\n"
        "for path in ('f', 'new'):\n"
        "    stream = File(path).open('w'); stream.write('half' * 100_000); stream.flush(); globals()[path] = stream\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert Path("f").read_text() == "old"
    assert [file.path for file in Dir(".", hidden=True)] == ["f"]
    File("new").write("whole")
    assert sorted(os.listdir(".")) == ["f", "new"]


def test_a_stream_that_is_dropped_unclosed_writes_nothing_and_says_so():
    Path("f").write_text("old")
    file = File("f")
    stream = file.open("w")
    stream.write("half")
    with pytest.warns(RuntimeWarning, match="f was opened for writing and never closed, so nothing was written"):
        del stream
    assert Path("f").read_text() == "old"
    assert os.listdir(".") == ["f"]


def test_a_file_whose_stream_was_dropped_is_no_result():
    file = File("f")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.open("w").write("half")
        gc.collect()
    with pytest.raises(TaskError, match="f was opened for writing and never closed") as caught:
        file.hash  # noqa: B018  asking is what fails
    assert caught.value.hint is not None
    assert not file.is_valid()
    with pytest.raises((TaskError, CannotEncode), match="never closed"):
        Encoder(DEFAULT_FORMAT).encode([file])
    file.write("whole")
    assert file.is_valid()


@pytest.mark.parametrize("mode", ["a", "r+"])
def test_what_is_written_in_place_is_there_at_once_and_also_when_the_block_fails(mode: str):
    Path("f").write_text("old")
    file = File("f")
    assert file.hash
    with contextlib.suppress(RuntimeError), file.open(mode) as stream:
        stream.write("new")
        raise RuntimeError
    assert Path("f").read_text() == {"a": "oldnew", "r+": "new"}[mode]
    assert file.is_valid()
    assert file.hash == File("f").hash
    file.open(mode).write("more")  # closed by Python, as it always was
    gc.collect()
    assert "more" in Path("f").read_text()


def test_what_a_file_stands_for_is_what_is_there_when_the_stream_is_closed():
    for mode in ("w", "a"):
        file = File("f")
        with file.open(mode) as stream:
            stream.write("1")
            stream.flush()
            assert file.state() == File("f").state()
            stream.write("2")
        assert file.hash == File("f").hash


def test_writers_in_many_threads_and_processes_leave_a_whole_file(tmp_path: Path):
    program = "import sys; from redun.file import File\nfor _ in range(30): File('f').write(sys.argv[1] * 50_000)"
    children = [subprocess.Popen([sys.executable, "-c", program, letter], cwd=tmp_path) for letter in "ab"]
    threads = [
        threading.Thread(target=lambda letter=letter: [File("f").write(letter * 50_000) for _ in range(30)])
        for letter in "cd"
    ]
    for thread in threads:
        thread.start()
    seen = set()
    while any(child.poll() is None for child in children):
        with contextlib.suppress(FileNotFoundError):
            seen.add(Path("f").read_text())
    for thread in threads:
        thread.join()
    assert [child.returncode for child in children] == [0, 0]
    assert all(len(text) == 50_000 and len(set(text)) == 1 for text in seen)
    assert os.listdir(".") == ["f"]


def test_other_libraries_write_to_the_stream():
    with File("rows.csv").open("w") as stream:
        csv.writer(stream).writerows([["a", 1], ["b", 2]])
    with File("data.json").open("w") as stream:
        json.dump({"a": 1}, stream)
        print("end", file=stream)
    with File("data.gz").open("wb") as stream, gzip.GzipFile(fileobj=stream, mode="wb") as packed:
        packed.write(b"text")
    with File("data.zip").open("wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "text")
    assert File("rows.csv").readlines() == ["a,1\n", "b,2\n"]
    assert File("data.json").read() == '{"a": 1}end\n'
    assert gzip.decompress(File("data.gz").read("rb")) == b"text"
    with File("data.zip").open("rb") as stream, zipfile.ZipFile(stream) as archive:
        assert archive.read("a") == b"text"


# -- a disk that is full ----------------------------------------------------------------------------------------------

_FILLS = """
import os
from redun.file import File
File("f").write("old")
for path in ("f", "new"):
    try:
        with File(path).open("wb") as stream:
            for _ in range(3):
                stream.write(b"x" * 1_000_000)
    except OSError as error:
        print(type(error).__name__, os.path.basename(error.filename), error.strerror)
try:
    File("small").write("x" * 1_100_000)
except OSError as error:
    print(type(error).__name__, os.path.basename(error.filename), error.strerror)
print(sorted(os.listdir(".")), File("f").read())
"""


def test_a_disk_that_is_full_is_an_error_that_names_the_file_and_leaves_what_was_there(tmp_path: Path):
    (tmp_path / "disk").mkdir()
    words = [*_ON_A_SMALL_DISK, str(tmp_path / "disk")]
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    found = subprocess.run([*words, sys.executable, "-c", _FILLS], check=True, capture_output=True, text=True)
    assert found.stdout.splitlines() == [
        "OSError f No space left on device",
        "OSError new No space left on device",
        "OSError small No space left on device",
        "['f'] old",
    ]
