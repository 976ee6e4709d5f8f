"""The lessons in the READMEs of the examples: commands and what they print. A test plays them again and compares.

    python -m tests.e2e.lessons compile etl

plays these in new directories and writes what was printed into their READMEs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from tests.house.tour import masked
from tests.servers.ports import free_port

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
#: Where a lesson is said to be played, whatever the directory is.
_SHOWN: Final = "/tmp/lesson"
#: The port that a lesson names; another one is taken wherever it is played, as this one may be in use.
_PORT: Final = "8765"
_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_JOB: Final = re.compile(r"(\[redun\] )?(Run|Cached|Failed|Reject|Miss) +(Job )?\S")


class Step(NamedTuple):
    """A command, as it is typed (lines that end with a backslash go on), and what is printed."""

    command: str
    output: str


def readme(name: str) -> Path:
    """Returns the page of an example."""
    return EXAMPLES / name / "README.md"


def lessons() -> list[str]:
    """Returns the examples whose README is a lesson."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/README.md") if _BLOCK.search(path.read_text()))


def steps(block: str) -> list[Step]:
    """Returns what a block shows."""
    made: list[list[str]] = []
    goes_on = False
    for line in block.splitlines(keepends=True):
        if line.startswith("$ ") or goes_on:
            if not goes_on:
                made.append(["", ""])
            made[-1][0] += line
            goes_on = line.endswith("\\\n")
        else:
            made[-1][1] += line
    return [Step(command[2:], output) for command, output in made]


def told(name: str) -> list[Step]:
    """Returns what the README of an example shows."""
    return [step for block in _BLOCK.findall(readme(name).read_text()) for step in steps(block)]


def play(name: str, place: Path) -> list[Step]:
    """Returns the steps of an example with what their commands print now, run in turn in a copy of it."""
    shutil.copytree(EXAMPLES / name, place, ignore=shutil.ignore_patterns(".redun", "__pycache__", "README.md"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    port = str(free_port())
    for file in place.glob("*.py"):
        if _PORT in (text := file.read_text()):
            file.write_text(text.replace(_PORT, port))
    played = []
    for command, _ in told(name):
        done = subprocess.run(
            ["bash", "-c", command.replace(_PORT, port)],
            cwd=place, env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        output = re.sub(r"[ \t]+$", "", done.stdout, flags=re.MULTILINE).replace(str(place), _SHOWN)
        output = output.replace(f"port {port}", f"port {_PORT}")
        played.append(Step(command, output))
    return played


def settled(output: str) -> str:
    """Returns an output without what differs from run to run: ids, times, the order of jobs that run side by side."""
    lines = masked(output, _SHOWN).splitlines()
    groups = groupby(lines, key=lambda line: bool(_JOB.match(line)))
    return "\n".join(line for is_jobs, group in groups for line in (sorted(group) if is_jobs else group))


def rewritten(text: str, played: list[Step]) -> str:
    """Returns a page with what was printed in the place of what is there."""
    now = iter(played)

    def fresh(found: re.Match[str]) -> str:
        shown = [next(now) for _ in steps(found[1])]
        return "```console\n" + "".join(f"$ {command}{output}" for command, output in shown) + "```"

    return _BLOCK.sub(fresh, text)


def main() -> None:
    """Writes the lessons of now into the READMEs."""
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as directory:
            played = play(name, Path(directory) / name)
        readme(name).write_text(rewritten(readme(name).read_text(), played))


if __name__ == "__main__":
    main()
