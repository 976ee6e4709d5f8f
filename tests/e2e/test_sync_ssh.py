"""`redun push`, `pull`, `fetch` and `clone` through the system's ssh and a real sshd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.store import Store
from tests.e2e import ssh_server

pytestmark = pytest.mark.skipif(bool(ssh_server.why_not()), reason=ssh_server.why_not())

_WORKFLOW = """
from redun import task

@task()
def double(number: int) -> int:
    return 2 * number

@task()
def big() -> bytes:
    return bytes(range(256)) * 20_000

@task()
def size(data: bytes) -> int:
    return len(data)

@task()
def main(n: int = 5) -> list:
    return [size(big()), [double(i) for i in range(n)]]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with ssh_server.serving(tmp_path_factory.mktemp("ssh")) as environment:
        yield environment


class Machine:
    """A project, and the command in it."""

    def __init__(self, path: Path, environment: dict[str, str]) -> None:
        self.path = path
        self.environment = environment
        path.mkdir()

    def __call__(self, *words: str, code: int = 0, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "redun.cli.app", *words],
            cwd=self.path,
            env={**os.environ, **self.environment, **environment},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, (words, done)
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout if code == 0 else done.stderr

    def compute(self, *words: str) -> str:
        (self.path / "flow.py").write_text(_WORKFLOW)
        return self("run", "flow.py", "main", *words)

    def sound(self) -> bool:
        with Store.open(self.path / ".redun" / "store") as store:
            return list(store.check(level=4)) == []


@pytest.fixture
def machines(tmp_path: Path, server: dict[str, str]) -> tuple[Machine, Machine]:
    return Machine(tmp_path / "one", server), Machine(tmp_path / "two", server)


def test_what_one_machine_computed_is_cloned_run_on_and_pushed_back(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    printed = one.compute()
    two.path.rmdir()
    cloned = json.loads(one("clone", f"ssh://there{one.path}", str(two.path), "--json"))
    assert cloned["objects"] > 10
    assert two.compute() == printed
    newest = json.loads(two("log", "--json"))[0]
    assert [task["done"] for task in newest["counts"]] == [0] * len(newest["counts"])
    two.compute("--n", "6")
    pushed = json.loads(two("push", "--json"))
    assert 0 < pushed["objects"] < cloned["objects"]
    assert len(json.loads(one("log", "--json"))) == 3
    assert "nothing new" in two("push")
    assert "nothing new" in two("pull")
    assert one.sound()
    assert two.sound()


def test_a_shell_that_prints_a_greeting_is_heard_out(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    one.compute()
    two("init")
    assert json.loads(one("push", f"greeting:{two.path}", "--json"))["objects"] > 10
    assert json.loads(one("push", f"there:{two.path}", "--json"))["objects"] == 0
    assert two.sound()


@pytest.mark.parametrize(
    ("url", "told", "hint"),
    [
        ("ssh://nobody/x", "cannot be reached", "Connection refused"),
        ("ssh://stranger/x", "cannot be reached", "Permission denied"),
        ("ssh://bare/x", "there is no redun at ssh://bare/x", "pip install redun-core there"),
        ("ssh://there/nowhere/at/all", "no directory /nowhere", "redun init"),
    ],
)
def test_what_keeps_a_remote_from_being_reached_is_said(
    machines: tuple[Machine, Machine], url: str, told: str, hint: str
) -> None:
    one, _ = machines
    one("init")
    said = one("push", url, code=8)
    assert told in said, said
    assert hint in said, said
    assert one.sound()


def test_a_program_there_that_speaks_another_version_says_both(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    one.compute()
    two("init")
    program = "from redun.store.sync import wire; wire.VERSIONS = (7,); from redun.cli.app import main; main()"
    said = one("push", f"there:{two.path}", code=8, REDUN_REMOTE_COMMAND=f'{sys.executable} -c "{program}"')
    assert "[7]" in said, said
    assert "[1]" in said, said
    assert "upgrade" in said, said


def test_stores_that_name_objects_in_another_way_are_refused_with_the_command_that_converts(
    machines: tuple[Machine, Machine],
) -> None:
    one, two = machines
    one.compute()
    two("init", "--object-format", "sha256")
    said = one("push", f"there:{two.path}", code=8)
    assert "redun convert --to sha256" in said, said
    two.compute()
    one("convert", "--to", "sha256")
    assert json.loads(one("push", f"there:{two.path}", "--json"))["objects"] > 0
    assert one.sound()
    assert two.sound()


def test_a_connection_that_is_lost_midway_is_said_and_the_rest_moves_later(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    one.compute()
    two("init")
    cut = one.path / "cut"
    cut.write_text('#!/bin/sh\nstdbuf -o0 head -c 3000000 | redun "$@"\n')
    cut.chmod(0o755)
    said = one("push", f"there:{two.path}", code=8, REDUN_REMOTE_COMMAND=str(cut))
    assert "broke off" in said, said
    assert "only the rest moves" in said, said
    assert two.sound()
    assert json.loads(one("push", f"there:{two.path}", "--json"))["objects"] > 0
    assert two.sound()
