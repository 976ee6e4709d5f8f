"""`--dry-run`, `--accept-code` and `--withdraw-code` on the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WORKFLOW = """
from redun import task

@task()
def planet() -> str:
    return "World"

@task()
def greet(greeting: str, thing: str) -> str:
    return greeting + ", " + thing

@task()
def main(greeting: str = "Hello") -> str:
    return greet(greeting, planet())
"""


class Place:
    """A directory with the workflow in it, in which redun is called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(WORKFLOW)

    def write(self, text: str) -> None:
        (self.folder / "w.py").write_text(text)

    def run(self, *options: str, args: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "redun.cli.app", "run", *options, "w.py", "main", *args]
        return subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60)

    def ran(self, *options: str) -> int:
        return sum("Run    Job" in line for line in self.run(*options).stderr.splitlines())

    def executions(self) -> int:
        words = [sys.executable, "-m", "redun.cli.app", "log"]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.count("Exec ")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_dry_run_runs_and_writes_nothing(place: Place):
    done = place.run("--dry-run")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "main(greeting='Hello'): no earlier call" in done.stderr
    assert not (place.folder / ".redun").exists()


def test_a_dry_run_counts_hits_misses_and_what_lies_beyond_them(place: Place):
    place.run()
    assert place.run("--dry-run").returncode == 0
    place.write(WORKFLOW.replace('"World"', '"Mars"'))
    done = place.run("--dry-run", "--json", "-q")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert (told["cached"], told["would_run"], told["unknown"]) == (1, 1, 1)
    assert told["misses"][0]["task"] == "planet"
    assert told["misses"][0]["why"] == "code"
    assert told["misses"][0]["reason"]["text"] == "code changed: its own text"
    assert told["misses"][0]["reason"]["code"][0]["diff"][-1] == '+    return "Mars"'
    assert place.executions() == 1


def test_a_dry_run_gives_the_reasons_that_the_run_then_gives(place: Place):
    place.run()
    place.write(WORKFLOW.replace('"World"', '"Mars"'))
    for args in ((), ("--greeting", "Hi")):
        (dry,) = [line for line in place.run("--dry-run", args=args).stderr.splitlines() if " Miss " in line]
        lines = place.run("--explain", args=args).stderr.splitlines()
        told = next(line for line in lines if " Miss " in line)
        call = next(line for line in lines if " Run  " in line).split(":  ")[1].removesuffix(" on default")
        assert dry == f"[redun] Miss   {call}: {told.split(': ', 1)[1].split(': ', 1)[1]}"


def test_the_old_spelling_of_a_dry_run_is_understood(place: Place):
    assert place.run("--dryrun").returncode == 1


def test_code_that_is_accepted_runs_nothing_until_that_is_withdrawn(place: Place):
    assert place.ran() == 3
    place.write(WORKFLOW.replace('return "World"', 'x = "World"; return x'))
    assert place.ran("--accept-code", "planet") == 0
    assert place.ran() == 0
    assert place.ran("--withdraw-code", "planet") == 1


def test_other_changes_count_beside_an_accepted_one(place: Place):
    place.ran()
    place.write(WORKFLOW.replace('return "World"', 'x = "World"; return x').replace('", "', '"; "'))
    assert place.ran("--accept-code", "planet") == 1


@pytest.mark.parametrize(("words", "code"), [(("help",), 0), (("info",), 0), (("--no-such", "1"), 2)])
def test_a_command_that_runs_nothing_accepts_nothing(place: Place, words: tuple[str, ...], code: int):
    assert place.run().returncode == 0
    place.write(WORKFLOW.replace("World", "Mars"))
    assert place.run("--accept-code", "planet", args=words).returncode == code
    assert "Mars" in place.run().stdout


def test_what_cannot_be_accepted_or_withdrawn_is_told(place: Place):
    done = place.run("--accept-code", "planet")
    assert done.returncode == 3
    assert "no earlier code of planet" in done.stderr
    done = place.run("--withdraw-code", "planet")
    assert done.returncode == 3
    assert "was not accepted" in done.stderr
    assert place.run("--accept-code", "nobody").returncode == 3
