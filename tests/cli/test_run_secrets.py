"""`redun run` with secrets and with arguments that are not to be recorded: no file and no line tells them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.cli.app import main as redun
from tests.executor.flows import forget
from tests.secrecy import forget_secrets, forgets_secrets

pytestmark = pytest.mark.usefixtures("forgets_secrets")
__all__ = ["forgets_secrets"]

WORKFLOW = """
from __future__ import annotations
from dataclasses import dataclass
from redun import Secret, task

@dataclass
class Login:
    user: str
    password: Secret[str]

@task()
def use(name: str, token: Secret[str]) -> int:
    return len(token.reveal())

@task()
def main(token: Secret[str], pins: list[Secret[int]] = [], other: Secret[str] | None = None):
    return [use("given", token), use("made", Secret(token.reveal() + "-made"))]

@task()
def log_in(login: Login):
    return login.user

@task()
def many(*words: Secret[str], **named: Secret[str]):
    return len(words) + len(named)

@task()
def fails(token: Secret[str]):
    raise ValueError(f"no access with {token.reveal()}", token.reveal().encode())

@task()
def returns(token: Secret[str]):
    return {"token": token}

@task()
def greets(greet: str, n: int = 1):
    return len(greet) * n

@task()
def gathers(first: str, *words: str, flag: bool = False, **named: str):
    return len(first) + sum(map(len, words)) + sum(map(len, named.values())) + flag

@task()
def fails_too(greet: str):
    raise ValueError(greet)
"""


class Place:
    """A folder with a workflow and a store, and what commands print there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.printed = ""

    def __call__(self, *words: str, code: int = 0) -> str:
        """Runs a command as a new process would and returns what it printed, both streams."""
        forget()
        forget_secrets()
        assert redun(list(words)) == code
        done = self._capsys.readouterr()
        self.printed += done.out + done.err
        return done.out + done.err

    def everywhere(self) -> bytes:
        """Returns the bytes of every file of the store, and all that was printed."""
        files = [path for path in (self.folder / ".redun").rglob("*") if path.is_file()]
        assert any(path.name == "data.mdb" for path in files)
        return b"".join(path.read_bytes() for path in files) + self.printed.encode()

    def look_around(self) -> None:
        """Prints all that commands show of the latest execution."""
        shown = json.loads(self("log", "-", "--json"))
        jobs = [row["job"] for row in shown["jobs"]]
        for words in (["log"], ["log", "-"], ["log", "--json"], ["show", "-"], ["explain", "-"], ["cat-object", "-"]):
            self(*words)
        for job in jobs:
            for command in (["log", job], ["show", job], ["show", job, "--json"], ["explain", job]):
                self(*command)
            for argument in json.loads(self("show", job, "--json"))["arguments"]:
                self("cat-object", argument["value"])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "flow.py").write_text(WORKFLOW)
    yield Place(tmp_path, capsys)
    forget()


@pytest.mark.parametrize("form", [["--token", "token-of-mine"], ["--token=token-of-mine"]])
def test_a_secret_argument_is_found_nowhere(place: Place, form: list[str]):
    pins = ["--pins", "123456", "--pins", "654321", "--other", "other-token"]
    assert "[13, 18]" in place("run", "flow.py", "main", *form, *pins)
    place("run", "--explain", "flow.py", "main", *form)
    place("run", "--dry-run", "flow.py", "main", *form, code=1)  # it makes a secret, so it runs
    place("run", "--no-cache", "--json", "flow.py", "main", *form)
    place.look_around()
    everything = place.everywhere()
    for secret in (b"token-of-mine", b"123456", b"654321", b"other-token"):
        assert secret not in everything
    assert b"***" in everything


