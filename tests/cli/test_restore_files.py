"""Files whose bytes are kept, and `redun restore`, which brings them back."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redun import File
from redun.cli import exits
from redun.store import Store
from tests.cli.test_tags import Shell
from tests.executor.flows import MODULE, forget

FLOW = f"{MODULE}.py"
LARGE = 3 << 20
WORKFLOW = """
import os
from redun import Dir, File, Secret, script, task

@task(archive=True)
def write(path: str, text: str) -> File:
    made = File(path)
    made.write(text)
    return made

@task(archive=True)
def several(executor: str = "threads") -> dict:
    large, tool = File("out/large"), File("out/tool")
    large.write(b"l" * (3 << 20))
    tool.write("#!/bin/sh")
    os.chmod(tool.path, 0o755)
    return {"large": large, "tools": [tool], "missing": File("out/missing")}

@task(archive=True, executor="process")
def far() -> dict:
    large = File("out/far")
    large.write(b"f" * (3 << 20))
    return {"large": large, "small": write.func("out/small", "small")}

@task(archive=True)
def split(parts: int) -> Dir:
    made = Dir("out/parts")
    for part in range(parts):
        made.file(f"{part % 10}/{part}.txt").write(f"part {part}")
    return made

@task(archive=True, executor="process")
def heavy(parts: int) -> Dir:
    made = Dir("out/heavy")
    for part in range(parts):
        made.file(f"{part}").write(bytes([part]) * (1 << 20))
    return made

@task()
def plain(path: str) -> File:
    made = File(path)
    made.write("plain")
    return made

@task()
def asked(path: str) -> File:
    return plain.func(path).archive()

@task()
def read(file: File) -> str:
    return file.read()

@task()
def twice(text: str) -> list:
    return [read(write("out/a.txt", text)), plain("out/b.txt")]

@task(archive=True)
def told() -> Secret:
    return Secret(write.func("out/secret", "nobody is to know"))

@task(archive=True)
async def later(path: str) -> File:
    return plain.func(path)

@task()
def ways() -> list:
    chosen = [plain.options(archive=True)("a"), plain.options(archive=True, executor="process")("b")]
    return [*chosen, later("c"), script("printf plain > d", outputs=File("d"), archive=True), elsewhere()]

@task(archive=True)
def elsewhere() -> File:
    made = File("memory://kept/e")
    made.write("plain")
    return made

@task(archive="restore")
def back(path: str, times: str) -> File:
    made = File(path)
    made.write("back")
    with open(times, "a") as out:
        out.write("x")
    return made

@task(archive="restore")
def back_dir(times: str, parts: int = 3) -> Dir:
    made = Dir("out/back")
    for part in range(parts):
        made.file(f"{part}.txt").write(f"part {part}")
    with open(times, "a") as out:
        out.write("x")
    return made

@task()
def use(path: str, times: str) -> list:
    return [read(back(path, times)), back_dir(times)]
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / FLOW).write_text(WORKFLOW)
    yield Shell(capsys)
    forget()


def run(shell: Shell, *words: str) -> None:
    shell("-q", "run", FLOW, *words)


def text_of(path: str) -> str:
    return Path(path).read_text()


def test_a_file_comes_back_as_it_was(shell: Shell) -> None:
    run(shell, "write", "--path", "out/a.txt", "--text", "one")
    os.remove("out/a.txt")
    assert shell("restore", "out/a.txt").startswith("Restored out/a.txt, state 7692c3ad, 3 B")
    assert text_of("out/a.txt") == "one"
    assert shell("restore", "./out/../out/a.txt").startswith("Unchanged out/a.txt")
    found: Any = shell.json("restore", "out/a.txt", "-o", "copy.txt")
    assert [(one["path"], one["written"], one["size"]) for one in found] == [("out/a.txt", "copy.txt", 3)]
    assert text_of("copy.txt") == "one"


@pytest.mark.parametrize("task", ["several", "far"])
def test_large_files_links_between_values_and_modes_are_kept_whoever_ran_the_body(shell: Shell, task: str) -> None:
    run(shell, task)
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    shutil.rmtree("out")
    shell("restore", "out")
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before
    assert len(before) == 2
    if task == "several":
        assert stat.S_IMODE(os.stat("out/tool").st_mode) & 0o111
        assert not stat.S_IMODE(os.stat("out/large").st_mode) & 0o111
    shell("fsck", "--level", "4")


def test_what_is_kept_of_a_value_is_shown_with_it(shell: Shell) -> None:
    run(shell, "split", "--parts", "12")
    jobs: Any = shell.json("log", "--jobs", "--task", "split")
    shown = shell("show", jobs[0]["result"])
    assert "Holds 12 files:\n  out/parts/0/0.txt 36b6f020, kept as " in shown
    assert "  ... 4 more\n" in shown
    document: Any = shell.json("show", jobs[0]["result"])
    assert "part 0" in shell("cat-object", document["files"][0]["archive"])


