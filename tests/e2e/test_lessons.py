"""The lessons of the examples print what their READMEs say, with the real tools."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.lessons import lessons, play, settled, steps, told

#: Lesson -> the programs that it needs beside redun and a shell.
TOOLS: Final = {
    "compile": ["gcc"],
    "digits": [],
    "etl": ["sqlite3"],
    "scraping": [],
    "scripts": [],
    "word_count": [],
    "genome": ["bwa", "samtools", "bcftools"],
}


@pytest.mark.parametrize("name", lessons())
def test_a_lesson_prints_what_its_readme_says(name: str, tmp_path: Path) -> None:
    missing = [tool for tool in TOOLS.get(name, []) if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (apt-get install {' '.join(missing)})")
    for step, played in zip(told(name), play(name, tmp_path / name), strict=True):
        assert settled(played.output) == settled(step.output), step.command


def test_a_block_is_read_as_commands_and_what_each_prints() -> None:
    block = "$ echo a \\\n    b\na b\n$ true\n$ printf 'c\\nd\\n'\nc\nd\n"
    assert [tuple(step) for step in steps(block)] == [
        ("echo a \\\n    b\n", "a b\n"),
        ("true\n", ""),
        ("printf 'c\\nd\\n'\n", "c\nd\n"),
    ]


def test_jobs_side_by_side_may_come_in_any_order_and_nothing_else_may() -> None:
    one = "[redun] Run    Job 01234567:  a()\n[redun] Run    Job 89abcdef:  b()\nx\ny\n"
    other = "[redun] Run    Job 00000000:  b()\n[redun] Run    Job 11111111:  a()\nx\ny\n"
    assert settled(one) == settled(other)
    assert settled(one) != settled(one.replace("x\ny", "y\nx"))
