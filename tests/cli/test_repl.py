"""`redun repl` on a terminal, as somebody uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from redun.cli.app import main
from tests.cli.terminal import on_terminal
from tests.executor.flows import forget

FLOW = """
from dataclasses import dataclass
from redun import task

@dataclass
class Model:
    size: int

@task()
def trained(steps: int, name: str = "m") -> Model:
    return Model(steps * 2)

@task()
def main(steps: int = 4) -> Model:
    return trained(steps)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """A directory with a workflow that was run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("flow.py").write_text(FLOW)
    assert main(["-q", "run", "flow.py", "main"]) == 0
    capsys.readouterr()
    yield tmp_path
    forget()


def test_an_execution_is_at_hand_with_its_workflow(here: Path):
    with on_terminal("repl", "--plain", "-", cwd=here) as terminal:
        said = terminal.until(">>> ")
        assert "tasks: main, trained" in said
        assert "it: main(steps=4)" in said
        terminal.type("it")
        assert "Model(size=8)" in terminal.until(">>> ")
        terminal.type("args('-')")
        assert "{'steps': 4}" in terminal.until(">>> ")
        terminal.type("trained.func(10)")
        assert "Model(size=20)" in terminal.until(">>> ")
        terminal.type("run(trained(30)), len(executions())")
        assert "(Model(size=60), 2)" in terminal.until(">>> ")
        terminal.type("log('-')")
        assert "trained(steps=30, name='m')" in terminal.until(">>> ")
        terminal.press(b"\x04")
        assert terminal.end()[0] == 0


def test_the_tab_key_completes_names(here: Path):
    with on_terminal("repl", "--plain", "flow.py", cwd=here) as terminal:
        terminal.until(">>> ")
        terminal.press(b"trai\t")
        terminal.until("trained(")
        terminal.type("7)")
        assert "trained(7)" in terminal.until(">>> ").partition("\n")[2]
        terminal.type("exit()")
        assert terminal.end()[0] == 0


def test_a_mistake_with_an_id_is_one_line_and_other_errors_are_pythons_own(here: Path):
    with on_terminal("repl", "--plain", cwd=here) as terminal:
        terminal.until(">>> ")
        terminal.type("value('ffffffff')")
        said = terminal.until(">>> ")
        assert "NotFound: " in said
        assert "Traceback" not in said
        terminal.type("1 / 0")
        said = terminal.until(">>> ")
        assert "Traceback" in said
        assert "ZeroDivisionError" in said
        terminal.press(b"\x04")
        assert terminal.end()[0] == 0


def test_ipython_is_used_where_it_is_installed(here: Path):
    pytest.importorskip("IPython")
    with on_terminal("repl", "-", cwd=here) as terminal:
        terminal.until("In [1]: ")
        terminal.type("it.size + 100")
        assert "108" in terminal.until("In [2]: ")
        terminal.type("value('ffffffff')")
        said = terminal.until("In [3]: ")
        assert "NotFound: " in said
        assert "desk.py" not in said
        terminal.type("exit()")
        assert terminal.end()[0] == 0


def test_what_a_workflow_would_be_needed_for_is_said_where_it_is_gone(here: Path):
    (here / "flow.py").rename(here / "moved.py")
    with on_terminal("repl", "--plain", "-", cwd=here) as terminal:
        said = terminal.until(">>> ")
        assert "Its workflow is not loaded: there is no file flow.py" in said
        assert "`it` is nothing" in said
        terminal.press(b"\x04")
        assert terminal.end()[0] == 0
    (here / "moved.py").rename(here / "flow.py")
    with on_terminal("repl", "--plain", "-", "flow.py", cwd=here) as terminal:
        terminal.until(">>> ")
        terminal.type("it.size")
        assert "8" in terminal.until(">>> ")


def test_without_a_store_there_is_nothing_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["repl"]) == 3
    assert "no store in" in capsys.readouterr().err
    assert main(["repl", "a", "b", "c"]) == 2
