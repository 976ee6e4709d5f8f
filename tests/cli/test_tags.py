"""`redun tag`, `redun pin` and their effects on the other commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.cli import exits
from redun.cli.app import main
from tests.executor.flows import MODULE, forget

FLOW = f"{MODULE}.py"
WORKFLOW = """
from redun import task

@task()
def make(n: int) -> str:
    return str(n) * 3

@task()
def main(n: int = 1) -> list:
    return [make(n), make(n + 100)]
"""


class Shell:
    """Runs commands in a directory and gives what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        found = main(list(words))
        captured = self._capsys.readouterr()
        assert found == code, captured.err
        return captured.err if code else captured.out

    def json(self, *words: str) -> object:
        """What a command prints as a document."""
        return json.loads(self(*words, "--json"))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A directory with two executions, the first of them tagged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / FLOW).write_text(WORKFLOW)
    made = Shell(capsys)
    made("-q", "run", "-t", "env=prod", "-t", 'step={"a":1}', "--doc", "My doc", FLOW, "main", "--n", "1")
    made("-q", "run", FLOW, "main", "--n", "2")
    yield made
    forget()


def _first(shell: Shell, *words: str) -> str:
    """The id of the first thing that is listed."""
    found = shell.json("log", *words)
    assert isinstance(found, list)
    return str(found[0].get("job") or found[0]["id"])


# -- tags -------------------------------------------------------------------------------------------------------------


def test_tags_of_a_run_and_those_given_later_look_the_same(shell: Shell) -> None:
    assert shell("log", "~1").splitlines()[0].endswith('(doc="My doc", env=prod, step={"a": 1})')
    assert shell("tag", "add", "~1", "count=3", "l=[1,2]", "env=prod").endswith(
        ': count=3, doc="My doc", env=prod, l=[1, 2], step={"a": 1}\n'
    )
    assert shell("log").splitlines()[-1].endswith('(count=3, doc="My doc", env=prod, l=[1, 2], step={"a": 1})')
    shell("tag", "rm", "~1", "env", 'step={ "a" : 1 }')
    assert shell("log").splitlines()[-1].endswith('(count=3, doc="My doc", l=[1, 2])')
    assert '  tags count=3, doc="My doc", l=[1, 2]' in shell("show", "~1").splitlines()


@pytest.mark.parametrize("words", [("--jobs",), ("--calls",), ("--jobs", "--task", "make")])
def test_jobs_calls_and_values_are_tagged(shell: Shell, words: tuple[str, ...]) -> None:
    name = _first(shell, *words)
    shell("tag", "add", name, "quality=good")
    assert "Tags: quality=good" in shell("log", name).splitlines()
    assert "Tags: quality=good" in shell("show", name).splitlines()
    for command in ("log", "show"):
        document = shell.json(command, name)
        assert isinstance(document, dict)
        assert document["tags"] == [["quality", "good"]]
    (listed,) = shell.json("tag", "list", "quality=good")  # type: ignore[misc]
    assert listed["id"] == name
    shell("tag", "rm", name, "quality")
    assert "Tags:" not in shell("log", name)


def test_a_task_is_tagged_by_its_name_whatever_its_code(shell: Shell) -> None:
    assert shell("tag", "add", "make", "owner=ada") == "Task make: owner=ada\n"
    version = shell.json("log", "make")
    assert isinstance(version, dict)
    assert "Tags: owner=ada" in shell("show", version["id"])


