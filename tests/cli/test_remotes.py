"""What commands say of results that were computed elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from getpass import getuser
from pathlib import Path

import pytest

from redun.store import Store
from tests.cli.screens import TASKS, Screens, masked, screens_in

WHO = f"{getuser()}@{os.uname().nodename}"


@pytest.fixture
def screens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Screens]:
    with screens_in(tmp_path, monkeypatch, capsys) as screens:
        yield screens


@pytest.fixture
def cloned(screens: Screens, monkeypatch: pytest.MonkeyPatch) -> Iterator[Screens]:
    """A history whose one run came from a remote, and one of the same module after it."""
    screens.history.run(TASKS)
    screens("clone", ".", "there", "-q")
    with Store.open("there/.redun/store") as store:
        monkeypatch.setattr(screens.history, "store", store)
        screens.history.run(TASKS)
        monkeypatch.setenv("REDUN_STORE", str(Path("there/.redun/store").absolute()))
        yield screens


def test_a_hit_names_the_remote_that_it_came_from_and_who_computed_it(cloned: Screens) -> None:
    job = cloned.job("main")
    shown = masked(cloned("explain", job))
    assert f"\nIt ran in:\n  Job ID of Exec ID, TIME: n.main(lr=0.1) (from origin: {WHO})\n" in shown
    document = cloned.json("explain", job)
    assert (document["how"], document["remote"]) == ("whole", "origin")
    made_by = document["made_by"]
    assert (made_by["remote"], f"{made_by['user']}@{made_by['host']}") == ("origin", WHO)


def test_the_log_tells_executions_of_others_from_those_of_here(cloned: Screens) -> None:
    assert masked(cloned("log")).splitlines()[2:] == [
        "Exec ID [ DONE ] TIME:  run w.py main",
        f"Exec ID [ DONE ] TIME:  run w.py main (from origin: {WHO})",
    ]
    assert [run["remote"] for run in cloned.json("log")] == [None, "origin"]


def test_a_hit_of_a_run_of_here_names_no_remote(cloned: Screens) -> None:
    changed = TASKS.replace("x * RATE", "x + RATE")
    for _ in range(2):
        cloned.history.run(changed)
    cloned.history.run(changed.replace("lr=0.1", "lr=0.2"))
    job = cloned.job("scale")
    document = cloned.json("explain", job)
    assert (document["how"], document["remote"], document["made_by"]["remote"]) == ("result", None, None)
    assert "(from" not in cloned("explain", job)
