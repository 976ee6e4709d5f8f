"""`redun run --remote` and `--push`, and the settings that stand for them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redun.cli import exits
from redun.cli.app import main as redun
from redun.store.sync.asking import PATIENCE_S
from tests.core.projects import made_in

WORKFLOW = """
from redun import task

redun_namespace = "team"

@task()
def leaf(x):
    with open("ran", "a") as out:
        out.write(f"{x} ")
    return x

@task()
def main(n: int = 2):
    return [leaf(i) for i in range(n)]
"""
SSH = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nexec sh -c "$*"\n'

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """Runs commands in one of two projects with the same workflow, `ada`'s and `bob`'s."""
    (tmp_path / "ssh").write_text(SSH)
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("REDUN_SSH", str(tmp_path / "ssh"))
    monkeypatch.setenv("REDUN_REMOTE_COMMAND", f"{sys.executable} -m redun")
    for who in ("ada", "bob"):
        (tmp_path / who / ".redun").mkdir(parents=True)
        (tmp_path / who / "team_flow.py").write_text(WORKFLOW)

    def run(who: str, *words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path / who)
        capsys.readouterr()
        code = redun(list(words))
        done = capsys.readouterr()
        return code, done.out, done.err

    with made_in(tmp_path):  # what commands import is forgotten afterwards
        assert run("ada", "run", "team_flow.py", "main")[:2] == (exits.OK, "[0, 1]\n")
        assert run("bob", "init")[0] == exits.OK
        yield run


def ran(who: str) -> list[str]:
    """Which bodies have run in a project so far, sorted: threads have no order."""
    path = Path("..", who, "ran")
    return sorted(path.read_text().split()) if path.exists() else []


@pytest.mark.parametrize("url", ["../ada", "host:{}/ada"])
def test_a_run_takes_from_a_remote_what_it_does_not_have_and_gives_it_the_rest(
    shell: Shell, tmp_path: Path, url: str
) -> None:
    shell("bob", "remote", "add", "origin", url.format(tmp_path), "--trust", "cache")
    code, out, err = shell("bob", "run", "--remote", "origin", "--push", "team_flow.py", "main", "--n", "3")
    assert (code, out, ran("bob")) == (exits.OK, "[0, 1, 2]\n", ["2"])
    assert err.splitlines()[-1].startswith("Pushed to origin: ")
    assert err.splitlines()[-1].endswith("; 2 results are hits there")
    _, out, _ = shell("ada", "run", "team_flow.py", "main", "--n", "3")
    assert (out, ran("ada")) == ("[0, 1, 2]\n", ["0", "1"])
    assert shell("ada", "fsck")[0] == shell("bob", "fsck")[0] == exits.OK


def test_settings_name_the_remote_and_the_wish_to_push(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "bob" / "redun.toml").write_text(
        f'[remotes.team]\nurl = "{tmp_path}/ada"\ntrust = "cache"\n[run]\nremote = "team"\npush = true\n'
    )
    code, out, err = shell("bob", "run", "team_flow.py", "main", "--n", "3")
    assert (code, out, ran("bob")) == (exits.OK, "[0, 1, 2]\n", ["2"])
    assert "Pushed to team: " in err
    assert "Pushed" not in shell("bob", "run", "--no-push", "team_flow.py", "main", "--n", "4")[2]
    assert shell("bob", "remote", "list")[1] == f"team\t{tmp_path}/ada (cache)\n"
    assert shell("bob", "push", "team")[1].startswith("Pushed to team: ")


def test_a_remote_of_the_settings_has_a_url(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "bob" / "redun.toml").write_text('[remotes.team]\ntrust = "cache"\n')
    code, _, err = shell("bob", "run", "team_flow.py", "main")
    assert code != exits.OK
    assert "remote team has no url" in err


def test_explain_names_the_remote_that_was_asked(shell: Shell, tmp_path: Path) -> None:
    shell("bob", "remote", "add", "origin", "../ada", "--trust", "cache")
    shell("bob", "run", "--remote", "origin", "team_flow.py", "main")
    job = next(line for line in shell("bob", "log", "-")[1].splitlines() if "team.main" in line).split()[1]
    assert "It came from origin, which was asked for it" in shell("bob", "explain", job)[1]
    shell("bob", "pull")
    assert "(from origin: " in shell("bob", "explain", job)[1]


def test_a_remote_that_cannot_be_reached_is_a_warning_and_no_failure(shell: Shell, tmp_path: Path) -> None:
    shell("bob", "remote", "add", "origin", str(tmp_path / "nowhere"), "--trust", "cache")
    code, out, err = shell("bob", "run", "--remote", "origin", "--push", "team_flow.py", "main")
    assert (code, out) == (exits.OK, "[0, 1]\n")
    assert err.count("the run goes on without origin") == 1
    assert "Nothing was pushed to origin: " in err.splitlines()[-1]


def test_a_run_that_waits_for_a_remote_can_be_interrupted(shell: Shell, tmp_path: Path) -> None:
    shell("bob", "remote", "add", "origin", "host:somewhere", "--trust", "cache")
    (tmp_path / "ssh").write_text(f"#!/bin/sh\ntouch {tmp_path}/reached\nexec sleep 600\n")
    command = [sys.executable, "-m", "redun", "run", "--remote", "origin", "team_flow.py", "main"]
    with subprocess.Popen(command, cwd=tmp_path / "bob", stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = iter(process.stderr.readline, "")
        assert any("Start Execution" in line for line in said)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == exits.INTERRUPTED
    assert time.monotonic() - begun < PATIENCE_S
    assert ran("bob") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--remote", "nobody"), "there is no remote named 'nobody'"),
        (("--remote", "origin"), "origin is trusted with its history alone"),
        (("--dry-run", "--remote", "origin"), "--dry-run asks no other store"),
        (("--dry-run", "--push"), "--dry-run asks no other store"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(shell: Shell, words: tuple[str, ...], said: str) -> None:
    shell("bob", "remote", "add", "origin", "../ada")
    code, out, err = shell("bob", "run", *words, "team_flow.py", "main")
    assert (code != exits.OK, out, ran("bob")) == (True, "", [])
    assert said in err
