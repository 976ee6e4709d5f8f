"""How often a run looks at a large set of files, and that no change between two looks is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from redun.core.digest import Digest
from redun.core.errors import StaleInput
from redun.core.files import filesystems
from redun.core.files.filesystems import register_filesystem
from redun.core.files.local import LocalFilesystem
from redun.core.files.sets import FileSet
from redun.core.values import Encoder
from tests.executor.flows import Flow

SCHEME = "counted://"
COUNT = """
from redun.core.files.sets import FileSet

@task()
def count(files):
    ran("count")
    return sum(len(file.read()) for file in files)

@task()
def main():
    ran("main")
    return count(FileSet("counted://*.txt"))
"""
MADE = """
from redun.core.files.sets import FileSet

@task()
def make():
    ran("make")
    for name in "ab":
        File(f"counted://{name}.txt").write(name)
    return FileSet("counted://*.txt")

@task()
def main():
    return make()
"""


class Counted(LocalFilesystem):
    """Files of a directory, under a scheme of their own.

    Attributes:
        looks: how often members of a set were asked for, with their states.
        meanwhile: by number of a look, what happens just before it.
    """

    name = "counted"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.looks = 0
        self.meanwhile: dict[int, Callable[[], object]] = {}

    def _local(self, path: str) -> str:
        return f"{self.root}/{path.removeprefix(SCHEME)}"

    def canonical(self, path: str) -> str:
        return path

    def state(self, path: str, by: str) -> bytes | None:
        return super().state(self._local(path), by)

    def open(self, path: str, mode: str = "r", encoding: str | None = None):
        return super().open(self._local(path), mode, encoding)

    def find(self, base: str, pattern: str, hidden: bool) -> list[str]:
        return super().find(self._local(base), pattern, hidden)

    def members(
        self, base: str, pattern: str, hidden: bool, by: str, expected: Mapping[str, bytes] | None = None
    ) -> dict[str, bytes]:
        self.looks += 1
        self.meanwhile.pop(self.looks, lambda: None)()
        return super().members(self._local(base), pattern, hidden, by, expected)

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    """Three files; the scheme is forgotten afterwards."""
    monkeypatch.setattr(filesystems, "_factories", dict(filesystems._factories))
    monkeypatch.setattr(filesystems, "_made", dict(filesystems._made))
    made = Counted(tmp_path / "counted")
    made.root.mkdir()
    for name in "abc":
        made.write(f"{name}.txt", name)
    register_filesystem("counted", lambda scheme: made)
    yield made
    assert not made.meanwhile


def _stale(flow: Flow) -> list[tuple[Digest, Digest | None]]:
    """What of earlier results did not hold in the latest run, and what there was instead."""
    _, execution = next(flow.store.executions())
    return [found for page in flow.store.job_pages(execution.pages) for row in page.rows for found in row.stale]


def _looks(flow: Flow, counted: Counted) -> int:
    counted.looks = 0
    flow()
    return counted.looks


def test_an_edit_of_a_member_is_looked_at_once_before_the_set_is_named_again(flow: Flow, counted: Counted):
    flow.load(COUNT)
    assert _looks(flow, counted) == 3  # as it is named, before the body and after it
    counted.write("b.txt", "edited")
    assert _looks(flow, counted) == 1 + 3
    assert flow.ran == ["count", "main"]
    flow()
    assert flow.ran == []


def test_a_file_more_or_less_is_looked_at_once_more_as_the_number_alone_says_that_it_is_another_set(
    flow: Flow, counted: Counted
):
    flow.load(COUNT)
    flow()
    counted.write("d.txt", "new")
    assert _looks(flow, counted) == 2 + 3
    (counted.root / "a.txt").unlink()
    assert _looks(flow, counted) == 2 + 3
    assert flow() == 5


def test_where_nothing_changed_a_set_is_looked_at_each_time(flow: Flow, counted: Counted):
    flow.load(COUNT)
    flow()
    # a whole replay needs one look; else one says that the step holds, one that its argument is as it was named
    assert _looks(flow, counted) == (1 if flow.replay == "whole" else 2)


def test_the_history_names_the_set_as_it_was_found(flow: Flow, counted: Counted):
    flow.load(COUNT)
    flow()
    encoder = Encoder(flow.store.format)
    for name, text in (("b.txt", "edited"), ("d.txt", "new")):
        before = encoder.value(FileSet("counted://*.txt"))
        counted.write(name, text)
        flow()
        assert _stale(flow) == [(before, encoder.value(FileSet("counted://*.txt")))]


def test_a_set_that_changed_and_changed_back_while_it_was_asked_for_runs_the_body(flow: Flow, counted: Counted):
    flow.load(COUNT)
    flow()
    counted.write("b.txt", "edited")
    counted.meanwhile = {2: lambda: counted.write("b.txt", "b")}
    counted.looks = 0
    assert flow() == 3
    assert flow.ran == ["main"]
    flow()
    assert flow.ran == []


def test_a_set_that_changes_after_it_was_found_to_hold_is_looked_at_again(flow: Flow, counted: Counted):
    flow.load(MADE)
    flow()
    counted.meanwhile = {2 if flow.replay == "whole" else 1: lambda: counted.write("b.txt", "edited")}
    counted.looks = 0
    flow()
    assert flow.ran == ["make"]
    assert (counted.root / "b.txt").read_text() == "b"


def test_a_set_that_changes_between_its_naming_and_its_job_is_refused(flow: Flow, counted: Counted):
    flow.load(COUNT)
    flow()
    counted.write("b.txt", "edited")
    counted.looks = 0
    counted.meanwhile = {3: lambda: counted.write("c.txt", "edited too")}
    assert isinstance(flow.execute().error, StaleInput)
    assert flow() == len("a" + "edited" + "edited too")


def test_a_set_that_changes_while_the_body_runs_is_told_and_not_remembered(flow: Flow, counted: Counted):
    flow.load(COUNT)
    flow()
    counted.write("b.txt", "edited")
    counted.looks = 0
    counted.meanwhile = {4: lambda: counted.write("c.txt", "edited too")}
    flow()
    assert any("changed while" in warning for warning in flow.watcher.warnings)
    assert flow() == len("a" + "edited" + "edited too")
    assert "count" in flow.ran
