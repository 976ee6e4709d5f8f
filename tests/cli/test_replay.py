"""`redun replay`: one recorded call again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redun.cli.app import main as redun
from redun.store import Store
from tests.cli.terminal import on_terminal
from tests.executor.flows import flow_in, forget

FLOW = """
from dataclasses import dataclass
from redun import File, Secret, get_context, task
from redun.scheduler import JobInfo

SCALE = 2

@dataclass
class Model:
    size: int

@task()
def scaled(word: str, *more: int, model: Model = Model(3), **named: int) -> int:
    return len(word) * SCALE + sum(more) + model.size + sum(named.values())

@task()
def broken(n: int) -> int:
    raise ValueError(f"boom {n}")

@task()
def read(file: File) -> str:
    return file.read()

@task()
async def awaited(n: int) -> int:
    return n + await scaled("async")

@task()
def hidden(token: Secret[str]) -> int:
    return len(token.reveal())

@task()
def informed(n: int, info: JobInfo = JobInfo()) -> list:
    return [n, info.job_id]

@task(script=True)
def shouted(word: str):
    return f"echo {word.upper()}"

@task()
def made(n: int, host: str = get_context("host", "nowhere")) -> str:
    return f"{n} at {host}"

@task()
def main(fail: bool = False) -> list:
    calls = [scaled("abc", 1, 2, other=3), read(File("in.txt")), awaited(1), informed(3), made(4)]
    return [*calls, broken(5)] if fail else calls
"""


class Workplace:
    """A directory with a workflow that was run."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *words: str) -> int:
        """Runs a task of the workflow, in a process of its own as far as its modules go."""
        forget()
        code = redun(["-q", "run", "flow.py", *(words or ("main",))])
        self._capsys.readouterr()
        return code

    def edit(self, old: str, new: str) -> None:
        """Replaces a piece of the workflow."""
        path = Path("flow.py")
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def job(self, task: str) -> str:
        """Returns the id of the first job of a task in the latest execution."""
        redun(["log", "--json", "-"])
        found: list[str] = []

        def look(part: Any) -> None:
            if isinstance(part, dict):
                if part.get("task") == task and "job" in part:
                    found.append(part["job"])
                for value in part.values():
                    look(value)
            elif isinstance(part, list):
                for value in part:
                    look(value)

        look(json.loads(self._capsys.readouterr().out))
        return found[0]

    def __call__(self, *words: str) -> tuple[int, str, list[str]]:
        """Replays; returns the exit code, what was printed, and the lines beside it."""
        forget()
        code = redun(["replay", *words])
        said = self._capsys.readouterr()
        return code, said.out, said.err.splitlines()


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Workplace]:
    with Store.memory() as store, flow_in(tmp_path, store):
        Path("flow.py").write_text(FLOW)
        Path("in.txt").write_text("hello")
        yield Workplace(capsys)


def test_a_call_is_run_with_its_recorded_arguments_and_gives_the_same(at: Workplace):
    at.run()
    code, out, said = at(at.job("scaled"))
    assert (code, out) == (0, "15\n")
    assert (
        said[0].endswith("scaled(word='abc', more=(1, 2), model=Model(size=3), named={'other': 3})")
        or "'abc'" in said[0]
    )
    assert said[1:] == ["The result is the same as recorded"]


@pytest.mark.parametrize("task", ["read", "awaited", "made"])
def test_files_async_bodies_and_values_of_the_context_are_as_they_were(at: Workplace, task: str):
    at.run()
    code, _, said = at(at.job(task))
    assert (code, said[-1]) == (0, "The result is the same as recorded")


def test_the_calls_that_a_body_returns_are_compared_and_not_run(at: Workplace):
    at.run()
    code, out, said = at(at.job("main"))
    assert code == 0
    assert out.startswith("[scaled('abc', 1, 2, other=3), ")
    assert said[-1] == "The calls are the same as recorded"
    at.edit("awaited(1)", "awaited(2)")
    code, _, said = at(at.job("main"))
    assert code == 1
    assert "The calls are not what was recorded" in said


def test_the_latest_execution_means_the_job_that_it_began_with(at: Workplace):
    at.run()
    assert at("-")[2][0] == f"Job {at.job('main')[:8]}: main(fail=False)"


def test_an_error_is_shown_with_its_traceback_and_compared(at: Workplace):
    assert at.run("main", "--fail", "true") == 1
    code, out, said = at(at.job("broken"))
    assert (code, out) == (0, "")
    assert "ValueError: boom 5" in said
    assert not any("redun_core" in line or "executor" in line for line in said)
    assert said[-1] == "The error is the same as recorded"
    at.edit("boom {n}", "bang {n}")
    code, _, said = at(at.job("broken"))
    assert code == 1
    assert said[-2:] == ["The error is not what was recorded", "Recorded: ErrorValue(ValueError('boom 5'))"]


def test_it_says_when_the_code_is_another_and_what_of_it(at: Workplace):
    at.run()
    at.edit("SCALE = 2", "SCALE = 3")
    code, out, said = at(at.job("scaled"))
    assert (code, out) == (1, "18\n")
    assert said[1] == "Its code is not that of the record:"
    assert "SCALE" in said[2]
    assert said[-2:] == ["The result is not what was recorded", "Recorded: 15"]


