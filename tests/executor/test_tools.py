"""The tasks of `redun.tools`: copies are files as others are, made again when they are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

import redun.tools  # noqa: F401  its tasks are there before any flow is, and stay
from redun.core.errors import TaskError
from redun.core.files.file import File
from tests.executor.flows import Flow

FLOW = """
from redun.core.files.sets import Dir
from redun.tools import copy_dir, copy_file, copy_files
"""


@pytest.fixture(autouse=True)
def made(flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "sub/b.txt"):
        File(f"from/{name}").write(name)
    flow.load(FLOW)


def _jobs(flow: Flow) -> list[str]:
    ran = sorted(event.fullname.removeprefix("redun.") for event in flow.watcher.events if event.verb == "Run")
    flow.watcher.events.clear()
    return ran


def test_a_file_is_copied_and_copied_again_when_the_copy_is_gone_or_the_file_changed(flow: Flow):
    copy = 'copy_file(File("from/a.txt"), "to/")'
    assert flow(copy).path == "to/a.txt"
    assert _jobs(flow) == ["copy_file"]
    flow(copy)
    assert _jobs(flow) == []
    Path("to/a.txt").unlink()
    flow(copy)
    assert _jobs(flow) == ["copy_file"]
    Path("from/a.txt").write_text("new")
    assert flow(copy).read() == "new"


def test_a_file_that_is_there_can_be_left_alone(flow: Flow):
    File("to/a.txt").write("old")
    assert flow('copy_file(File("from/a.txt"), "to/a.txt", skip_if_exists=True)').read() == "old"


def test_many_files_are_copied_in_jobs_of_their_own(flow: Flow):
    text = 'copy_files([File("from/a.txt"), File("from/sub/b.txt")], ["x", "y"], copy_options={"executor": "default"})'
    assert [file.read() for file in flow(text)] == ["a.txt", "sub/b.txt"]
    assert _jobs(flow) == ["copy_file", "copy_file", "copy_files"]
    with pytest.raises(TaskError, match="1 files, and 0 paths"):
        flow('copy_files([File("from/a.txt")], [])')


def test_a_directory_is_copied_to_another_filesystem_and_only_what_changed_again(flow: Flow):
    copy = f'copy_dir(Dir("from"), "memory://tools/{flow.replay}")'
    found = flow(copy)
    assert [file.read() for file in found] == ["a.txt", "sub/b.txt"]
    assert _jobs(flow) == ["copied_dir", "copy_dir", "copy_file", "copy_file", "copy_files"]
    flow(copy)
    assert _jobs(flow) == []
    found.file("sub/b.txt").remove()
    assert [file.read() for file in flow(copy)] == ["a.txt", "sub/b.txt"]
    assert "copy_file" in _jobs(flow)
    Path("from/a.txt").write_text("new")
    assert flow(copy).file("a.txt").read() == "new"
    found.rmdir(recursive=True)
