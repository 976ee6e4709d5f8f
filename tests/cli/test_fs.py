"""`redun fs cp`: files from anywhere to anywhere, whole directories, and through pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from redun.cli.app import main
from redun.core.files.file import File
from redun.core.files.sets import Dir

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _piped(*words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "redun.cli.app", "fs", "cp", *words]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)


def test_a_file_is_copied_and_told_of(capsys: Capture):
    Path("a.txt").write_text("one")
    Path("a.txt").chmod(0o755)
    assert main(["fs", "cp", "a.txt", "sub/b.txt"]) == 0
    assert capsys.readouterr().out == "sub/b.txt: 1 file copied\n"
    assert Path("sub/b.txt").read_text() == "one"
    assert os.stat("sub/b.txt").st_mode & 0o777 == 0o755


def test_a_directory_is_where_the_copy_goes(capsys: Capture):
    Path("a.txt").write_text("one")
    Path("there").mkdir()
    assert main(["fs", "cp", "a.txt", "there"]) == 0
    assert main(["fs", "cp", "a.txt", "new/"]) == 0
    assert Path("there/a.txt").read_text() == Path("new/a.txt").read_text() == "one"


def test_all_files_of_a_directory_are_copied(capsys: Capture):
    for name in ("a.txt", "sub/b.txt", ".hidden"):
        File(f"from/{name}").write(name)
    assert main(["fs", "cp", "--recursive", "from", "memory://fs/to"]) == 0
    assert capsys.readouterr().out == "memory://fs/to: 2 files copied\n"
    assert main(["fs", "cp", "-r", "memory://fs/to", "back"]) == 0
    assert sorted(str(path) for path in Path("back").rglob("*.txt")) == ["back/a.txt", "back/sub/b.txt"]
    assert main(["fs", "cp", "-r", "--hidden", "from", "all"]) == 0
    assert Path("all/.hidden").read_text() == ".hidden"
    Dir("memory://fs").rmdir(recursive=True)


def test_what_is_there_can_be_left_alone(capsys: Capture):
    File("from/a.txt").write("new")
    File("from/b.txt").write("new")
    File("to/a.txt").write("old")
    assert main(["fs", "cp", "-r", "--skip-if-exists", "--json", "from", "to"]) == 0
    assert json.loads(capsys.readouterr().out) == {"source": "from", "target": "to", "copied": 1, "skipped": 1}
    assert (Path("to/a.txt").read_text(), Path("to/b.txt").read_text()) == ("old", "new")
    assert main(["-q", "fs", "cp", "from/a.txt", "to/a.txt"]) == 0
    assert capsys.readouterr().out == ""
    assert Path("to/a.txt").read_text() == "new"


def test_standard_input_and_output_are_files():
    data = bytes(range(256)) * 10_000
    done = _piped("-", "sub/a.bin", data=data)
    assert (done.returncode, done.stdout) == (0, b"sub/a.bin: 1 file copied\n")
    assert Path("sub/a.bin").read_bytes() == data
    assert _piped("sub/a.bin", "-").stdout == data


def test_an_empty_directory_is_copied(capsys: Capture):
    Path("from").mkdir()
    assert main(["fs", "cp", "-r", "from", "to"]) == 0
    assert Path("to").is_dir()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-", "-"], "nothing to copy"),
        (["-", "there/"], "no name"),
        (["-r", "-", "there"], "a directory, which - is not"),
        (["--hidden", "a", "b"], "without --recursive"),
        (["--json", "a", "-"], "standard output"),
    ],
)
def test_words_that_make_no_sense_are_usage_errors(words: list[str], told: str, capsys: Capture):
    assert main(["fs", "cp", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["none.txt", "a.txt"], 3, "none.txt"),
        (["-r", "none", "a"], 3, "none"),
        (["from", "a.txt"], 2, "from is a directory; --recursive"),
        (["-r", "from/a.txt", "b"], 2, "from/a.txt is no directory"),
        (["-r", "from", "from/sub"], 2, "lies in"),
        (["foo://a", "b"], 2, "no filesystem for foo://"),
        (["http://127.0.0.1:1/a", "b"], 8, "cannot open http://127.0.0.1:1/a"),
        (["from/a.txt", "http://127.0.0.1:1/a"], 7, "not written"),
        (["https://ada:sesame@example.org/a", "b"], 2, "a password stands in the URL"),
    ],
)
def test_what_cannot_be_copied_is_named_in_one_line(words: list[str], code: int, told: str, capsys: Capture):
    File("from/a.txt").write("one")
    assert main(["fs", "cp", *words]) == code
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert "sesame" not in error


def test_what_is_not_there_is_not_found(capsys: Capture):
    assert main(["fs", "cp", "none.txt", "a.txt"]) == 3
    assert main(["fs", "cp", "-r", "memory://fs/none", "a"]) == 3
    assert main(["fs", "cp", "memory://fs/none", "-"]) == 3


def test_a_copy_that_is_cut_short_leaves_what_was_there():
    File("a.txt").write("old")
    command = [sys.executable, "-m", "redun.cli.app", "fs", "cp", "-", "a.txt"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"new" * 1_000_000)
        process.stdin.flush()
        process.kill()
        process.wait()
    assert Path("a.txt").read_text() == "old"
    assert os.listdir() == ["a.txt"]