def test_another_secret_is_another_call(place: Place):
    words = ["run", "flow.py", "use", "--name", "x", "--token"]
    place(*words, "token-one")
    assert "Cached Job" in place(*words, "token-one")
    assert "Run    Job" in place(*words, "token-two")
    assert "args['token']: differs in a part that is not shown" in place("explain", "-")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["main", "--token", "hush-hush"], ["main", "--token", "***"]),
        (["main", "--", "--token=hush-hush"], ["main", "--", "--token=***"]),
        (["log_in", "--login", '{"user": "ann", "password": "hush-hush"}'], ["log_in", "--login", "***"]),
        (["many", "hush-hush", "--x", "hush-hush"], ["many", "***", "--x", "***"]),
        (["many", "--", "hush-hush", "--hush-hush"], ["many", "--", "***", "***"]),
        (["greets", "--greet", "hello", "--n=2"], ["greets", "--greet", "hello", "--n=2"]),
    ],
)
def test_the_recorded_command_line_is_the_given_one_without_secrets(place: Place, words: list[str], shown: list[str]):
    place("run", "-q", "flow.py", *words)
    assert json.loads(place("log", "--json"))[0]["argv"] == ["run", "-q", "flow.py", *shown]
    assert b"hush" not in place.everywhere()


def test_a_failure_tells_what_went_wrong_without_the_secret(place: Place):
    said = place("run", "flow.py", "fails", "--token", "token-of-mine", code=1)
    assert "ValueError: ('no access with ***', b'***')" in said
    place("run", "--json", "flow.py", "fails", "--token", "token-of-mine", code=1)
    place.look_around()
    assert b"token-of-mine" not in place.everywhere()


def test_a_secret_may_be_part_of_a_result(place: Place):
    assert "{'token': Secret(***)}" in place("run", "flow.py", "returns", "--token", "token-of-mine")
    assert '"result_repr": "{\'token\': Secret(***)}"' in place(
        "run", "--json", "flow.py", "returns", "--token", "token-of-mine"
    )
    place.look_around()
    assert b"token-of-mine" not in place.everywhere()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["main", "--token", "x", "--pins", "hush-hush"], "--pins: the value is no list[Secret[int]] (main)"),
        (["log_in", "--login", '{"password": "hush-hush"'], "--login: the value is no Login (log_in)"),
        (["log_in", "--login", '{"password": 1, "user": "hush"}'], "--login: the value is no Login (log_in)"),
    ],
)
def test_a_mistake_in_a_secret_is_told_without_it(place: Place, words: list[str], message: str):
    said = place("run", "-q", "flow.py", *words, code=2)
    assert said == f"redun: error: {message}\n"


def test_arguments_that_are_not_recorded_are_found_nowhere(place: Place):
    words = ["flow.py", "greets", "--greet", "text-that-is-hidden", "--n", "3"]
    said = place("run", "--no-record-args", *words)
    assert "greets(greet=***, n=***)" in said
    assert "57" in said
    assert "Cached" in place("run", "--no-record-args", *words)
    place("run", "--no-record-args", "--no-cache", "--json", *words)
    place("run", "--no-record-args", "flow.py", "fails_too", "--greet", "text-that-is-hidden", code=1)
    place("run", "--no-record-args", "flow.py", "greets", "--greet", "x", "--n", "hidden-too", code=2)
    place.look_around()
    everything = place.everywhere()
    assert b"text-that-is-hidden" not in everything
    assert b"hidden-too" not in everything


def test_gathered_arguments_that_are_not_recorded_are_found_nowhere(place: Place):
    words = ["--first", "hidden-1", "hidden-2", "hidden-3", "--flag", "--x", "hidden-4"]
    said = place("run", "--no-record-args", "flow.py", "gathers", *words)
    assert "gathers(***, ***, ***, flag=***, x=***)" in said
    assert said.startswith("33\n")
    assert "Cached" in place("run", "--no-record-args", "flow.py", "gathers", *words)
    place.look_around()
    assert b"hidden-" not in place.everywhere()


def test_what_is_recorded_does_not_answer_what_is_not_to_be(place: Place):
    words = ["flow.py", "greets", "--greet", "hello"]
    place("run", *words)
    assert "Run    Job" in place("run", "--no-record-args", *words)
    assert json.loads(place("log", "--json"))[0]["argv"][-2:] == ["--greet", "***"]
