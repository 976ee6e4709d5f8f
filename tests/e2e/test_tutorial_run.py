"""The `run` steps of the tutorial on the real command, one after the other in one directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HELLO_WORLD = """\
# hello_world.py
from redun import task

redun_namespace = "redun.examples.hello_world"

@task()
def get_planet() -> str:
    return "World"

@task()
def greeter(greet: str, thing: str) -> str:
    return "{}, {}!".format(greet, thing)

@task()
def main(greet: str="Hello") -> str:
    return greeter(greet, get_planet())
"""
MARS = HELLO_WORLD.replace('"World"', "'Mars'")
BUG = HELLO_WORLD.replace(
    """get_planet() -> str:
    return "World"
""",
    """get_planet():
    x = 1 / 0
    return 'Mars'
""",
)

NAMESPACE = "redun.examples.hello_world"

Redun = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def redun(tmp_path: Path) -> Redun:
    """Runs the real command in a directory that holds the tutorial's program."""
    (tmp_path / "hello_world.py").write_text(HELLO_WORLD)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "redun.cli.app", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def jobs(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    """(how, call) of each job line, in order."""
    pattern = (
        r"\[redun\] (Run   |Cached|\*\*\* Reject) Job [0-9a-f]{8}:  (.*?)(?: on default| \(eval_hash=[0-9a-f]{8}\)|:)"
    )
    found = [re.fullmatch(pattern, line) for line in done.stderr.splitlines()]
    return [(m[1].strip(), m[2].removeprefix(f"{NAMESPACE}.")) for m in found if m]


def table(done: subprocess.CompletedProcess[str]) -> dict[str, list[int]]:
    """PENDING RUNNING FAILED CACHED DONE TOTAL of each line of the status table."""
    rows = [line.removeprefix("[redun] | ").split() for line in done.stderr.splitlines() if "[redun] | " in line]
    return {
        row[0].removeprefix(f"{NAMESPACE}."): list(map(int, row[1:]))
        for row in rows
        if len(row) == 7 and row[1].isdigit()
    }


def test_the_first_run_prints_what_the_tutorial_shows(redun: Redun, tmp_path: Path) -> None:
    done = redun("run", "hello_world.py", "main")
    assert done.stdout == "'Hello, World!'\n"
    assert done.returncode == 0
    uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    running = r"\[redun\] Run    Job [0-9a-f]{8}:  redun\.examples\.hello_world\."
    expected = [
        r"\[redun\] redun :: version \d+\.\d+\.\d+",
        re.escape(f"[redun] config dir: {tmp_path}/.redun"),
        rf"\[redun\] Start Execution {uuid}:  redun run hello_world\.py main",
        rf"{running}main\(greet='Hello'\) on default",
        rf"{running}get_planet\(\) on default",
        rf"{running}greeter\(greet='Hello', thing='World'\) on default",
        r"\[redun\] ",
        r"\[redun\] \| JOB STATUS \d{4}/\d\d/\d\d \d\d:\d\d:\d\d",
        r"\[redun\] \| TASK                                  PENDING RUNNING  FAILED  CACHED    DONE   TOTAL",
        r"\[redun\] \| ",
        r"\[redun\] \| ALL                                         0       0       0       0       3       3",
        r"\[redun\] \| redun\.examples\.hello_world\.get_planet       0       0       0       0       1       1",
        r"\[redun\] \| redun\.examples\.hello_world\.greeter          0       0       0       0       1       1",
        r"\[redun\] \| redun\.examples\.hello_world\.main             0       0       0       0       1       1",
        r"\[redun\] ",
        r"\[redun\] Execution duration: \d+\.\d\d seconds",
    ]
    lines = done.stderr.splitlines()
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), line


def test_the_second_run_is_answered_from_the_cache(redun: Redun) -> None:
    redun("run", "hello_world.py", "main")
    done = redun("run", "hello_world.py", "main")
    assert done.stdout == "'Hello, World!'\n"
    assert jobs(done) == [
        ("Cached", "main(greet='Hello')"),
        ("Cached", "get_planet()"),
        ("Cached", "greeter(greet='Hello', thing='World')"),
    ]
    assert table(done)["ALL"] == [0, 0, 0, 3, 0, 3]


