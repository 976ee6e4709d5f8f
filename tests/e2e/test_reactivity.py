"""A workflow over files, run again and again with the real command: what runs, what is said, and what is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKFLOW = """
import subprocess
from redun import File, task

@task()
def draft(source: File) -> File:
    File("build/page.html").write("<p>" + source.read().strip())
    return File("build/page.html")

@task()
def close(page: File) -> File:
    subprocess.run("printf '</p>' >> build/page.html", shell=True, check=True)
    return File("build/page.html")

@task()
def size(page: File) -> int:
    return page.size()

@task()
def main(name: str = "page.txt") -> list:
    page = close(draft(File(name)))
    return [page, size(page)]
"""

CLASH = """
from redun import File, task

@task()
def write(text: str) -> File:
    file = File("shared.txt")
    file.write(text)
    return file

@task()
def main() -> list:
    return [write("one"), write("two")]
"""


class Place:
    """A directory with a workflow, in which redun is called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "w.py").write_text(WORKFLOW)
        (folder / "page.txt").write_text("hello\n")

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "redun.cli.app", "run", *options, "w.py", "main"]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done

    def ran(self, *options: str) -> list[str]:
        lines = self.run(*options).stderr.splitlines()
        return sorted(line.partition("::")[2].partition("(")[0] or line for line in map(_job, lines) if line)

    @property
    def page(self) -> Path:
        return self.folder / "build" / "page.html"


def _job(line: str) -> str:
    _, run, rest = line.partition("Run    Job ")
    return "::" + rest.split()[1] if run else ""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_page_that_is_drafted_and_closed_is_left_alone_until_something_changes(place: Place):
    assert place.ran() == ["close", "draft", "main", "size"]
    assert place.page.read_text() == "<p>hello</p>"
    assert place.ran() == []
    os.utime(place.page)
    os.utime(place.folder / "page.txt")
    assert place.ran() == []

    place.page.write_text("spoilt")
    assert place.ran() == ["close", "draft"]
    assert place.page.read_text() == "<p>hello</p>"
    place.page.unlink()
    assert place.ran() == ["close", "draft"]
    assert place.ran() == []

    (place.folder / "page.txt").write_text("world\n")
    assert "draft" in (ran := place.ran())
    assert "close" in ran
    assert place.page.read_text() == "<p>world</p>"
    assert place.ran() == []

    code = place.folder / "w.py"
    code.write_text(code.read_text().replace("return page.size()", "return page.size() + 1"))
    assert "size" in place.ran()
    assert place.page.read_text() == "<p>world</p>"
    assert place.ran() == []


def test_explain_names_the_file_and_who_wrote_it_again(place: Place):
    place.run()
    code = place.folder / "w.py"
    code.write_text(code.read_text().replace("[page, size(page)]", "[size(page), page]"))
    said = place.run("--explain").stderr
    assert "content of build/page.html" in said
    assert "written again by close" in said
    place.page.unlink()
    assert "build/page.html is missing" in place.run("--explain").stderr


def test_two_tasks_that_write_one_path_are_told_of(place: Place):
    (place.folder / "w.py").write_text(CLASH)
    said = place.run().stderr
    assert "Warning: shared.txt was written by " in said
    assert "give each a path of its own" in said
    assert (place.folder / "shared.txt").read_text() in ("one", "two")