def test_who_gave_a_tag_and_when_is_kept(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    shell("tag", "add", "-", "a=1")
    (tag,) = shell.json("tag", "list", "-")["tags"]  # type: ignore[index,call-overload]
    assert (tag["name"], tag["value"], tag["author"]) == ("a", 1, "ada")
    assert tag["time"] > 1_600_000_000
    assert shell("tag", "list", "-").splitlines()[1].endswith(" by ada")


def test_all_tags_are_listed_with_how_many_things_have_them(shell: Shell) -> None:
    shell("tag", "add", "-", "env=test", "l=[1]")
    shell("tag", "add", "make", "env=prod")
    lines = shell("tag", "list").splitlines()
    assert lines == [
        "doc  (1 execution)",
        "env  (2 executions, 1 task)",
        "l  (1 execution)",
        "step  (1 execution)",
    ]
    assert "env=prod  (1 execution, 1 task)" in shell("tag", "list", "--values").splitlines()
    assert [line.split(":")[1] for line in shell("tag", "list", "env").splitlines()] == [
        " env=test",
        " env=prod",
        " env=prod",
    ]
    assert shell("tag", "list", "env=none") == "Nothing is tagged so.\n"


def test_an_update_takes_the_place_of_other_values(shell: Shell) -> None:
    shell("tag", "add", "-", "a=1", "a=2", "b=1")
    assert shell("tag", "update", "-", "a=3").endswith(": a=3, b=1\n")


def test_executions_and_jobs_are_chosen_by_tag(shell: Shell) -> None:
    shell("tag", "add", "-", "env=test")
    assert shell("log", "--tag", "env=test").count("Exec ") == 1
    assert shell("log", "--tag", "env").count("Exec ") == 2
    assert shell("log", "--tag", "env", "--tag", "step").count("Exec ") == 1
    assert shell("log", "--jobs", "--tag", "env=test", "--count") == "3 jobs\n"
    assert "1 pruned, 1 kept" in shell("prune", "--keep-tag", "env=test")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("tag", "add", "-", "env"), "'env' is no tag: it has no value; write it as NAME=VALUE"),
        (("tag", "add", "-", "=1"), "it has no name"),
        (("tag", "add", "-"), "NAME=VALUE"),
        (("tag", "list", "-", "--values"), "--values goes with the list of all tags"),
        (("run", "-t", "env", FLOW, "main"), "'env' is no tag"),
        (("prune", "--keep-tag", "=1"), "is no tag"),
        (("log", "--tag", "=1"), "is no tag"),
    ],
)
def test_what_is_no_tag_is_a_usage_error(shell: Shell, words: tuple[str, ...], told: str) -> None:
    assert told in shell(*words, code=exits.USAGE)


@pytest.mark.parametrize(
    "words",
    [("tag", "add", "zzzz", "a=b"), ("tag", "list", "ffff"), ("tag", "rm", "-", "nothing"), ("pin", "ffff")],
)
def test_what_is_not_there_is_said_to_be_so(shell: Shell, words: tuple[str, ...]) -> None:
    assert "redun: error:" in shell(*words, code=exits.MISSING)


def test_without_a_subcommand_the_help_is_printed(shell: Shell) -> None:
    assert "redun tag list state=final" in shell("tag", code=exits.USAGE)
    assert "no such command" in shell("tag", "nope", code=exits.USAGE)


def test_a_path_that_names_nothing_leads_to_the_list_of_files(shell: Shell) -> None:
    told = shell("log", "data/x.csv", code=exits.MISSING)
    assert "no execution took or gave 'data/x.csv'; redun log --file lists the files" in told


# -- pins -------------------------------------------------------------------------------------------------------------


def test_what_is_pinned_stays_until_it_is_unpinned(shell: Shell) -> None:
    shell("pin", "~1", "paper", "-m", "as published")
    (pin,) = shell.json("pin")  # type: ignore[misc]
    assert (pin["name"], pin["kind"]) == ("paper", "exec")
    assert shell("pin") == f"Exec {pin['called'][:8]} paper\n"
    assert "0 pruned, 2 kept" in shell("prune", "--keep-last", "1")
    assert "something else is pinned as 'paper'" in shell("pin", "-", "paper", code=exits.USAGE)
    shell("unpin", "paper")
    assert "nothing is pinned as 'paper'" in shell("unpin", "paper", code=exits.MISSING)
    assert "1 pruned, 1 kept" in shell("prune", "--keep-last", "1")


def test_a_pin_needs_no_name(shell: Shell) -> None:
    shell("pin", "-")
    assert shell("pin").startswith("Exec ")
    shell("unpin", "-")
    assert shell("pin").startswith("Nothing is pinned")
    assert "is not pinned" in shell("unpin", "-", code=exits.MISSING)


def test_a_job_is_no_object_to_pin(shell: Shell) -> None:
    assert "is a job and no object" in shell("pin", _first(shell, "--jobs"), code=exits.MISSING)
