"""The tour in README: commands and what they print. A test plays it again and compares.

    python tests/house/tour.py

plays it in a new /tmp/hello_world and writes what was printed into README.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
#: A block of the tour: a command behind `$ `, then what it prints.
BLOCK = re.compile(r"```console\n\$ (.*?)\n(.*?)```", re.DOTALL)
_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{24})?\b")
_TIME = re.compile(r"\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d|\d+:\d\d:\d\d\.\d+|\d+\.\d+ seconds")


def play(blocks: list[tuple[str, str]], place: Path) -> list[tuple[str, str]]:
    """Returns the blocks with what their commands print now, run in turn in a copy of the example.

    An id in a command is one that was printed further up; here it becomes the id that stands there this time.
    """
    shutil.copytree(ROOT / "examples" / "hello_world", place, ignore=shutil.ignore_patterns(".redun", "__pycache__"))
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    ids: dict[str, str] = {}
    played = []
    for command, told in blocks:
        actual = _ID.sub(lambda found: ids.get(found[0], found[0]), command)
        done = subprocess.run(
            actual, shell=True, cwd=place, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        output = re.sub(r"[ \t]+$", "", done.stdout, flags=re.MULTILINE)
        for old, new in zip(_ID.findall(told), _ID.findall(output), strict=False):
            ids[old[:8]], ids[old] = new[:8], new
        played.append((actual, output))
    return played


def masked(text: str, place: str) -> str:
    """Returns a block without what differs from run to run: ids, times, the directory."""
    return _TIME.sub("<time>", _ID.sub("<id>", text)).replace(place, "<here>")


def main() -> None:
    """Writes the tour of now into README."""
    text = README.read_text()
    played = iter(play(BLOCK.findall(text), Path("/tmp/hello_world")))

    def fresh(_: re.Match[str]) -> str:
        command, output = next(played)
        return f"```console\n$ {command}\n{output}```"

    README.write_text(BLOCK.sub(fresh, text))


if __name__ == "__main__":
    main()
