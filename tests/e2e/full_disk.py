"""The real command on a disk that fills up, and afterwards: what it says, what it exits with, what it has kept.

As a program, `python -m tests.e2e.full_disk WORKFLOW DISK FREE...`, it does so on a small disk of its own, with that
many KiB left free, one after the other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from redun.core.digest import Digest
from redun.core.objects import How, Status
from redun.store import Store

#: A chain, so that there are commits between its jobs; each result takes room, and one is a file of its own.
WORKFLOW: Final = """
import threading
from redun import task

@task()
def link(number: int, before: str) -> str:
    threading.Event().wait(0.02)
    return f"{number} " * 10_000

@task()
def large(before: str) -> bytes:
    return before.encode() * 40

@task()
def size(data: bytes) -> int:
    return len(data)

@task()
def main() -> int:
    text = "start"
    for number in range(10, 16):
        text = link(number, text)
    return size(large(text))
"""
OUTPUT: Final = "1200000\n"
_COMMAND: Final = [sys.executable, "-m", "redun.cli.app"]


class Outcome(NamedTuple):
    """Whether a run was refused for want of room, and how many jobs had finished when it was."""

    refused: bool
    kept: int


def run(project: Path, workflow: Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a workflow in a project."""
    words = [*_COMMAND, "run", str(workflow), "main"]
    return subprocess.run(words, cwd=project, env=environment, check=False, capture_output=True, text=True, timeout=60)


def check_refused(done: subprocess.CompletedProcess[str], hint: str) -> None:
    """Checks that a run ended with the exit code of a store that cannot be used, and with one line that says why."""
    assert done.returncode == 5, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if not line.startswith("[redun]")]
    assert len(errors) == 1, errors
    assert errors[0].startswith("redun: error: ")
    assert errors[0].endswith(hint)


def check_full(
    project: Path,
    workflow: Path,
    make_room: Callable[[], object],
    *,
    environment: dict[str, str] | None = None,
    hint: str = "; make room, then run again",
) -> Outcome:
    """Checks a run on a full disk, and the next one after there is room again.

    Args:
        environment: of the first run.
        hint: how the line ends that says what went wrong.
    """
    done = run(project, workflow, environment)
    refused = done.returncode != 0 or done.stdout != OUTPUT
    if refused:
        check_refused(done, hint)
    make_room()
    finished = finished_calls(project)
    again = run(project, workflow)
    assert (again.returncode, again.stdout) == (0, OUTPUT), again.stderr
    with Store.open(project / ".redun" / "store") as store:
        _, record = next(store.executions())
        rows = [row for page in store.job_pages(record.pages) for row in page.rows]
        assert record.status is Status.DONE
        repeated = [row for row in rows if row.how is How.RAN and row.call in finished]
        assert not repeated, "what had finished ran again"
        assert not store.live_runs()
    return Outcome(refused, len(finished))


def finished_calls(project: Path) -> set[Digest]:
    """Returns the calls of the jobs that the history of a project shows as done; none where there is no store yet."""
    directory = project / ".redun" / "store"
    if not (directory / "FORMAT").exists():
        return set()
    with Store.open(directory) as store:
        pages = [page for _, record in store.executions() for page in store.job_pages(record.pages)]
        return {row.call for page in pages for row in page.rows if row.status is Status.DONE and row.call is not None}


def check_with(workflow: Path, disk: Path, free: int) -> Outcome:
    """Checks a run with so many KiB left."""
    project, ballast = disk / "project", disk / "ballast"
    project.mkdir()
    status = os.statvfs(disk)
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - free * 1024)
    try:
        return check_full(project, workflow, ballast.unlink)
    except BaseException as error:
        error.add_note(f"with {free} KiB free")
        raise
    finally:
        shutil.rmtree(project)


def main(workflow: Path, disk: Path, sizes: list[int]) -> None:
    """Checks runs with so many KiB left on the disk."""
    outcomes = [check_with(workflow, disk, free) for free in sizes]
    assert any(outcome.refused and outcome.kept for outcome in outcomes), outcomes
    assert not outcomes[-1].refused, outcomes


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [int(word) for word in sys.argv[3:]])
