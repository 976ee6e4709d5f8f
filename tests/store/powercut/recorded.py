"""Recordings to cut: of programs that use the store as a library, and of the real command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from redun.store.soundness import last_transaction
from redun.store.store import Durability
from tests.store.powercut import busy
from tests.store.powercut.promises import STORE, Recording
from tests.store.powercut.recording import Recorder

COMMAND: Final = [sys.executable, "-m", "redun.cli.app"]
WORKFLOW: Final = """
from redun import task

@task()
def part(number: int) -> str:
    return f"VERSION {number} " * 3 * number

@task()
def large(text: str) -> bytes:
    return text.encode() * 90_000

@task()
def size(data: bytes) -> int:
    return len(data)

@task()
def total(sizes: list) -> int:
    return sum(sizes)

@task()
def main() -> int:
    return total([size(large("VERSION and more")), *[size(part(i)) for i in range(1, 40)]])
"""
VERSIONS: Final = ("one", "three", "one")


def output(version: str) -> str:
    """Returns what the command prints for a version."""
    return f"{90_000 * len(f'{version} and more') + sum(len(f'{version} {i} ') * 3 * i for i in range(1, 40))}\n"


def record_library(folder: Path, level: Durability) -> Recording:
    """Records the programs of `busy` on a store of that durability."""
    recorder = Recorder(folder, folder / "root")
    for part in busy.PROGRAMS:
        words = ["-m", busy.__name__, str(recorder.root / STORE), level, part]
        subprocess.run([sys.executable, *words], check=True, env=recorder.environment(), cwd=recorder.root)
    return Recording(recorder.notes(), folder, durable=level == "durable", source=recorder.log)


def record_command(folder: Path) -> Recording:
    """Records `redun run`, the first of which makes the store, of a workflow that is edited between."""
    recorder = Recorder(folder, folder / "root")
    project = recorder.make_directory("project")
    for version in VERSIONS:
        assert run_command(project, version, recorder.environment()).stdout == output(version)
        recorder.mark("made")
        recorder.mark(f"synced {last_transaction(recorder.root / STORE)}")
    return Recording(recorder.notes(), folder, durable=False, source=recorder.log)


def run_command(
    project: Path, version: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a version of the workflow in a project."""
    workflow = project.parent.parent / "w.py"
    workflow.write_text(WORKFLOW.replace("VERSION", version))
    words = [*COMMAND, "run", str(workflow), "main"]
    return subprocess.run(words, cwd=project, env=environment, check=False, capture_output=True, text=True)
