"""The genome pipeline on generated reads, with the real tools: what it finds, and what it does again."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "genome"
REDUN = Path(sys.executable).with_name("redun")
_TOOLS = ("bwa", "samtools", "bcftools")
_MISSING = [tool for tool in _TOOLS if shutil.which(tool) is None]

pytestmark = pytest.mark.skipif(
    bool(_MISSING), reason=f"needs {', '.join(_MISSING)} (apt-get install {' '.join(_TOOLS)})"
)


def run(place: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the pipeline."""
    command = [REDUN, "run", *options, "variants.py", "main"]
    return subprocess.run(
        command, cwd=place, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A copy of the example, with its reads."""
    made = tmp_path / "genome"
    shutil.copytree(EXAMPLE, made, ignore=shutil.ignore_patterns("data", "out", ".redun", "__pycache__"))
    subprocess.run([sys.executable, "simulate.py"], cwd=made, check=True)
    return made


def found(place: Path) -> set[tuple[str, str, str, str]]:
    """Returns sample, position, base of the reference and of the sample, from the report."""
    with (place / "out" / "report.tsv").open() as stream:
        return {
            (sample, row["position"], row["reference"], base)
            for row in csv.DictReader(stream, delimiter="\t")
            for sample, base in row.items()
            if sample not in ("position", "reference") and base != "."
        }


def test_what_was_planted_is_found_and_nothing_else(place: Path) -> None:
    done = run(place)
    assert done.returncode == 0, done.stderr
    with (place / "data" / "planted.tsv").open() as stream:
        assert found(place) == {tuple(row) for row in csv.reader(stream, delimiter="\t")}


def test_a_new_sample_is_worked_on_alone(place: Path) -> None:
    run(place)
    shutil.copy(place / "data" / "ash.fq", place / "data" / "beech.fq")
    ran = [line for line in run(place).stderr.splitlines() if "Run " in line]
    assert [len([line for line in ran if f"genome.{task}(" in line]) for task in ("align", "call", "report")] == [
        1,
        1,
        1,
    ]
    beech, ash = ({row[1:] for row in found(place) if row[0] == sample} for sample in ("beech", "ash"))
    assert beech == ash


def test_a_sample_that_fails_leaves_the_work_on_the_others_done(place: Path) -> None:
    (place / "out" / "cedar.bam").mkdir(parents=True)
    done = run(place, "-k")
    assert done.returncode == 1
    assert "ScriptError: the script exited with 1" in done.stderr
    (place / "out" / "cedar.bam").rmdir()
    again = run(place)
    assert again.returncode == 0
    ran = [line for line in again.stderr.splitlines() if "Run " in line and "redun.script(" in line]
    assert ["cedar" in line for line in ran] == [True, True]


def test_a_tool_that_is_not_there_is_named_with_what_installs_it(place: Path) -> None:
    done = run(place, PATH=str(place))
    assert done.returncode == 1
    # none of the three is there, and they are looked for side by side
    assert re.search(r"there is no (bwa|samtools|bcftools) \(Debian: apt install \1\)", done.stderr)