def test_what_is_kept_of_many_files_does_not_pile_up_in_memory(shell: Shell) -> None:
    run(shell, "heavy", "--parts", "40")
    files = [path for path in Path(".redun/store/blobs").rglob("*") if path.is_file()]
    assert 0 < len(files) < 40
    shutil.rmtree("out")
    shell("restore", "out/heavy")
    assert all(Path(f"out/heavy/{part}").read_bytes() == bytes([part]) * (1 << 20) for part in range(40))
    shell("fsck", "--level", "4")


def test_equal_bytes_are_kept_once(shell: Shell) -> None:
    for path in ("a", "b", "c/d"):
        run(shell, "write", "--path", path, "--text", "the same")
    found: Any = shell.json("log", "--file")
    assert len(found) == 3
    assert len({file["archive"] for file in found}) == 1
    assert "archived as" in shell("log", "./a")
    assert "the same" in shell("cat-object", found[0]["archive"])


@pytest.mark.parametrize("number", [3, 5000])
def test_directories_come_back_file_by_file_also_where_they_are_written_in_parts(shell: Shell, number: int) -> None:
    run(shell, "split", "--parts", str(number))
    shutil.rmtree("out/parts/1")
    Path("out/parts/2/2.txt").write_text("edited")
    refused = shell("restore", "out/parts", code=exits.FAILED)
    assert "out/parts/2/2.txt: there with another content" in refused
    assert not Path("out/parts/1").exists()
    shell("restore", "out/parts", "--force")
    for part in (0, 1, 2):
        assert text_of(f"out/parts/{part}/{part}.txt") == f"part {part}"
    assert sum(len(files) for _, _, files in os.walk("out/parts")) == number
    os.remove("out/parts/1/1.txt")
    shell("restore", "out/*/1.txt")
    assert text_of("out/parts/1/1.txt") == "part 1"


@pytest.mark.parametrize("number", [1, 3])
def test_a_directory_comes_back_elsewhere_and_its_own_place_is_left_alone(shell: Shell, number: int) -> None:
    run(shell, "split", "--parts", str(number))
    Path("out/parts/0/0.txt").write_text("edited")
    shell("restore", "out/parts", "-o", "old/parts/")
    assert [text_of(f"old/parts/{part}/{part}.txt") for part in range(number)] == [f"part {p}" for p in range(number)]
    assert text_of("out/parts/0/0.txt") == "edited"
    assert "the pattern means" in shell("restore", "out/parts/*/*", "-o", "other", code=exits.USAGE)
    assert not Path("other").exists()


def test_a_file_that_has_changed_is_only_written_over_by_force(shell: Shell) -> None:
    run(shell, "write", "--path", "a.txt", "--text", "one")
    Path("a.txt").write_text("mine")
    assert "a.txt: there with another content" in shell("restore", "./a.txt", code=exits.FAILED)
    assert text_of("a.txt") == "mine"
    shell("restore", "./a.txt", "--force")
    assert text_of("a.txt") == "one"


def test_any_state_can_be_had_by_its_hash_or_by_an_execution(shell: Shell) -> None:
    for text in ("one", "two", "three"):
        run(shell, "write", "--path", "a.txt", "--text", text)
    shell("restore", "./a.txt", "--from", "~1", "-o", "b.txt")
    assert text_of("b.txt") == "two"
    shell("restore", "./a.txt", "--state", "7692c3ad", "-o", "c.txt")
    assert text_of("c.txt") == "one"
    shell("restore", "./a.txt", "-o", "d.txt")
    assert text_of("d.txt") == "three"
    assert "is no state of a.txt" in shell("restore", "./a.txt", "--state", "77", code=exits.MISSING)
    run(shell, "plain", "--path", "x")
    assert "did not take or give a.txt" in shell("restore", "./a.txt", "--from", "-", code=exits.MISSING)


def test_only_what_was_asked_for_is_kept(shell: Shell) -> None:
    run(shell, "twice", "--text", "one")
    found: Any = shell.json("log", "--file")
    assert {file["path"]: file["archive"] is not None for file in found} == {"out/a.txt": True, "out/b.txt": False}
    assert "the bytes of out/b.txt are not kept" in shell("restore", "out/b.txt", code=exits.MISSING)
    run(shell, "asked", "--path", "out/c.txt")
    os.remove("out/c.txt")
    shell("restore", "out/c.txt")
    assert text_of("out/c.txt") == "plain"


def test_bytes_are_kept_however_a_body_runs_and_wherever_its_files_are(shell: Shell) -> None:
    run(shell, "ways")
    found: Any = shell.json("log", "--file")
    assert [file["path"] for file in found] == ["a", "b", "c", "d", "memory://kept/e"]
    assert len({file["archive"] for file in found}) == 1
    assert found[0]["archive"] is not None
    File("memory://kept/e").remove()
    shell("restore", "memory://kept/e")
    assert File("memory://kept/e").read() == "plain"