def test_code_that_changed_and_gives_the_same_is_exit_code_0(at: Workplace):
    at.run()
    at.edit("return file.read()", "return file.read() + ''")
    code, _, said = at(at.job("read"))
    assert code == 0
    assert said[1] == "Its code is not that of the record:"


def test_a_file_that_is_not_as_it_was_is_said(at: Workplace):
    at.run()
    job = at.job("read")
    Path("in.txt").write_text("other")
    code, out, said = at(job)
    assert (code, out) == (1, "'other'\n")
    assert any(line.startswith("Not as it was then: ") and "in.txt" in line for line in said)


def test_a_parameter_that_is_gone_or_new_is_said(at: Workplace):
    at.run()
    job = at.job("read")
    at.edit("def read(file: File)", "def read(other: File, file: File)")
    code, _, said = at(job)
    assert code == 1
    assert "task read has a new parameter other" in said[-1]
    at.edit("def read(other: File, file: File)", "def read(path: File)")
    assert "task read has no parameter file any more" in at(job)[2][-1]


def test_a_new_parameter_with_a_default_has_it(at: Workplace):
    at.run()
    job = at.job("read")
    at.edit(
        "def read(file: File) -> str:\n    return", "def read(file: File, end: str = '!') -> str:\n    return end +"
    )
    assert at(job)[:2] == (1, "'!hello'\n")


def test_a_task_that_is_gone_is_exit_code_3(at: Workplace):
    at.run()
    job = at.job("read")
    at.edit("def read(", "def reads(")
    at.edit("read(File", "reads(File")
    code, _, said = at(job)
    assert code == 3
    assert "no task is named read" in said[-1]
    assert "did you mean reads" in said[-1]


def test_a_secret_cannot_be_known_again(at: Workplace, monkeypatch: pytest.MonkeyPatch):
    at.edit("from redun import File,", "import os\nfrom redun import File,")
    at.edit("    calls = [", "    calls = [hidden(Secret(os.environ['T'])), ")
    monkeypatch.setenv("T", "open sesame")
    at.run()
    from redun.core import secrets

    monkeypatch.setattr(secrets, "KNOWN", {})
    code, _, said = at(at.job("hidden"))
    assert code == 1
    assert "secret is not known" in " ".join(said)


def test_a_script_is_run_again(at: Workplace):
    at.run("shouted", "--word", "abc")
    code, out, said = at("-")
    assert code == 0, said
    assert "ABC" in out


def test_the_facts_of_the_job_are_given_again(at: Workplace):
    at.run()
    job = at.job("informed")
    assert job in at(job)[1]


def test_nothing_is_written_to_the_store(at: Workplace, tmp_path: Path):
    def state() -> dict[str, tuple[int, int]]:
        files = (path for path in (tmp_path / ".redun").rglob("*") if path.is_file() and "lock" not in path.name)
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}

    at.run()
    job = at.job("scaled")
    before = state()
    at(job)
    assert state() == before


def test_programs_are_told_all_of_it(at: Workplace):
    at.run()
    job = at.job("scaled")
    at.edit("SCALE = 2", "SCALE = 3")
    code, out, _ = at("--json", job)
    found = json.loads(out)
    assert code == 1
    assert found["job"] == job
    assert (found["task"], found["outcome"], found["result_repr"], found["recorded"]) == ("scaled", "value", "18", "15")
    assert (found["same_code"], found["same"], found["changed"]) == (False, False, [])
    assert len(found["code_changes"]) == 1


def test_a_command_that_names_no_workflow_asks_for_one(at: Workplace):
    at.run()
    forget()
    from redun.executor.loader import load_workflow
    from redun.executor.scheduler import Scheduler

    load_workflow("flow.py")
    with Store.open(Path(".redun/store")) as store:
        Scheduler(store).execute(sys.modules["flow"].scaled("script"), argv=["program.py"])
    code, _, said = at("-")
    assert code == 2
    assert "redun replay JOB FILE" in said[-1]
    assert at("-", "flow.py")[:2] == (0, "15\n")


@pytest.mark.parametrize(("words", "expected"), [(["ffffffff"], 3), (["--debug", "--json", "-"], 2)])
def test_what_cannot_be_replayed_is_said(at: Workplace, words: list[str], expected: int):
    at.run()
    code, _, said = at(*words)
    assert code == expected
    assert said[-1].startswith("redun: error: ")


def test_it_begins_in_the_debugger_at_the_first_line(at: Workplace, tmp_path: Path):
    at.run("main", "--fail", "true")
    job = at.job("broken")
    with on_terminal("replay", "--debug", job, cwd=tmp_path) as terminal:
        assert "-> raise ValueError" in terminal.until("(Pdb) ")
        terminal.type("p n * 100")
        assert "500" in terminal.until("(Pdb) ")
        terminal.type("c")
        assert "It raised ValueError" in terminal.until("(Pdb) ")
        terminal.type("q")
        code, said = terminal.end()
    assert code == 0
    assert "The error is the same as recorded" in said


def test_leaving_the_debugger_compares_nothing(at: Workplace, tmp_path: Path):
    at.run("main", "--fail", "true")
    with on_terminal("replay", "--debug", at.job("broken"), cwd=tmp_path) as terminal:
        terminal.until("(Pdb) ")
        terminal.type("q")
        code, said = terminal.end()
    assert code == 130
    assert "interrupted" in said
    assert "recorded" not in said
