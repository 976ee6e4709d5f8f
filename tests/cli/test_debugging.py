"""`redun run --debug` on a terminal, as somebody uses it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from redun.cli.app import main
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.cli.terminal import on_terminal
from tests.executor.flows import Flow, flow_in, forget

FLOW = """
from redun import task

@task()
def size(word):
    letters = len(word)
    breakpoint()
    return letters

@task()
def broken(n):
    secret = n * 7
    raise ValueError("boom")

@task()
def main(fail: bool = False):
    n = size("abc")
    return broken(n) if fail else n
"""
ORDER = """
import threading

@task()
def first(n):
    ran("first", n, threading.current_thread() is threading.main_thread())
    return n

@task(executor="processes")
def second(n):
    ran("second", n, threading.current_thread() is threading.main_thread())
    return n

@task()
def main():
    return [first(1), first(2), second(3), second(first(4))]
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with a workflow."""
    (tmp_path / "flow.py").write_text(FLOW)
    return tmp_path


@pytest.fixture
def flow(tmp_path: Path):
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as made:
        yield made


def test_breakpoint_stops_in_the_body_and_the_run_goes_on(here: Path):
    with on_terminal("run", "--debug", "flow.py", "main", cwd=here) as terminal:
        assert "-> return letters" in terminal.until("(Pdb) ")
        terminal.type("p letters * 100")
        assert "300" in terminal.until("(Pdb) ")
        terminal.type("up")
        terminal.until("(Pdb) ")
        terminal.type("continue")
        code, said = terminal.end()
    assert code == 0
    assert said.rstrip().endswith("3")


def test_stepping_past_the_end_of_a_body_shows_nothing_of_the_engine(here: Path):
    with on_terminal("run", "--debug", "flow.py", "main", cwd=here) as terminal:
        terminal.until("(Pdb) ")
        terminal.type("next")
        assert "--Return--" in terminal.until("(Pdb) ")
        terminal.type("next")
        code, said = terminal.end()
    assert code == 0
    assert "redun_core" not in said
    assert "executor/" not in said


def test_a_failure_opens_the_debugger_where_it_was_raised(here: Path):
    with on_terminal("run", "--debug", "flow.py", "main", "--fail", "true", cwd=here) as terminal:
        terminal.until("(Pdb) ")
        terminal.type("c")
        said = terminal.until("(Pdb) ")
        assert "ValueError: boom" in said
        assert "broken()" in said
        terminal.type("p secret * 1000")
        assert "21000" in terminal.until("(Pdb) ")
        terminal.type("q")
        assert terminal.end()[0] == 1


def test_leaving_the_debugger_leaves_the_run(here: Path):
    with on_terminal("run", "--debug", "flow.py", "main", cwd=here) as terminal:
        terminal.until("(Pdb) ")
        terminal.type("q")
        code, said = terminal.end()
    assert code == 130
    assert "Execution interrupted" in said
    assert "BdbQuit" not in said


def test_an_error_that_no_body_raised_opens_no_debugger(here: Path):
    (here / "flow.py").write_text(FLOW.replace("secret = n * 7", "return lambda: n"))
    with on_terminal("run", "--debug", "flow.py", "main", "--fail", "true", cwd=here) as terminal:
        terminal.until("(Pdb) ")
        terminal.type("c")
        code, said = terminal.end()
    assert code == 1
    assert "There is no frame to look at" in said


def test_all_bodies_run_on_one_thread_in_the_same_order_each_time(flow: Flow):
    flow.load(ORDER)
    orders = []
    for _ in range(3):
        execution = flow.execute(cache=False, debug=True)
        assert execution.value == [1, 2, 3, 4]
        orders.append(list(flow._bodies.said))
    assert orders[0] == orders[1] == orders[2]
    assert len(orders[0]) == 5
    assert all(said.endswith("True") for said in orders[0])


def test_a_body_that_changes_its_argument_is_named(flow: Flow):
    flow.load(
        "@task()\ndef grow(items, by):\n    items[0] = 9\n    items.append(by)\n    return len(items)\n"
        "@task()\ndef keep(items):\n    return [*items, 3]\n"
        "@task()\ndef main():\n    return [grow([1, 2], by=3), keep([1])]\n"
    )
    assert flow.execute(debug=True).value == [3, [1, 3]]
    (said,) = flow.watcher.warnings
    assert said.startswith(
        "grow changes its argument items, which nobody else sees: items[0]: 1 -> 9; items[2]: added 3"
    )


def test_a_file_that_a_body_writes_is_no_argument_that_it_changes(flow: Flow):
    text = "@task()\ndef fill(file):\n    file.write('new')\n    return file\n"
    flow.load(text + "@task()\ndef main():\n    return fill(File('a'))\n")
    assert flow.execute(debug=True).error is None
    assert [said for said in flow.watcher.warnings if "changes its argument" in said] == []


def test_what_a_debugged_run_stores_answers_the_next_one(flow: Flow):
    flow.load(ORDER)
    assert flow.execute(debug=True).value == flow.execute(debug=False).value
    assert flow.ran == []


def test_a_scheduler_of_another_thread_may_debug(flow: Flow):
    flow.load("@task()\ndef main():\n    return 3\n")
    found: list[object] = []
    expression = flow.expression("main()")
    thread = threading.Thread(target=lambda: found.append(Scheduler(debug=True).run(expression)))
    thread.start()
    thread.join()
    assert found == [3]


def test_there_is_nothing_to_debug_in_a_dry_run(here: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["run", "--debug", "--dry-run", "flow.py", "main"]) == 2
    assert "--dry-run runs nothing" in capsys.readouterr().err
    forget()
