"""`redun bundle`, and bundles in the place of a URL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from redun.store import Store

WORKFLOW = """
from redun import task

@task()
def make(n: int) -> str:
    print("made", n)
    return str(n) * 1000

@task()
def main(n: int = 1) -> list:
    return [make(n), make(n + 100)]
"""


def redun(folder: Path, *words: str, given: bytes = b"", code: int = 0) -> str:
    """Runs a command in a folder; returns what it printed, or what it said where it fails."""
    folder.mkdir(exist_ok=True)
    (folder / "flow.py").write_text(WORKFLOW)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REDUN")}
    done = subprocess.run(
        [sys.executable, "-m", "redun", *words],
        cwd=folder,
        env=environment,
        input=given,
        capture_output=True,
        check=False,
    )
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return (done.stderr if code else done.stdout).decode()


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A project with a history of two executions."""
    folder = tmp_path / "here"
    for number in "12":
        redun(folder, "-q", "run", "flow.py", "main", "--n", number)
    return folder


def head(folder: Path) -> str:
    with Store.open(folder / ".redun" / "store", read_only=True) as store:
        return next(store.executions())[0].hex()


def test_a_clone_of_a_bundle_runs_nothing_again(here: Path, tmp_path: Path) -> None:
    assert "objects" in redun(here, "bundle", "create", "../h.bundle")
    assert "Cloned to there" in redun(tmp_path, "clone", "h.bundle", "there")
    assert "made" not in redun(tmp_path / "there", "run", "flow.py", "main")
    redun(tmp_path / "there", "fsck", "--level", "4")
    assert "Cloned to h from" in redun(tmp_path, "clone", "h.bundle")


def test_it_is_carried_through_a_pipe_and_believed_where_that_is_said(here: Path, tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "redun", "bundle", "create", "-"], cwd=here, capture_output=True, check=True
    ).stdout
    redun(tmp_path / "there", "init")
    redun(tmp_path / "there", "bundle", "unbundle", "-", given=made)
    assert "made 1" in redun(tmp_path / "there", "run", "flow.py", "main")
    believed = redun(tmp_path / "there", "bundle", "unbundle", "-", "--trust", "cache", given=made)
    assert "results are hits here" in believed
    assert "made" not in redun(tmp_path / "there", "run", "flow.py", "main", "--n", "2")


def test_what_is_new_since_an_execution_goes_alone(here: Path, tmp_path: Path) -> None:
    there, old = tmp_path / "there", head(here)
    redun(here, "bundle", "create", "../first.bundle")
    redun(here, "-q", "run", "flow.py", "main", "--n", "3")
    redun(here, "bundle", "create", "../rest.bundle", "--since", "~1")
    redun(there, "init")
    assert old in redun(there, "bundle", "unbundle", "../rest.bundle", code=8)
    assert json.loads(redun(there, "bundle", "list", "../rest.bundle", "--json"))["needs"] == [old]
    assert "is sound" in redun(here, "bundle", "verify", "../rest.bundle")
    redun(there, "bundle", "verify", "../rest.bundle", code=3)
    redun(there, "pull", "../first.bundle")
    redun(there, "pull", "../rest.bundle")
    assert head(there) == head(here)


def test_it_is_looked_at_where_there_is_no_store(here: Path, tmp_path: Path) -> None:
    redun(here, "bundle", "create", "../h.bundle", "-", "~1")
    shown = redun(tmp_path / "bare", "bundle", "list", "../h.bundle")
    assert f"{head(here)[:8]} executions/" in shown
    assert "is sound" in redun(tmp_path / "bare", "bundle", "verify", "../h.bundle")
    assert not (tmp_path / "bare" / ".redun").exists()


def test_mistakes_are_said_in_a_line(here: Path, tmp_path: Path) -> None:
    redun(here, "bundle", "create", "../h.bundle")
    assert "is there already" in redun(here, "bundle", "create", "../h.bundle", code=5)
    assert "nothing new" in redun(here, "bundle", "create", "../n.bundle", "--since", "-", code=5)
    assert "nothing new" in redun(here, "push", "../h.bundle", "--dry-run")
    data = (tmp_path / "h.bundle").read_bytes()
    (tmp_path / "cut.bundle").write_bytes(data[:-40])
    assert "in the middle" in redun(here, "bundle", "verify", "../cut.bundle", code=6)
    assert "in the middle" in redun(tmp_path, "clone", "cut.bundle", "there", code=6)
    assert "\x1b" not in redun(here, "bundle", "list", "\x1b[2J", code=5)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_a_store_may_require_signatures(here: Path, tmp_path: Path) -> None:
    there, key = tmp_path / "there", tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada@laptop", "-f", key], check=True)
    redun(here, "bundle", "create", "../signed.bundle", "--sign", "../key")
    redun(here, "bundle", "create", "../plain.bundle")
    redun(there, "init")
    redun(there, "bundle", "signers", "--add", "../key.pub", "--required")
    assert "is not signed" in redun(there, "pull", "../plain.bundle", code=8)
    assert "signed by ada@laptop" in redun(there, "bundle", "verify", "../signed.bundle")
    redun(there, "pull", "../signed.bundle")
    assert head(there) == head(here)
    redun(there, "bundle", "signers", "--remove", "ada@laptop")
    assert "does not count here" in redun(there, "bundle", "unbundle", "../signed.bundle", code=8)