def test_whether_bytes_are_kept_is_no_part_of_a_key(shell: Shell) -> None:
    run(shell, "twice", "--text", "one")
    flow = Path(FLOW)
    flow.write_text(flow.read_text().replace("@task(archive=True)\ndef write", "@task()\ndef write"))
    forget()
    run(shell, "twice", "--text", "one")
    jobs: Any = shell.json("log", "-")
    assert {job["status"] for job in jobs["jobs"]} == {"CACHED"} or jobs["jobs"] == []


def test_a_deleted_output_is_made_again_by_its_task_where_nothing_else_is_said(shell: Shell) -> None:
    run(shell, "twice", "--text", "one")
    os.remove("out/a.txt")
    run(shell, "twice", "--text", "one")
    assert text_of("out/a.txt") == "one"
    jobs: Any = shell.json("log", "-")
    assert {job["task"]: job["how"] for job in jobs["jobs"]}["write"] == "ran"


def test_a_task_may_have_its_outputs_brought_back_instead_of_running(shell: Shell) -> None:
    words = ("use", "--path", "out/back.txt", "--times", "times")
    run(shell, *words)
    assert text_of("times") == "xx"
    os.remove("out/back.txt")
    Path("out/back/1.txt").write_text("edited")
    os.remove("out/back/2.txt")
    run(shell, *words)
    assert text_of("times") == "xx"
    assert text_of("out/back.txt") == "back"
    assert [text_of(f"out/back/{part}.txt") for part in range(3)] == ["part 0", "part 1", "part 2"]
    Path("out/back/more.txt").write_text("is no output")
    run(shell, *words)
    assert text_of("times") == "xxx"


def test_a_directory_that_is_written_in_parts_is_brought_back_too(shell: Shell) -> None:
    words = ("back_dir", "--times", "times", "--parts", "3000")
    run(shell, *words)
    shutil.rmtree("out/back")
    run(shell, *words)
    assert text_of("times") == "x"
    assert text_of("out/back/2999.txt") == "part 2999"


def test_what_is_concealed_is_not_kept(shell: Shell) -> None:
    run(shell, "told")
    assert text_of("out/secret") == "nobody is to know"
    with Store.open(".redun/store") as store:
        objects = list(store.walk(list(store.refs().values())))
    assert "blob" not in {kind for _, kind, _ in objects}
    assert not [payload for _, kind, payload in objects if b"nobody is to know" in payload and kind == "value"]


def test_a_dry_run_brings_nothing_back(shell: Shell) -> None:
    words = ("back", "--path", "out/back.txt", "--times", "times")
    run(shell, *words)
    os.remove("out/back.txt")
    shell("run", "--dryrun", FLOW, *words, code=exits.FAILED)
    assert not Path("out/back.txt").exists()


def test_an_option_that_means_nothing_is_told_with_those_that_do(shell: Shell) -> None:
    flow = Path(FLOW)
    flow.write_text(flow.read_text().replace('archive="restore"', 'archive="often"'))
    assert 'archive is True, False or "restore"' in shell("run", FLOW, "plain", code=exits.FAILED)


def test_what_is_kept_goes_with_what_points_to_it(shell: Any) -> None:
    run(shell, "several")
    run(shell, "several", "--executor", "other")
    shell("gc")
    assert _blobs() == [9, LARGE]
    kept = [file["archive"] for file in shell.json("log", "--file")]
    run(shell, "plain", "--path", "a.txt")
    shell("prune", "--keep-last", "1")
    shell("gc", "--compact")
    for blob in filter(None, kept):
        shell("cat-object", blob, code=exits.MISSING)
    assert not [path for path in Path(".redun/store/blobs").rglob("*") if path.is_file()]


def _blobs() -> list[int]:
    with Store.open(".redun/store") as store:
        return sorted(len(payload) for _, kind, payload in store.walk(list(store.refs().values())) if kind == "blob")


def test_kept_bytes_go_along_with_a_backup(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    run(shell, "several")
    shell("backup", "whole.redun")
    shell("restore", "whole.redun", "--at", "elsewhere")
    monkeypatch.chdir("elsewhere")
    shell("restore", "out/large")
    assert Path("out/large").read_bytes() == b"l" * LARGE


def test_bytes_that_were_damaged_are_never_written(shell: Shell) -> None:
    run(shell, "several")
    os.remove("out/large")
    [blob] = [path for path in Path(".redun/store/blobs").rglob("*") if path.is_file()]
    os.chmod(blob, 0o644)
    with blob.open("r+b") as file:
        file.seek(1000)
        file.write(b"?")
    assert "do not fit its id" in shell("restore", "out/large", code=exits.DAMAGED)
    assert not Path("out/large").exists()


def test_what_names_nothing_is_told_so(shell: Shell) -> None:
    run(shell, "plain", "--path", "a.txt")
    assert "no execution took or gave such a file" in shell("restore", "nothing", code=exits.MISSING)
    assert "is no execution" in shell("restore", "./a.txt", "--from", "plain", code=exits.USAGE)
    assert "the bytes of a.* are not kept" in shell("restore", "a.*", code=exits.MISSING)
    assert "-o names one place" in shell("restore", "./a.txt", "b.txt", "-o", "x", code=exits.USAGE)
