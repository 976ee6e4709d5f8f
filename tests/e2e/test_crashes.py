"""A run that is killed or asked to stop, on the real command: what had finished is kept, what ran is shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WORKFLOW = """
from redun import task

@task()
def quick(number: int) -> int:
    return number + 1

@task()
def stuck(number: int) -> str:
    with open("gate") as gate:  # a pipe: waits until somebody writes to it
        return gate.read()

@task()
def main() -> list:
    return [stuck(quick(1)), quick(5)]
"""
#: A chain of jobs, alone in the run, of which the last one lasts although those before it took no time.
CHAIN = """
from redun import task

@task()
def link(number: int) -> int:
    if number == 30:
        with open("gate") as gate:
            gate.read()
    return number + 1

@task()
def main() -> int:
    number = 0
    for _ in range(31):
        number = link(number)
    return number
"""
COMMAND = [sys.executable, "-m", "redun.cli.app"]


@contextmanager
def run_until(tmp_path: Path, workflow: str, text: str) -> Iterator[subprocess.Popen[str]]:
    """A run in `tmp_path` that has told of a job whose line holds the text, and that does not end."""
    (tmp_path / "w.py").write_text(workflow)
    os.mkfifo(tmp_path / "gate")
    run = subprocess.Popen(
        [*COMMAND, "run", "w.py", "main"], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stderr is not None
    for line in run.stderr:
        if text in line:
            break
    yield run
    run.kill()
    run.communicate()


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run in `tmp_path` whose task `stuck` has begun and does not end."""
    with run_until(tmp_path, WORKFLOW, "stuck(") as run:
        yield run


def redun(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)


def log_until(tmp_path: Path, text: str) -> str:
    """The log of the latest execution, read until it holds the text: the run writes it a moment after it happened."""
    for _ in range(200):
        shown = redun(tmp_path, "log", "-").stdout
        if text in shown:
            return shown
    raise AssertionError(redun(tmp_path, "log", "-"))


def test_a_job_that_lasts_is_in_the_log_while_it_runs(tmp_path: Path, busy: subprocess.Popen[str]) -> None:
    shown = log_until(tmp_path, "stuck(")
    assert "[ RUN  ]" in shown.splitlines()[0]
    assert "stuck(number=2)" in shown


def test_a_killed_run_shows_what_it_was_doing_and_its_finished_jobs_are_hits(
    tmp_path: Path, busy: subprocess.Popen[str]
) -> None:
    log_until(tmp_path, "stuck(")
    busy.send_signal(signal.SIGKILL)
    busy.wait()
    shown = redun(tmp_path, "log", "-").stdout
    assert "[ RUN  ]" not in shown
    assert any("[INTERR]" in line and "stuck(" in line for line in shown.splitlines())
    (tmp_path / "gate").unlink()
    (tmp_path / "gate").write_text("open")
    again = redun(tmp_path, "run", "w.py", "main")
    assert again.stdout == "['open', 6]\n"
    assert sum("Cached Job" in line and "quick(" in line for line in again.stderr.splitlines()) == 2
    assert sum("Run    Job" in line for line in again.stderr.splitlines()) == 1
    assert "[INTERR]" in redun(tmp_path, "log", "~1").stdout.splitlines()[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_seals_what_it_has_and_exits_130(
    tmp_path: Path, busy: subprocess.Popen[str], number: signal.Signals
) -> None:
    busy.send_signal(number)
    assert busy.wait(timeout=30) == 130
    shown = redun(tmp_path, "log", "-").stdout
    assert "[INTERR]" in shown.splitlines()[0]
    assert any("[INTERR]" in line and "stuck(" in line for line in shown.splitlines())
    assert sum("[ DONE ]" in line and "quick(" in line for line in shown.splitlines()) == 2


def test_a_chain_of_tiny_jobs_can_be_stopped_where_one_lasts(tmp_path: Path) -> None:
    with run_until(tmp_path, CHAIN, "link(number=30)") as run:
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=30) == 130
    shown = redun(tmp_path, "log", "-").stdout
    assert "[INTERR]" in shown.splitlines()[0]
    assert any("[INTERR]" in line and "link(number=30)" in line for line in shown.splitlines())
    assert sum("[ DONE ]" in line and "link(" in line for line in shown.splitlines()) == 30
