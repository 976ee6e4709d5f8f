"""redun in a program, without the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import redun
from redun.core.errors import RunError
from redun.store import Store

redun_namespace = "tests.library"

ran: list[int] = []


@redun.task()
def double(x: int) -> int:
    ran.append(x)
    return 2 * x


@redun.task()
def total(n: int) -> int:
    return sum_of([double(i) for i in range(n)])


@redun.task()
def sum_of(numbers: list[int]) -> int:
    return sum(numbers)


@redun.task()
def broken() -> int:
    raise LookupError("nothing there")


@redun.task()
def leave() -> None:
    sys.exit(3)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to work in."""
    monkeypatch.chdir(tmp_path)
    ran.clear()
    return tmp_path


def test_run_makes_a_store_where_there_is_none_and_answers_from_it_the_next_time(project: Path):
    assert redun.run(total(4)) == 12
    assert (project / ".redun" / "store").is_dir()
    assert sorted(ran) == [0, 1, 2, 3]
    assert redun.run(total(4)) == 12
    assert sorted(ran) == [0, 1, 2, 3]


def test_run_finds_the_store_of_a_directory_above(project: Path, monkeypatch: pytest.MonkeyPatch):
    redun.run(total(2))
    below = project / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    ran.clear()
    assert redun.run(total(2)) == 2
    assert ran == []
    assert not (below / ".redun").exists()


def test_run_without_the_cache_runs_again_and_still_records(project: Path):
    redun.run(total(2))
    assert redun.run(total(2), cache=False) == 2
    assert sorted(ran) == [0, 0, 1, 1]
    with Store.open(project / ".redun" / "store", read_only=True) as store:
        assert len(list(store.executions())) == 2


def test_run_raises_what_the_task_raised(project: Path):
    with pytest.raises(LookupError, match="nothing there"):
        redun.run(broken())
    assert (project / ".redun").is_dir()


def test_a_task_that_exits_does_not_end_the_program(project: Path):
    with pytest.raises(RunError, match=r"leave raised SystemExit\(3\)") as caught:
        redun.run(leave())
    assert isinstance(caught.value.__cause__, SystemExit)


def test_run_takes_any_nesting_of_expressions_and_plain_values(project: Path):
    assert redun.run({"a": [double(1), (double(2), 3)]}) == {"a": [2, (4, 3)]}
    assert redun.run(5) == 5


def test_files_can_be_looked_at_after_a_run_has_closed_its_store(project: Path):
    redun.run(double(1))
    (project / "a.txt").write_text("new")
    assert redun.File("a.txt").hash.startswith("11507a0e")


def test_a_scheduler_without_a_store_writes_nothing(project: Path):
    with redun.Scheduler() as scheduler:
        assert scheduler.run(total(3)) == 6
        assert scheduler.run(total(3)) == 6
    assert sorted(ran) == [0, 1, 2]
    assert list(project.iterdir()) == []


def test_the_package_can_be_run_as_the_command(tmp_path: Path):
    command = [sys.executable, "-m", "redun", "--version"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("redun")
