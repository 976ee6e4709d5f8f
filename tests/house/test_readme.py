"""README and its neighbours say what is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from redun.cli.exits import EXIT_CODES
from tests.house.source_tree import FOLDERS, ROOT
from tests.house.tour import BLOCK, masked, play

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SHORTCOMINGS.md")]
PAGES += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]


@pytest.mark.parametrize("name", ["main", "tests"])
def test_each_of_the_two_commands_is_one_line_that_ci_runs(name: str):
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "readme_command", name], capture_output=True, text=True, check=True
    )
    command = done.stdout.strip()
    assert command in README
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install")
    assert command.endswith("# bare Debian: first apt install python3-venv")
    assert f"readme {name}" in (ROOT / ".ci" / "run").read_text()


def test_a_command_that_readme_does_not_have_is_an_error():
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "readme_command", "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "nothing" in done.stderr


def test_the_table_of_exit_codes_is_the_one_of_the_command_line():
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", README, re.MULTILINE)
    assert rows == [(str(code), meaning) for code, meaning in EXIT_CODES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_decision_is_in_the_list():
    pages = {path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}
    listed = re.findall(r"\]\(([0-9][^)]*\.md)\)", (ROOT / "docs" / "decisions" / "README.md").read_text())
    assert sorted(listed) == sorted(pages)
    assert sorted(pages) == [page for page in sorted(pages) if re.match(r"\d{4}-", page)]


def test_every_folder_is_explained():
    for folder in FOLDERS:
        assert re.search(rf"^    {folder}/ ", README, re.MULTILINE), folder


def test_the_licence_is_apache_2_in_full():
    licence = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def test_the_library_example_runs_as_it_stands(tmp_path: Path):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "example.py").write_text(code + '\nassert redun.run(main(3)) == [0, 2, 4], "README"\n')
    subprocess.run([sys.executable, "example.py"], cwd=tmp_path, check=True, env={}, capture_output=True)
    assert (tmp_path / ".redun" / "store").is_dir()


def test_the_tour_prints_what_readme_says(tmp_path: Path):
    told = BLOCK.findall(README)
    assert len(told) >= 6
    place = tmp_path / "hello_world"
    for (command, output), (_, printed) in zip(told, play(told, place), strict=True):
        assert masked(printed, str(place)) == masked(output, "/tmp/hello_world"), command


def test_the_program_of_the_tour_is_the_example():
    (program,) = re.findall(r"```py\n(.*?)```", README, re.DOTALL)
    assert program in (ROOT / "examples" / "hello_world" / "hello_world.py").read_text()