def test_an_argument_runs_only_what_it_reaches(redun: Redun) -> None:
    redun("run", "hello_world.py", "main")
    done = redun("run", "hello_world.py", "main", "--greet", "Hi")
    assert done.stdout == "'Hi, World!'\n"
    assert sorted(jobs(done)) == [
        ("Cached", "get_planet()"),
        ("Run", "greeter(greet='Hi', thing='World')"),
        ("Run", "main(greet='Hi')"),
    ]
    assert table(done) == {
        "ALL": [0, 0, 0, 1, 2, 3],
        "get_planet": [0, 0, 0, 1, 0, 1],
        "greeter": [0, 0, 0, 0, 1, 1],
        "main": [0, 0, 0, 0, 1, 1],
    }


def test_help_of_a_task_shows_its_options(redun: Redun, tmp_path: Path) -> None:
    done = redun("run", "hello_world.py", "main", "help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: redun.examples.hello_world.main [-h] [--greet GREET]")
    for text in (
        "{help,info}",
        "Show help for calling a task.",
        "Show task information.",
        "--greet GREET",
        "(default: Hello)",
    ):
        assert text in done.stdout
    assert done.stderr.splitlines() == [
        "[redun] redun :: version 0.1.0",
        f"[redun] config dir: {tmp_path}/.redun",
    ]
    assert not (tmp_path / ".redun").exists()


def test_help_of_a_file_lists_its_tasks(redun: Redun) -> None:
    done = redun("run", "hello_world.py", "help")
    assert done.stdout.splitlines() == [
        "Tasks available:",
        "   redun.examples.hello_world.get_planet",
        "   redun.examples.hello_world.greeter",
        "   redun.examples.hello_world.main",
    ]


def test_info_shows_the_source_as_it_is(redun: Redun) -> None:
    done = redun("run", "hello_world.py", "main", "info")
    first, blank, *source = done.stdout.rstrip("\n").split("\n")
    assert re.fullmatch(r"Task [0-9a-f]{32} redun\.examples\.hello_world\.main", first)
    assert blank == ""
    assert source == ['  def main(greet: str="Hello") -> str:', "      return greeter(greet, get_planet())"]


@pytest.mark.parametrize("name", ["greeter", "redun.examples.hello_world.greeter", "hello_world.greeter"])
def test_any_task_can_be_run_its_namespace_optional(redun: Redun, name: str) -> None:
    done = redun("run", "hello_world.py", name, "--greet", "Yo", "--thing", "Venus")
    assert done.stdout == "'Yo, Venus!'\n"
    assert jobs(done) == [("Run", "greeter(greet='Yo', thing='Venus')")]


def test_a_changed_task_runs_again_and_what_depends_on_its_result(redun: Redun, tmp_path: Path) -> None:
    redun("run", "hello_world.py", "main")
    (tmp_path / "hello_world.py").write_text(MARS)
    done = redun("run", "hello_world.py", "main")
    assert done.stdout == "'Hello, Mars!'\n"
    assert jobs(done) == [
        ("Cached", "main(greet='Hello')"),
        ("Run", "get_planet()"),
        ("Run", "greeter(greet='Hello', thing='Mars')"),
    ]
    assert table(done)["ALL"] == [0, 0, 0, 1, 2, 3]


def test_a_failure_shows_a_traceback_of_jobs(redun: Redun, tmp_path: Path) -> None:
    redun("run", "hello_world.py", "main")
    (tmp_path / "hello_world.py").write_text(BUG)
    done = redun("run", "hello_world.py", "main")
    assert done.returncode == 1
    assert done.stdout == ""
    assert jobs(done) == [
        ("Cached", "main(greet='Hello')"),
        ("Run", "get_planet()"),
        ("*** Reject", "get_planet()"),
        ("*** Reject", "main(greet='Hello')"),
    ]
    assert table(done) == {
        "ALL": [1, 0, 2, 0, 0, 3],
        "get_planet": [0, 0, 1, 0, 0, 1],
        "greeter": [1, 0, 0, 0, 0, 1],
        "main": [0, 0, 1, 0, 0, 1],
    }
    lines = done.stderr.splitlines()
    start = lines.index("[redun] *** Execution failed. Traceback (most recent task last):")
    shown = [re.sub("Job [0-9a-f]{8}", "Job ID", line) for line in lines[start + 1 :]]
    file = f'File "{tmp_path}/hello_world.py"'
    assert shown == [
        f"[redun]   Job ID: {file}, line 16, in main",
        '[redun]     def main(greet: str="Hello") -> str:',
        "[redun]     greet = 'Hello'",
        f"[redun]   Job ID: {file}, line 7, in get_planet",
        "[redun]     def get_planet():",
        f"[redun]   {file}, line 8, in get_planet",
        "[redun]     x = 1 / 0",
        "[redun] ZeroDivisionError: division by zero",
    ]
