"""`redun log` over all executions: lists of jobs, calls and files, and lineage."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redun.cli import exits
from redun.cli.app import main
from tests.cli.test_tags import Shell
from tests.executor.flows import MODULE, forget

FLOW = f"{MODULE}.py"
WORKFLOW = """
from redun import File, task

@task()
def make(n: int) -> str:
    return str(n) * 3

@task()
def join(parts: list) -> str:
    return "+".join(parts)

@task()
def write(path: str, text: str) -> File:
    file = File(path)
    with file.open("w") as out:
        out.write(text)
    return file

@task()
def breaks(n: int) -> int:
    raise ValueError(n)

@task()
def main(n: int = 1) -> File:
    return write("out/data.txt", join([make(n), make(n + 100)]))
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A directory with four executions: two that made files, one from the cache, and one that failed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / FLOW).write_text(WORKFLOW)
    made = Shell(capsys)
    for n in ("1", "2", "2"):
        made("-q", "run", FLOW, "main", "--n", n)
    made("-q", "run", FLOW, "breaks", "--n", "1", code=exits.FAILED)
    yield made
    forget()


def tasks(shell: Shell, *words: str) -> list[str]:
    found: Any = shell.json("log", *words)
    return [item["task"] for item in found]


def value_of(shell: Shell, task: str) -> str:
    found: Any = shell.json("log", "--calls", "--task", task)
    return str(found[0]["result"])


def test_jobs_of_all_executions_are_listed_newest_first(shell: Shell) -> None:
    assert tasks(shell, "--jobs") == ["breaks", "main", *["main", "write", "join", "make", "make"] * 2]
    assert tasks(shell, "--jobs", "--task", "make") == ["make"] * 4
    assert tasks(shell, "--jobs", "--status", "failed") == ["breaks"]
    assert tasks(shell, "--jobs", "--status", "cached") == ["main"]
    assert tasks(shell, "--jobs", "--since", "1h", "--until", "1h") == []
    assert shell("log", "--jobs", "--task", "make").splitlines()[0].endswith(":  make(n=102)")


def test_lists_are_read_page_by_page(shell: Shell) -> None:
    whole = shell("log", "--jobs", "-n", "0").splitlines()
    assert len(whole) == 12
    first = shell("log", "--jobs", "-n", "5").splitlines()
    assert first == [*whole[:5], "... more: --skip 5 shows those that follow, -n 0 all"]
    assert shell("log", "--jobs", "-n", "0", "--skip", "5").splitlines() == whole[5:]
    assert shell("log", "--jobs", "--count") == "12 jobs\n"
    assert shell.json("log", "--jobs", "--count") == {"count": 12}
    assert shell("log", "--jobs", "--task", "none") == "No jobs match.\n"


def test_calls_are_listed_once(shell: Shell) -> None:
    assert sorted(tasks(shell, "--calls")) == ["breaks", *["join"] * 2, *["main"] * 2, *["make"] * 4, *["write"] * 2]
    assert shell("log", "--calls", "--task", "join").splitlines()[0].endswith("-> '222+102102102'")
    assert shell("log", "--calls", "--task", "breaks").splitlines()[0].endswith("ErrorValue(ValueError(1))")


def test_producers_and_consumers_of_a_value_are_found(shell: Shell) -> None:
    value = value_of(shell, "join")
    assert tasks(shell, "--jobs", "--result", value) == ["join"]
    assert tasks(shell, "--jobs", "--arg", value[:8]) == ["write"]
    assert set(tasks(shell, "--calls", "--value", value)) == {"join", "write"}
    executions: Any = shell.json("log", "--value", value)
    assert len(executions) == 1


def test_files_lead_to_the_jobs_that_wrote_them(shell: Shell) -> None:
    files: Any = shell.json("log", "--file")
    assert [(file["path"], file["mode"]) for file in files] == [("out/data.txt", "w")] * 2
    assert sorted(set(tasks(shell, "--jobs", "--file", "out/*"))) == ["main", "write"]
    executions: Any = shell.json("log", "--executions", "--file", "out/*")
    assert [run["kind"] for run in executions] == ["exec"] * 3
    assert shell("log", "--file", "none/*") == "No files match.\n"
    assert shell("log", "--file", "out/data.txt", "--count") == "2 files\n"


def test_lineage_goes_up_to_where_a_value_began(shell: Shell) -> None:
    value = value_of(shell, "write")
    found: Any = shell.json("log", value, "--up")
    steps = [(step["depth"], step["task"]) for step in found["calls"]]
    assert steps == [(0, "write"), (1, "join"), (2, "make"), (2, "make")]
    lines = shell("log", value, "--up", "--depth", "1").splitlines()
    assert [line.split()[3].split("(")[0] for line in lines if line[2].isdigit()] == ["write", "join"]
    assert lines[1].endswith("(made in the code of who called)")
    first = shell("log", value, "--up", "-n", "1").splitlines()
    assert first[-1] == "... more: --skip 1 shows those that follow, -n 0 all"


def test_lineage_goes_down_to_what_came_of_a_call(shell: Shell) -> None:
    calls: Any = shell.json("log", "--calls", "--task", "make")
    found: Any = shell.json("log", calls[0]["id"], "--down")
    assert [step["task"] for step in found["calls"]] == ["join", "write"]
    assert "took it as parts" in shell("log", calls[0]["id"], "--down")
    assert shell("log", value_of(shell, "write"), "--down") == "No call took it.\n"


def test_lineage_of_a_job_is_that_of_its_call(shell: Shell) -> None:
    jobs: Any = shell.json("log", "--jobs", "--task", "join")
    found: Any = shell.json("log", jobs[0]["job"], "--up")
    assert [step["task"] for step in found["calls"]] == ["join", "make", "make"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--up",), "--up follows what an ID names"),
        (("-", "--down"), "--down follows values and calls, not an execution"),
        (("main", "--up"), "not a task"),
        (("--depth", "1"), "--depth says how far"),
        (("-", "--jobs"), "--jobs chooses from all that was run"),
        (("--jobs", "--calls"), "--jobs and --calls list different things"),
        (("-", "--up", "--down"), "--up and --down go different ways"),
        (("-", "--tag", "a"), "--tag chooses from all that was run"),
        (("--file", "--task", "main"), "--task does not choose files"),
        (("out/data.txt", "--jobs"), "--jobs chooses executions and jobs, and out/data.txt is a file"),
        (("out/data.txt", "--task", "write"), "--task chooses executions and jobs"),
        (("-", "--executions"), "--executions chooses from all that was run"),
        (("--until", "then"), "--until then: no such time"),
        (("--status", "cached"), "redun log --jobs --status cached"),
        (("--tag", "x", "--status", "cached"), "an execution is never CACHED"),
        (("--jobs", "--status", "odd"), "no state is called so"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(shell: Shell, words: tuple[str, ...], told: str) -> None:
    assert told in shell("log", *words, code=exits.USAGE)


def test_a_value_that_is_not_there_is_said_to_be_so(shell: Shell) -> None:
    assert "names no execution" in shell("log", "--jobs", "--arg", "ffff", code=exits.MISSING)
    call: Any = shell.json("log", "--calls")
    assert "is no value, but of kind call" in shell("log", "--jobs", "--arg", call[0]["id"], code=exits.USAGE)


def test_a_store_that_cannot_be_written_is_asked_all_the_same(shell: Shell, tmp_path: Path) -> None:
    assert json.loads(shell("log", "--jobs", "--count", "--json"))["count"] == 12
    assert main(["--store", str(tmp_path / "none"), "log", "--jobs"]) == exits.MISSING
